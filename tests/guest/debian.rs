//! A disk with a Debian that a Droplet could be made of, and what is found when one thing of it is broken.
//!
//! `make-debian` makes it, without root. Whatever is broken is broken by debugfs in a copy.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::sample::{Layout, copy as copied, edit, layout, version};
pub(crate) use super::sample::{checked, disk};

/// Something that is broken in a disk.
struct Broken {
    /// What debugfs does to the root. WRITE PATH MODE TEXT writes a file, with \n for the ends of lines.
    edits: &'static [&'static str],
    /// What has to be found, as severity and code.
    found: &'static [&'static str],
}

const fn broken(found: &'static [&'static str], edits: &'static [&'static str]) -> Broken {
    Broken { edits, found }
}

/// cloud-init leaves the network to the system.
const NO_NETWORK: &str = "WRITE /etc/cloud/cloud.cfg.d/zz.cfg 644 network: {config: disabled}\\n";

/// One requirement after the other.
const BROKEN: &[Broken] = &[
    // Booting.
    broken(&["reject boot-kernel-missing"], &["rm /boot/vmlinuz-VERSION"]),
    broken(&["reject boot-initrd-missing"], &["rm /boot/initrd.img-VERSION"]),
    broken(
        &["reject boot-root-missing"],
        &["SED /boot/grub/grub.cfg root=UUID=6f9b root=UUID=7f9b"],
    ),
    broken(
        &["reject boot-root-device"],
        &["SED /boot/grub/grub.cfg root=UUID=ROOT root=/dev/sda1"],
    ),
    broken(
        &["warn kernel-module-blacklisted"],
        &["WRITE /etc/modprobe.d/no.conf 644 blacklist virtio_net\\n"],
    ),
    broken(&["warn kernel-no-modules"], &["RMDIR /lib/modules/VERSION"]),
    // Setting the Droplet up.
    broken(
        &["reject provisioner-datasource"],
        &["WRITE /etc/cloud/cloud.cfg.d/99-installer.cfg 644 datasource_list: [ None ]\\n"],
    ),
    broken(&["reject provisioner-switched-off"], &["WRITE /etc/cloud/cloud-init.disabled 644 x"]),
    broken(&["warn provisioner-missing"], &["rm /usr/bin/cloud-init"]),
    // Mounting.
    broken(&["reject fstab-source-missing"], &["SED /etc/fstab UUID=1A2B UUID=1A2C"]),
    broken(&["reject fstab-device-name"], &["SED /etc/fstab UUID=1A2B-3C4D /dev/sdb1"]),
    // Logging in.
    broken(&["reject ssh-no-server"], &["rm /usr/sbin/sshd"]),
    broken(
        &["reject ssh-pubkey-off"],
        &["WRITE /etc/ssh/sshd_config.d/a.conf 644 PubkeyAuthentication no\\n"],
    ),
    broken(
        &["reject ssh-masked"],
        &[
            "rm /etc/systemd/system/multi-user.target.wants/ssh.service",
            "rm /etc/systemd/system/sshd.service",
            "symlink /etc/systemd/system/ssh.service /dev/null",
        ],
    ),
    broken(
        &["reject ssh-off"],
        &[
            "rm /etc/systemd/system/multi-user.target.wants/ssh.service",
            "rm /etc/systemd/system/sshd.service",
        ],
    ),
    broken(&["reject ssh-not-to-be-run"], &["WRITE /etc/ssh/sshd_not_to_be_run 644 no"]),
    broken(&["reject account-nologin"], &["WRITE /etc/nologin 644 closed\\n"]),
    broken(
        &["reject ssh-user-refused"],
        &["WRITE /etc/ssh/sshd_config.d/a.conf 644 AllowUsers alice\\n"],
    ),
    // Who is refused although sshd starts, or it does not start.
    broken(
        &["reject ssh-config-invalid"],
        &["WRITE /etc/ssh/sshd_config.d/a.conf 644 PermitRotLogin yes\\n"],
    ),
    broken(
        &["reject ssh-config-invalid"],
        &["WRITE /etc/ssh/sshd_config.d/a.conf 644 PubkeyAcceptedAlgorithms none\\n"],
    ),
    broken(
        &["reject ssh-config-invalid"],
        &["WRITE /etc/ssh/sshd_config.d/a.conf 644 Ciphers aes256-ctr,aes256-cbx\\n"],
    ),
    broken(
        &["reject ssh-config-invalid"],
        &["WRITE /etc/ssh/sshd_config.d/a.conf 644 ClientAliveInterval five\\n"],
    ),
    broken(&["reject account-locked"], &["WRITE /etc/ssh/sshd_config.d/a.conf 644 UsePAM no\\n"]),
    broken(&["reject account-shell"], &["SED /etc/cloud/cloud.cfg /bin/bash /bin/zsh"]),
    broken(
        &["reject ssh-user-refused"],
        &["WRITE /etc/ssh/sshd_config.d/a.conf 644 DenyGroups sudo\\n"],
    ),
    broken(
        &["reject ssh-user-refused"],
        &["WRITE /etc/ssh/sshd_config.d/a.conf 644 AllowGroups wheel\\n"],
    ),
    broken(&["reject ssh-no-server"], &["set_inode_field /usr/sbin/sshd mode 0100644"]),
    broken(&["reject ssh-no-server"], &["rm /usr/sbin/sshd", "WRITE /usr/sbin/sshd 755 "]),
    broken(
        &["reject ssh-hosts-deny"],
        &["rm /etc/hosts.deny", "WRITE /etc/hosts.deny 644 sshd: ALL\\n"],
    ),
    broken(
        &["warn ssh-pam-access"],
        &[
            "rm /etc/pam.d/sshd",
            "WRITE /etc/pam.d/sshd 644 @include common-auth\\naccount required pam_access.so\\n",
            "rm /etc/security/access.conf",
            "WRITE /etc/security/access.conf 644 + : root : LOCAL\\n- : ALL : ALL\\n",
        ],
    ),
    // What starts first.
    broken(&["reject system-no-init"], &["rm /usr/sbin/init", "rm /usr/lib/systemd/systemd"]),
    broken(&["warn boot-no-menu"], &["rm /boot/grub/grub.cfg"]),
    broken(
        &["reject boot-driver-not-in-initramfs"],
        &[
            "rm /boot/initrd.img-VERSION",
            "WRITE /boot/initrd.img-VERSION 644 0707010000000000000000000000000000000000000001000000000000000000000000000000000000000000000000\
             0000000B00000000TRAILER!!!\0\0\0\0",
        ],
    ),
    // The network.
    broken(
        &["reject network-none"],
        &["symlink /etc/systemd/system/systemd-networkd.service /dev/null"],
    ),
    broken(&["reject network-none"], &[NO_NETWORK]),
    broken(
        &["reject network-static-only"],
        &[
            NO_NETWORK,
            "WRITE /etc/netplan/a.yaml 600 network:\\n  ethernets:\\n    a:\\n      match: {name: e*}\\n      addresses: [10.0.2.15/24]\\n",
        ],
    ),
    broken(
        &["reject network-mac-only"],
        &[
            NO_NETWORK,
            "WRITE /etc/netplan/a.yaml 600 network:\\n  ethernets:\\n    a:\\n      match: {macaddress: '52:54:00:12:34:56'}\\n      dhcp4: true\\n",
        ],
    ),
    broken(
        &["reject network-ipv6-only"],
        &[
            NO_NETWORK,
            "WRITE /etc/netplan/a.yaml 600 network:\\n  ethernets:\\n    a:\\n      match: {name: e*}\\n      dhcp6: true\\n",
        ],
    ),
    broken(
        &["warn network-name-fixed"],
        &[
            NO_NETWORK,
            "WRITE /etc/netplan/a.yaml 600 network:\\n  ethernets:\\n    ens192:\\n      dhcp4: true\\n",
        ],
    ),
    broken(
        &["warn network-mac-pinned"],
        &[
            "WRITE /etc/udev/rules.d/70-persistent-net.rules 644 SUBSYSTEM==\"net\", ACTION==\"add\", ATTR{address}==\"52:54:00:12:34:56\", NAME=\"eth0\"\\n",
        ],
    ),
    // Where its data come from.
    broken(
        &["reject provisioner-datasource-taken"],
        &[
            "SED /boot/grub/grub.cfg console=tty0 ds=nocloud",
            "WRITE /etc/cloud/cloud.cfg.d/99.cfg 644 datasource_list: [ NoCloud, ConfigDrive ]\\n",
        ],
    ),
    // What the build left behind.
    broken(&["reject account-empty-password"], &["SED /etc/shadow root:*: root::"]),
    Broken {
        edits: &[
            "SED /etc/shadow root:*: root:$6$salt$hash:",
            "rm /etc/machine-id",
            "WRITE /etc/machine-id 444 0123456789abcdef0123456789abcdef\\n",
            "WRITE /root/.ssh/authorized_keys 600 ssh-ed25519 AAAAC3Nz builder\\n",
            "WRITE /root/.ssh/id_ed25519 600 -----BEGIN OPENSSH PRIVATE KEY-----\\n",
            "WRITE /root/.bash_history 600 export TOKEN=1\\n",
            "mkdir /root/.aws",
            "WRITE /root/.aws/credentials 600 [default]\\naws_secret_access_key = key\\n",
            "WRITE /etc/ssh/ssh_host_ed25519_key 600 key\\n",
        ],
        found: &[
            "warn account-password",
            "warn leftover-machine-id",
            "warn leftover-authorized-keys",
            "warn leftover-private-key",
            "warn leftover-history",
            "warn leftover-credentials",
            "note leftover-host-keys-replaced",
        ],
    },
];

