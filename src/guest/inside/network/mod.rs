//! Whether the interface of a Droplet gets an address: its MAC address and its name are known to nobody beforehand, and
//! the address of a custom image's Droplet comes by DHCP for IPv4.
//!
//! Each module knows one manager of networks and says what it would do for that interface.

mod collect;
mod decide;
mod ifupdown;
mod manager;
mod netplan;
mod networkd;
mod nic;
mod others;
mod pins;
mod sysconfig;
mod text;

use super::super::fs::Trouble;
use super::{Case, shown};
use crate::facts::Code;

use collect::{Services, Ways};
use decide::is_rendered;
#[doc(hidden)]
pub use netplan::netplan;
use nic::{Fit, Nic};

/// Interfaces that tidegate reads at most.
const MOST_INTERFACES: usize = 1000;

/// What an interface is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gives {
    /// An address by DHCP for IPv4.
    Dhcp,
    /// A fixed address.
    Static,
    /// Addresses of IPv6 alone, which custom images have not.
    SixOnly,
    /// None.
    Nothing,
}

/// What a configuration would do for an interface.
#[derive(Clone, Debug)]
struct Way {
    /// Who does it, in words.
    by: &'static str,
    /// The file that says so, and the line; 0 if it is no line in particular.
    path: Vec<u8>,
    line: u32,
    fit: Fit,
    /// For which interfaces, in words.
    whom: Vec<u8>,
    gives: Gives,
    /// Whether it takes a DHCP client of its own.
    wants_client: bool,
}

/// Looks at what brings up the network.
///
/// # Errors
/// If something that could bring it up cannot be read, and nothing else does.
pub(super) fn judge(case: &mut Case<'_, '_>) -> Result<(), Trouble> {
    let line = case.known.command_line.clone();
    let links = pins::Links::read(&mut case.tree, line.as_deref())?;
    for (path, line, mac) in &links.macs {
        let said = format!(
            "A name is given to the interface with the MAC address {} alone, which no Droplet has.",
            shown(mac)
        );
        match is_rendered(path) && case.known.provisioner.network {
            true => found_at(case, Code::NetworkRendered, path, *line, said),
            false => found_at(case, Code::NetworkMacPinned, path, *line, said),
        }
    }
    let nic = Nic::read(&mut case.tree, line.as_deref(), &links)?;
    resolver(case)?;
    let services = Services::read(case)?;
    let mut all = Ways::default();
    // Whoever cannot be read may be the one that does it.
    let mut trouble = None;
    for collect in collect::ALL {
        match collect(case, &services, &nic, &mut all) {
            Ok(()) => {}
            Err(halt @ Trouble::Halt(_)) => return Err(halt),
            Err(left) => trouble = trouble.or(Some(left)),
        }
    }
    decide::decide(case, &all, trouble)
}

/// Names in /etc/resolv.conf that only the build's network has.
fn resolver(case: &mut Case<'_, '_>) -> Result<(), Trouble> {
    let path = "/etc/resolv.conf";
    // Of a link, what it leads to is written at boot.
    if case.tree.link(path)?.is_some() {
        return Ok(());
    }
    let Some(text) = case.tree.text(path)? else { return Ok(()) };
    for (line, bytes) in text.lines() {
        let mut words = text::words(bytes);
        if words.next() == Some(b"nameserver")
            && let Some(server) = words.next().filter(|server| is_private(server))
        {
            let said = format!(
                "The name server {} is of a private network. Unless DHCP writes this file anew, a Droplet resolves no names.",
                shown(server)
            );
            case.book.found_in(Code::NetworkResolverPrivate, path, line, said);
            break;
        }
    }
    Ok(())
}

/// Whether an address is of a private network, and not of the machine itself.
fn is_private(address: &[u8]) -> bool {
    let address =
        std::str::from_utf8(address).ok().and_then(|text| text.parse::<std::net::Ipv4Addr>().ok());
    address.is_some_and(|address| address.is_private())
}

