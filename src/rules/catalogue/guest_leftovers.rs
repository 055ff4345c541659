use super::{Remedy::Judge, Row, Severity::*, in_guest, judged};
use crate::facts::Code;

const CHECK: &str = "digitalocean/marketplace-partners, 99-img-check.sh";
const SYSPREP: &str = "libguestfs, virt-sysprep(1); kubernetes-sigs/image-builder, roles/sysprep";

/// Of OpenSSH, also where FreeBSD's ports have it, and of Dropbear.
const DELETE_HOST_KEYS: &str =
    "rm -f /etc/ssh/ssh_host_* /usr/local/etc/ssh/ssh_host_* /etc/dropbear/dropbear_*_host_key";

pub(super) const ROWS: &[Row] = &[
    judged(
        Code::AccountEmptyPassword,
        Reject,
        "an account has an empty password",
        "Whoever asks for this account on the console gets in without a password, and by SSH too if sshd permits empty passwords. It is so on all Droplets of this image.",
        Judge("Lock the password of the account in the build: passwd -l and its name."),
        "shadow(5); digitalocean/marketplace-partners, 99-img-check.sh",
    ),
    judged(
        Code::AccountPassword,
        Warn,
        "an account has a password",
        "All Droplets of this image have the password, and who has the image can try to find it out. A custom image's root password cannot be reset.",
        Judge(
            "Lock the password in the build: passwd -l and the name of the account. Keys open it then as before.",
        ),
        CHECK,
    ),
    judged(
        Code::AccountUidZero,
        Warn,
        "a second account is root",
        "An account with the user number 0 may do all that root may, and few people notice it.",
        Judge(
            "If it is not meant so, remove the account in the build, or give it a number of its own.",
        ),
        "passwd(5); CIS benchmarks: root is the only account with UID 0",
    ),
    judged(
        Code::LeftoverSudo,
        Warn,
        "a user of the build may become root without a password",
        "Tools that build images make such a user for themselves. Whoever gets in as this user is root on all Droplets of this image.",
        Judge(
            "Remove the user and the line at the end of the build: userdel -r and the name of the user, rm and the file.",
        ),
        "HashiCorp Packer and Vagrant: users of builds; digitalocean/marketplace-partners, 90-cleanup.sh",
    ),
    judged(
        Code::LeftoverHostKeys,
        Warn,
        "all Droplets of the image share their host keys",
        "sshd proves with its host keys who it is. Whoever has the image can pretend to be any of its Droplets.",
        in_guest(
            "Delete them at the end of the build, and see that something makes new ones before sshd starts",
            DELETE_HOST_KEYS,
            "",
        ),
        SYSPREP,
    ),
    judged(
        Code::LeftoverHostKeysReplaced,
        Note,
        "host keys of the build are on the disk",
        "cloud-init deletes them and makes new ones on the first boot. Until then they are of no use to anybody but who has the image.",
        in_guest("Delete them at the end of the build", DELETE_HOST_KEYS, ""),
        "cloud-init, cc_ssh.py: ssh_deletekeys",
    ),
    judged(
        Code::LeftoverMachineId,
        Warn,
        "all Droplets of the image share their machine ID",
        "systemd, D-Bus and DHCP clients tell machines apart by this ID. Droplets that share it may get each other's address.",
        in_guest(
            "Empty it at the end of the build (delete it where there is no systemd), so that the first boot makes a new one",
            // systemd takes a missing file for the first boot ever, dbus-uuidgen --ensure an empty one for an error.
            "if [ -d /etc/systemd ]; then : > /etc/machine-id; else rm -f /etc/machine-id; fi; rm -f /var/lib/dbus/machine-id /etc/hostid",
            "",
        ),
        "machine-id(5), first boot semantics",
    ),
    judged(
        Code::LeftoverRandomSeed,
        Note,
        "a seed for random numbers is on the disk",
        "All Droplets of this image mix the same seed into their random numbers when they boot first. A Droplet has other sources as well.",
        in_guest(
            "Delete it at the end of the build",
            "rm -f /var/lib/systemd/random-seed /var/lib/random-seed /var/lib/urandom/random-seed /var/lib/seedrng/seed.credit /var/db/entropy-file",
            "",
        ),
        "systemd-random-seed.service(8); libguestfs, virt-sysprep(1)",
    ),
    judged(
        Code::LeftoverAuthorizedKeys,
        Warn,
        "keys of the build open all Droplets of the image",
        "Whoever has the private half of one of these keys gets into every Droplet of this image, whatever keys it was made with.",
        Judge("If they are not meant to stay, delete the file at the end of the build."),
        CHECK,
    ),
    judged(
        Code::LeftoverVagrantKey,
        Warn,
        "a key that everybody has opens all Droplets of the image",
        "Vagrant publishes both halves of its insecure key. Whoever reaches a Droplet gets in.",
        Judge(
            "Delete the file, and the user vagrant with it, at the end of the build: userdel -r vagrant.",
        ),
        "hashicorp/vagrant, keys/README.md",
    ),
    judged(
        Code::LeftoverPrivateKey,
        Warn,
        "a private key is on the disk",
        "Who has the image, or gets into any of its Droplets, has the key, and gets into whatever it opens.",
        Judge("Delete it at the end of the build, and replace the key where it was in use."),
        CHECK,
    ),
    judged(
        Code::LeftoverKnownHosts,
        Note,
        "hosts that the build knew are on the disk",
        "known_hosts names machines that the build spoke to.",
        Judge("Delete the file at the end of the build."),
        SYSPREP,
    ),
    judged(
        Code::LeftoverHistory,
        Warn,
        "what was typed in the build is on the disk",
        "Histories of shells and clients often have passwords and tokens that were typed or pasted.",
        Judge(
            "Delete the file at the end of the build, after the last shell has ended: a shell writes it when it ends.",
        ),
        CHECK,
    ),
    judged(
        Code::LeftoverCredentials,
        Warn,
        "credentials are on the disk",
        "Who has the image, or gets into any of its Droplets, has these credentials.",
        Judge("Delete them at the end of the build, and replace them where they were in use."),
        "libguestfs, virt-sysprep(1); OWASP Secrets Management Cheat Sheet",
    ),
    judged(
        Code::LeftoverProxy,
        Warn,
        "a proxy of the build is configured",
        "Package managers and programs of a Droplet go by this proxy, which may be on a network that no Droplet reaches.",
        Judge("If it was for the build alone, remove it at its end."),
        "apt.conf(5), Acquire::http::Proxy; environment(5)",
    ),
    judged(
        Code::LeftoverInstaller,
        Note,
        "files of the installer are on the disk",
        "They have the answers that the system was installed with, sometimes a password among them.",
        in_guest(
            "Delete them at the end of the build",
            "rm -rf /root/anaconda-ks.cfg /root/original-ks.cfg /root/initial-setup-ks.cfg /var/log/installer /var/log/anaconda",
            "",
        ),
        SYSPREP,
    ),
    judged(
        Code::LeftoverLvmDevices,
        Note,
        "LVM is bound to the devices of the build",
        "LVM uses no device that its file of devices does not name, by serial number or by name. Those of a Droplet are others.",
        in_guest(
            "Delete the file at the end of the build",
            "rm -f /etc/lvm/devices/system.devices",
            "",
        ),
        "lvmdevices(8); libguestfs, virt-sysprep(1)",
    ),
    judged(
        Code::LeftoverTools,
        Note,
        "tools of another provider are installed",
        "They look for another hypervisor or another provider's services, and find none on a Droplet.",
        Judge("If the image is for Droplets alone, remove the package in the build."),
        "virt-v2v(1); microsoft/lisa, azure_image_standard.py",
    ),
    judged(
        Code::LeftoverDigitalOcean,
        Note,
        "agents of DigitalOcean are on the disk",
        "They are of the Droplet that the disk was taken from. DigitalOcean installs none on Droplets of custom images, and its marketplace refuses images that have them.",
        Judge(
            "If they are not meant to stay, remove the packages (droplet-agent, do-agent) and the directory.",
        ),
        CHECK,
    ),
    judged(
        Code::LeftoverSwap,
        Note,
        "space for swapping is part of the image",
        "It is uploaded with the image and counts towards its size, and may still have what was in memory in the build.",
        Judge(
            "If it is not meant so, make it on the first boot instead; cloud-init has swap for that.",
        ),
        "microsoft/lisa, azure_image_standard.py: no swap on the OS disk",
    ),
    judged(
        Code::LeftoverLogs,
        Note,
        "logs of the build are on the disk",
        "All Droplets of this image begin with them. They tell about the build, and are uploaded with the image.",
        in_guest(
            "Empty them at the end of the build",
            "find /var/log -type f -exec truncate -s 0 {} +; rm -rf /var/log/journal/*",
            "",
        ),
        CHECK,
    ),
];