#[test]
fn a_sound_disk_has_no_finding_above_a_note() {
    let Some(disk) = disk() else { return };
    let (found, report) = checked(disk, &["--guest", "require"]);
    let graver: Vec<_> = found.iter().filter(|said| !said.starts_with("note")).collect();
    assert!(graver.is_empty(), "{graver:#?}");
    assert_eq!(report["verdict"], "accept");
    let guest = &report["guest"];
    assert_eq!(guest["system"]["distribution"], "Debian");
    assert_eq!(guest["login"], "debian", "{guest:#}");
    assert_eq!(guest["provisioner"]["name"], "cloud-init");
    assert_eq!(guest["not_examined"].as_array().unwrap().len(), 0, "{guest:#}");
}

#[test]
fn each_thing_that_is_broken_is_found() {
    let Some(disk) = disk() else { return };
    let (layout, version) = (layout(disk), version(disk));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    // One copy of the disk for each of two threads.
    let missed: Vec<String> = std::thread::scope(|scope| {
        let halves = BROKEN.chunks(BROKEN.len().div_ceil(2)).enumerate().map(|(number, rows)| {
            let copy = folder.path().join(format!("{number}.raw"));
            let (layout, version) = (&layout, &version);
            scope.spawn(move || {
                rows.iter()
                    .filter_map(|broken| missed(disk, &copy, layout, version, broken))
                    .collect::<Vec<_>>()
            })
        });
        let halves: Vec<_> = halves.collect();
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// What is not found of a break, in words.
fn missed(
    disk: &Path,
    copy: &Path,
    layout: &Layout,
    version: &str,
    broken: &Broken,
) -> Option<String> {
    copied(disk, copy);
    edit(copy, layout, version, broken.edits);
    let (found, _) = checked(copy, &[]);
    let is_found = |wanted: &&&str| found.iter().any(|said| said.starts_with(**wanted));
    let missed: Vec<_> = broken.found.iter().filter(|wanted| !is_found(wanted)).collect();
    let edits = broken.edits;
    (!missed.is_empty()).then(|| format!("{edits:?}: {missed:?} was not found, but {found:#?}"))
}

#[test]
fn a_disk_without_its_boot_loader_does_not_boot() {
    let Some(disk) = disk() else { return };
    let layout = layout(disk);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let copy = folder.path().join("disk.raw");
    copied(disk, &copy);
    let file = File::options().write(true).open(&copy).unwrap();
    file.write_all_at(&[0; 64 << 10], layout.bios).unwrap();
    let (found, _) = checked(&copy, &[]);
    assert!(
        found.iter().any(|said| said.starts_with("reject boot-grub-not-installed")),
        "{found:#?}"
    );
    file.write_all_at(&[0; 440], 0).unwrap();
    let (found, report) = checked(&copy, &[]);
    let uefi = !report["guest"]["boot"]["uefi"].is_null();
    let expected = if uefi { "warn boot-uefi-only" } else { "reject boot-no-loader" };
    assert!(found.iter().any(|said| said.starts_with(expected)), "{found:#?}");
}

/// A configuration that is longer than any is read is no reason to refuse what it may configure.
#[test]
fn what_was_not_read_refuses_nothing() {
    let Some(disk) = disk() else { return };
    let (layout, version) = (layout(disk), version(disk));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let copy = folder.path().join("disk.raw");
    copied(disk, &copy);
    let long = "#".repeat(2 << 20);
    edit(&copy, &layout, &version, &[&format!("WRITE /etc/cloud/cloud.cfg.d/zz.cfg 644 {long}")]);
    let (found, _) = checked(&copy, &[]);
    assert!(found.iter().any(|said| said.starts_with("warn guest-unexaminable")), "{found:#?}");
    assert!(!found.iter().any(|said| said.starts_with("reject")), "{found:#?}");
}