fn found_at(case: &Case<'_, '_>, code: Code, path: &[u8], line: u32, said: String) {
    match (path.starts_with(b"/"), line) {
        (false, _) => case.book.found(code, said),
        (true, 0) => case.book.found_at(code, path, said),
        (true, line) => case.book.found_in(code, path, line, said),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fs::memory::Memory;
    use super::super::Inside;
    use super::super::services::Init;
    use super::super::testing::{codes, judged};
    use super::decide::INSTALLERS;
    use super::*;

    const UNITS: &str = "/usr/lib/systemd/system";
    const WANTS: &str = "/etc/systemd/system/multi-user.target.wants";

    /// A system with systemd and nothing else.
    fn bare() -> Memory {
        Memory::new()
            .program("/usr/lib/systemd/systemd")
            .with("/etc/machine-id", "")
            .link(&format!("{UNITS}/default.target"), "multi-user.target")
            .with(&format!("{UNITS}/multi-user.target"), "[Unit]\nDescription=x\n")
            .with("/usr/lib/udev/rules.d/80-net-setup-link.rules", "#\n")
    }

    /// The same with services that are on.
    fn with(services: &[&str]) -> Memory {
        services.iter().fold(bare(), |memory, name| {
            let unit = format!("{UNITS}/{name}.service");
            memory
                .with(&unit, "[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\n")
                .link(&format!("{WANTS}/{name}.service"), &unit)
        })
    }

    fn debian() -> Memory {
        with(&["networking"]).program("/usr/sbin/ifup").program("/usr/sbin/dhclient").with(
            "/etc/network/interfaces",
            "auto lo\niface lo inet loopback\nauto ens3\niface ens3 inet dhcp\n",
        )
    }

    fn ubuntu(netplan: &str) -> Memory {
        with(&["systemd-networkd"])
            .link("/usr/lib/systemd/system-generators/netplan", "/usr/libexec/netplan/generate")
            .with("/etc/netplan/00-installer-config.yaml", netplan)
    }

    type Found = Vec<(Code, Option<String>, String)>;

    fn on(init: Init, line: &'static [u8], owns: bool, memory: Memory) -> (Found, Inside) {
        judged(vec![memory], |case| {
            case.known.init = Some(init);
            case.known.command_line = Some(line.to_vec());
            case.known.provisioner.network = owns;
            judge(case)
        })
    }

    fn found(memory: Memory) -> (Vec<&'static str>, Option<String>) {
        let (found, inside) = on(Init::Systemd, b"ro quiet", false, memory);
        (codes(&found), inside.network)
    }

    fn owned(memory: Memory) -> (Vec<&'static str>, Option<String>) {
        let (found, inside) = on(Init::Systemd, b"ro quiet", true, memory);
        (codes(&found), inside.network)
    }

    fn works(memory: Memory, words: &str) {
        assert_eq!(found(memory), (vec![], Some(words.to_owned())));
    }

    #[test]
    fn each_manager_brings_it_up() {
        works(debian(), "ifupdown, DHCP on ens3");
        works(
            ubuntu("network: {version: 2, ethernets: {x: {match: {name: e*}, dhcp4: true}}}"),
            "netplan, rendered by systemd-networkd, DHCP on e*",
        );
        works(
            with(&["systemd-networkd"])
                .with("/etc/systemd/network/a.network", "[Match]\nName=e*\n[Network]\nDHCP=yes\n"),
            "systemd-networkd, DHCP on e*",
        );
        works(
            with(&["NetworkManager"]),
            "NetworkManager's automatic connection, DHCP on every wired interface",
        );
        works(
            with(&["NetworkManager"])
                .link("/usr/lib/systemd/system-generators/netplan", "/usr/libexec/netplan/generate")
                .with(
                    "/usr/lib/NetworkManager/conf.d/10-globally-managed-devices.conf",
                    "[keyfile]\nunmanaged-devices=*,except:type:wifi\n",
                )
                .with(
                    "/etc/netplan/01-network-manager-all.yaml",
                    "network: {version: 2, renderer: NetworkManager}",
                ),
            "NetworkManager's automatic connection, DHCP on every wired interface",
        );
        works(with(&["dhcpcd"]), "dhcpcd, DHCP on every interface");
        works(
            with(&["wicked"])
                .with("/etc/sysconfig/network/ifcfg-ens3", "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n"),
            "wicked, DHCP on ens3",
        );
        works(
            with(&["network"])
                .program("/usr/sbin/dhclient")
                .with("/etc/sysconfig/network-scripts/ifcfg-ens3", "ONBOOT=yes\nBOOTPROTO=dhcp\n"),
            "the network scripts, DHCP on ens3",
        );
        works(with(&["connman"]), "ConnMan, DHCP on every wired interface");
        let (found, inside) = on(Init::Systemd, b"ro ip=dhcp", false, bare());
        assert_eq!(
            (codes(&found), inside.network.unwrap()),
            (vec![], "the initramfs, DHCP on every interface".to_owned())
        );
    }

    #[test]
    fn systems_without_systemd() {
        let alpine = Memory::new()
            .program("/sbin/udhcpc")
            .program("/etc/init.d/networking")
            .link("/etc/runlevels/boot/networking", "/etc/init.d/networking")
            .with("/etc/network/interfaces", "auto eth0\niface eth0 inet dhcp\n");
        let (found, inside) = on(Init::OpenRc, b"quiet", false, alpine);
        assert_eq!(
            (codes(&found), inside.network.unwrap()),
            (vec![], "ifupdown, DHCP on eth0".to_owned())
        );
        for (text, wanted) in [
            ("ifconfig_DEFAULT=\"SYNCDHCP accept_rtadv\"\n", vec![]),
            ("ifconfig_vtnet0=\"DHCP\"\n", vec![]),
            (
                "ifconfig_DEFAULT=DHCP\nifconfig_vtnet0=\"inet 10.0.0.1/24\"\n",
                vec!["network-static-only"],
            ),
            ("ifconfig_vtnet0=\"inet 10.0.0.1\"\nifconfig_vtnet0=DHCP\n", vec![]),
            ("ifconfig_em0=\"DHCP\"\n", vec!["network-name-fixed"]),
            ("ifconfig_vtnet0_ipv6=\"inet6 accept_rtadv\"\n", vec!["network-none"]),
            ("", vec!["network-none"]),
        ] {
            let (found, _) = on(Init::Bsd, b"", false, Memory::new().with("/etc/rc.conf", text));
            assert_eq!(codes(&found), wanted, "{text}");
        }
    }

    #[test]
    fn fixed_addresses_pins_and_names_are_found() {
        let netplan = |text: &str| {
            found(ubuntu(&format!("network: {{version: 2, ethernets: {{{text}}}}}"))).0
        };
        assert_eq!(netplan("ens3: {addresses: [10.0.0.2/24]}"), ["network-static-only"]);
        assert_eq!(netplan("ens160: {addresses: [10.0.0.2/24]}"), ["network-static-only"]);
        assert_eq!(netplan("ens160: {dhcp4: true}"), ["network-name-fixed"]);
        assert_eq!(netplan("eth0: {dhcp4: true}"), ["network-name-fixed"]);
        assert_eq!(netplan("ens3: {dhcp6: true}"), ["network-ipv6-only"]);
        assert_eq!(
            netplan("x: {match: {macaddress: \"00:11:22:33:44:55\"}, dhcp4: true}"),
            ["network-mac-only"]
        );
        assert_eq!(
            netplan(
                "x: {match: {macaddress: \"00:11:22:33:44:55\"}, dhcp4: true}, ens3: {dhcp4: true}"
            ),
            ["network-mac-pinned"]
        );
        assert_eq!(netplan(""), ["network-none"]);
        assert_eq!(netplan("ens3: {dhcp4: perhaps}"), ["network-config-invalid"]);
        let static_only = debian().with(
            "/etc/network/interfaces",
            "auto ens3\niface ens3 inet static\n address 10.0.0.2\n",
        );
        let (list, _) = on(Init::Systemd, b"", false, static_only);
        assert_eq!(list[0].1.as_deref(), Some("/etc/network/interfaces:2"));
        assert_eq!(codes(&list), ["network-static-only"]);
        assert_eq!(found(debian().without("/usr/sbin/dhclient")).0, ["network-no-dhcp-client"]);
        assert_eq!(found(bare()).0, ["network-none"]);
    }

    #[test]
    fn names_of_the_kernel_count_where_they_are_kept() {
        let eth0 = || debian().with("/etc/network/interfaces", "auto eth0\niface eth0 inet dhcp\n");
        assert_eq!(found(eth0()).0, ["network-name-fixed"]);
        assert_eq!(
            found(eth0().link("/etc/systemd/network/99-default.link", "/dev/null")).0,
            [""; 0]
        );
        assert_eq!(
            found(eth0().link("/etc/udev/rules.d/80-net-setup-link.rules", "/dev/null")).0,
            [""; 0]
        );
        assert_eq!(
            found(eth0().with(
                "/etc/systemd/network/10-x.link",
                "[Match]\nDriver=virtio_net\n[Link]\nName=eth0\n"
            ))
            .0,
            [""; 0]
        );
        let (list, _) = on(Init::Systemd, b"ro net.ifnames=0", false, eth0());
        assert_eq!(codes(&list), [""; 0]);
    }

    #[test]
    fn rules_and_links_with_mac_addresses_are_found() {
        let rule = "# c\nSUBSYSTEM==\"net\", ATTR{address}==\"00:11:22:33:44:55\", NAME=\"eth0\"\n";
        let path = "/etc/udev/rules.d/70-persistent-net.rules";
        let (list, _) = on(Init::Systemd, b"", false, debian().with(path, rule));
        assert_eq!(list[0].1.as_deref(), Some("/etc/udev/rules.d/70-persistent-net.rules:2"));
        assert_eq!(codes(&list), ["network-mac-pinned"]);
        let link = "[Match]\nMACAddress=00:11:22:33:44:55\n[Link]\nName=lan0\n";
        assert_eq!(
            found(debian().with("/etc/systemd/network/10-lan.link", link)).0,
            ["network-mac-pinned"]
        );
        let (list, _) = on(Init::Systemd, b"ro ifname=eth0:00:11:22:33:44:55", false, debian());
        assert_eq!(codes(&list), ["network-mac-pinned"]);
        let renamed =
            debian().with("/etc/network/interfaces", "auto wan\niface wan inet dhcp\n").with(
                "/etc/udev/rules.d/10-net.rules",
                "SUBSYSTEM==\"net\", KERNEL==\"en*\", NAME=\"wan\"\n",
            );
        assert_eq!(found(renamed).0, [""; 0]);
        let any = "SUBSYSTEM==\"net\", ATTR{address}==\"00:11:*\", NAME=\"eth0\"\n";
        assert_eq!(found(debian().with(path, any)).0, [""; 0]);
    }

    #[test]
    fn a_provisioner_that_owns_the_network_is_enough() {
        let sound = ubuntu("network: {version: 2}");
        assert_eq!(
            owned(sound),
            (
                vec![],
                Some("the provisioner sets it up, with netplan and systemd-networkd".to_owned())
            )
        );
        let fixed = "network: {version: 2, ethernets: {ens3: {addresses: [10.0.0.2/24]}}}";
        assert_eq!(owned(ubuntu(fixed)).0, ["network-static-left-over"]);
        let pinned =
            "network: {version: 2, ethernets: {x: {match: {macaddress: \"00:11\"}, dhcp4: true}}}";
        assert_eq!(owned(ubuntu(pinned)).0, ["network-mac-pinned"]);
        let rendered =
            ubuntu("network: {version: 2}").with("/etc/netplan/50-cloud-init.yaml", pinned);
        assert_eq!(owned(rendered).0, ["network-rendered"]);
        let ifcfg = "# Created by cloud-init on instance boot automatically, do not edit.\n#\nBOOTPROTO=dhcp\nDEVICE=eth0\nHWADDR=00:11:22:33:44:55\nONBOOT=yes\n";
        let alma = || {
            with(&["NetworkManager"])
                .with("/usr/lib64/NetworkManager/1.40/libnm-settings-plugin-ifcfg-rh.so", "x")
                .with("/etc/sysconfig/network-scripts/ifcfg-eth0", ifcfg)
        };
        assert_eq!(owned(alma()).0, ["network-rendered"]);
        assert_eq!(found(alma()).0, ["network-mac-pinned"]);
        assert_eq!(owned(bare()).0, ["network-none"]);
        assert_eq!(owned(bare().program("/usr/sbin/ifup")).0, ["network-renderer-off"]);
    }

    #[test]
    fn what_is_made_by_hand_is_no_reason_to_refuse() {
        let rc = bare().with("/etc/rc.local", "#!/bin/sh\ndhclient eth0\n");
        assert_eq!(found(rc).0, ["network-hand-made"]);
        let unit = bare()
            .with(
                "/etc/systemd/system/net-up.service",
                "[Service]\nExecStart=/usr/local/bin/net-up\n",
            )
            .with("/usr/local/bin/net-up", "#!/bin/sh\nudhcpc -i eth0\n")
            .link(&format!("{WANTS}/net-up.service"), "/etc/systemd/system/net-up.service");
        assert_eq!(found(unit).0, ["network-hand-made"]);
        let other = bare().with("/etc/rc.local", "#!/bin/sh\n# dhclient\nexit 0\n");
        assert_eq!(found(other).0, ["network-none"]);
    }

    #[test]
    fn managers_leave_interfaces_to_each_other() {
        let fixed = "network: {version: 2, ethernets: {ens3: {addresses: [10.0.0.2/24]}}}";
        let manager = with(&["NetworkManager", "systemd-networkd"])
            .link("/usr/lib/systemd/system-generators/netplan", "/usr/libexec/netplan/generate")
            .with("/etc/netplan/a.yaml", fixed);
        assert_eq!(found(manager).0, ["network-static-only"]);
        let off = ubuntu(
            "network: {version: 2, renderer: NetworkManager, ethernets: {ens3: {dhcp4: true}}}",
        );
        let (list, _) = on(Init::Systemd, b"", false, off);
        assert_eq!(codes(&list), ["network-none"]);
        assert!(list[0].2.contains("does not start at boot"), "{}", list[0].2);
        let ifupdown = |managed: &str| {
            let conf = format!("[main]\nplugins=ifupdown,keyfile\n[ifupdown]\nmanaged={managed}\n");
            let memory = with(&["networking", "NetworkManager"])
                .with("/etc/NetworkManager/NetworkManager.conf", conf)
                .with(
                    "/etc/network/interfaces",
                    "auto ens3\niface ens3 inet static\n address 10.0.0.2\n",
                );
            found(memory).0
        };
        assert_eq!(ifupdown("false"), ["network-static-only"]);
        assert_eq!(ifupdown("true"), [""; 0]);
    }

    #[test]
    fn nixos_has_units_for_addresses() {
        let units = "/etc/systemd/system/network-interfaces.target.wants";
        let nixos = |conf: &str| {
            with(&["dhcpcd"])
                .with(
                    "/etc/systemd/system/dhcpcd.service",
                    "[Service]\nExecStart=/x/dhcpcd --quiet --config /x/dhcpcd.conf\n",
                )
                .with("/x/dhcpcd.conf", conf)
                .link(
                    &format!("{units}/network-addresses-ens3.service"),
                    "/x/network-addresses-ens3.service",
                )
        };
        assert_eq!(found(nixos("denyinterfaces lo ens3\n")).0, ["network-static-only"]);
        assert_eq!(found(nixos("denyinterfaces lo peth*\n")).0, [""; 0]);
    }

    #[test]
    fn smaller_things_are_notes() {
        let server = debian().with("/etc/resolv.conf", "nameserver 10.0.2.3\n");
        assert_eq!(found(server).0, ["network-resolver-private"]);
        assert_eq!(found(debian().with("/etc/resolv.conf", "nameserver 1.1.1.1\n")).0, [""; 0]);
        assert_eq!(found(debian().link("/etc/resolv.conf", "/run/nowhere")).0, [""; 0]);
        assert_eq!(
            found(debian().with(INSTALLERS, "network: {config: disabled}\n")).0,
            ["network-installer-left-over"]
        );
        let insecure = with(&["NetworkManager"]).with(
            "/etc/NetworkManager/system-connections/a.nmconnection",
            "[connection]\ntype=ethernet\n",
        );
        assert_eq!(found(insecure).0, ["network-profile-insecure"]);
    }
}
