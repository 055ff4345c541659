use super::{Remedy::Judge, Row, Severity::*, in_guest, judged};
use crate::facts::Code;

/// Where DigitalOcean says how a custom image's Droplet gets its address.
const DHCP: &str =
    "docs.digitalocean.com/products/custom-images/details/limits: networking by DHCP, no IPv6";

/// A configuration that asks DHCP on whatever interface there is.
const ASK: &str = "Let a manager of networks ask DHCP for IPv4 on every wired interface (netplan: match name e*, dhcp4 true; a .network file of systemd-networkd: Name=e*, DHCP=yes; ifupdown: iface eth0 inet dhcp), or leave the network to cloud-init.";

pub(super) const ROWS: &[Row] = &[
    judged(
        Code::NetworkNone,
        Reject,
        "nothing brings up the network",
        "All places that are known to configure a network were read, and none of them configures the interface of a Droplet. It gets no address, and nobody reaches it.",
        Judge(ASK),
        DHCP,
    ),
    judged(
        Code::NetworkStaticOnly,
        Reject,
        "the network is configured with a fixed address only",
        "The address of a custom image's Droplet comes by DHCP and is known to nobody beforehand. With the address of another network it reaches nothing and nobody reaches it.",
        Judge(ASK),
        DHCP,
    ),
    judged(
        Code::NetworkMacOnly,
        Reject,
        "the network is configured for one MAC address alone",
        "The only configuration of the network is for the interface of the machine that the image was built on. A Droplet's has another MAC address, so it gets no address and nobody reaches it.",
        Judge(
            "Match the interface by its driver (virtio*) or by a pattern of names (e*) and not by its MAC address.",
        ),
        "canonical/cloud-init#3611, canonical/multipass#214: clones without network",
    ),
    judged(
        Code::NetworkIpv6Only,
        Reject,
        "the network is configured for IPv6 alone",
        "DigitalOcean gives no IPv6 to Droplets made from custom images. Without DHCP for IPv4 there is no address at all.",
        Judge(ASK),
        DHCP,
    ),
    judged(
        Code::NetworkNoDhcpClient,
        Reject,
        "no DHCP client is installed",
        "What brings up the network starts another program to ask DHCP, and none that it knows is on the disk. The interface gets no address, and nobody reaches the Droplet.",
        Judge(
            "Install one: isc-dhcp-client or dhcpcd-base on Debian and Ubuntu, dhcp-client on Fedora and its relatives, dhcpcd on Alpine.",
        ),
        "interfaces(5): the dhcp method; dhclient(8), dhcpcd(8), udhcpc(8)",
    ),
    judged(
        Code::NetworkRendererOff,
        Warn,
        "what the provisioner writes the network for is not on",
        "The provisioner writes a configuration of the network when a Droplet boots first, and nothing that would read it starts at boot. The interface may stay down.",
        Judge(
            "Enable the manager of networks that the distribution uses, such as systemd-networkd, NetworkManager or networking.",
        ),
        "cloud-init, cloudinit/net/renderers.py and cloudinit/stages.py",
    ),
    judged(
        Code::NetworkMacPinned,
        Warn,
        "something of the network is tied to a MAC address",
        "The address is that of the machine that the image was built on. On a Droplet it is without effect at best; a name that it keeps is not free for the Droplet's interface.",
        Judge("Delete it, or match the interface by its driver or by a pattern of names."),
        "libguestfs virt-sysprep: net-hwaddr, udev-persistent-net; microsoft/lisa azure_image_standard.py",
    ),
    judged(
        Code::NetworkStaticLeftOver,
        Warn,
        "a fixed address is left over beside the provisioner",
        "The provisioner configures the network of a Droplet, and what the build left adds an address or routes of another network to it.",
        Judge("Delete what gives the address, or the whole file if it has nothing else."),
        "netplan-generate(8): files are merged; cloud-init, network configuration",
    ),
    judged(
        Code::NetworkNameFixed,
        Warn,
        "the network is configured for a name that a Droplet's interface hardly has",
        "Names such as ens160, enp0s3 or enX0 come from the place of the interface in another hypervisor's machine, and eth0 from a kernel with net.ifnames=0. A Droplet's interface is eth0, ens3 or ens4; without a match it gets no address.",
        Judge(ASK),
        "systemd.net-naming-scheme(7); interfaces of Droplets in nix-community/nixos-anywhere-examples#5",
    ),
    judged(
        Code::NetworkConfigInvalid,
        Warn,
        "a configuration of the network is refused by its program",
        "netplan reads all of its files before it writes anything, and gives up at the first one that it does not understand.",
        Judge("Correct the line, and see that netplan generate has nothing to say."),
        "netplan-generate(8)",
    ),
    judged(
        Code::NetworkProfileInsecure,
        Warn,
        "NetworkManager leaves a profile out because of its permissions",
        "A profile may hold secrets, so NetworkManager reads only those that nobody but root may read. The network is configured without this one.",
        in_guest("Let root alone read it", "chmod 600 PATH", ""),
        "nm-settings-keyfile(5)",
    ),
    judged(
        Code::NetworkRendered,
        Note,
        "what cloud-init wrote on the build machine is left",
        "cloud-init writes it anew for each new instance, so it does no harm as long as cloud-init runs.",
        in_guest("Delete it", "rm -f PATH", ""),
        "cloud-init clean(1); kubernetes-sigs/image-builder roles/sysprep",
    ),
    judged(
        Code::NetworkInstallerLeftOver,
        Note,
        "the installer turned cloud-init's network off",
        "What configures the network is what the installer found on the machine that it ran on, not what a Droplet needs.",
        in_guest(
            "Give the network back to cloud-init",
            "rm -f PATH",
            "Then delete what the installer wrote in /etc/netplan.",
        ),
        "canonical/subiquity#790, canonical/subiquity#1997",
    ),
    judged(
        Code::NetworkHandMade,
        Note,
        "a script of this system's own seems to bring up the network",
        "None of the known managers of networks does it. What the script does on a Droplet was not examined.",
        Judge("See that it asks DHCP for IPv4, whatever the interface is called."),
        DHCP,
    ),
    judged(
        Code::NetworkResolverPrivate,
        Note,
        "the name server is one of a private network",
        "The file was written for the network of the build. Most DHCP clients write it anew; where none does, a Droplet resolves no names.",
        Judge("Empty the file at the end of the build, or name a public server."),
        "resolv.conf(5)",
    ),
];
