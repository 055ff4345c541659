//! A disk with a Debian that a Droplet could be made of, and what is found when one thing of it is broken.
//!
//! `make-debian` makes it, without root. Whatever is broken is broken by debugfs in a copy.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

pub(crate) use super::sample::{checked, disk};
use super::sample::{copy as copied, edit, layout, version};

/// Something that is broken in a disk.
struct Broken {
    /// What debugfs does to the root. WRITE PATH MODE TEXT writes a file, with \n for the ends of lines.
    edits: &'static [&'static str],
    /// What has to be found, as severity and code.
    found: &'static str,
}

const fn broken(found: &'static str, edits: &'static [&'static str]) -> Broken {
    Broken { edits, found }
}

/// One requirement after the other.
const BROKEN: &[Broken] = &[
    // Booting.
    broken("reject boot-kernel-missing", &["rm /boot/vmlinuz-VERSION"]),
    broken("reject boot-initrd-missing", &["rm /boot/initrd.img-VERSION"]),
    broken("reject boot-root-missing", &["SED /boot/grub/grub.cfg root=UUID=6f9b root=UUID=7f9b"]),
    broken("reject boot-root-device", &["SED /boot/grub/grub.cfg root=UUID=ROOT root=/dev/sda1"]),
    broken(
        "warn kernel-module-blacklisted",
        &["WRITE /etc/modprobe.d/no.conf 644 blacklist virtio_net\\n"],
    ),
    broken("warn kernel-no-modules", &["RMDIR /lib/modules/VERSION"]),
    // Setting the Droplet up.
    broken(
        "reject provisioner-datasource",
        &["WRITE /etc/cloud/cloud.cfg.d/99-installer.cfg 644 datasource_list: [ None ]\\n"],
    ),
    broken("reject provisioner-switched-off", &["WRITE /etc/cloud/cloud-init.disabled 644 x"]),
    broken("warn provisioner-missing", &["rm /usr/bin/cloud-init"]),
    // Mounting.
    broken("reject fstab-source-missing", &["SED /etc/fstab UUID=1A2B UUID=1A2C"]),
    broken("reject fstab-device-name", &["SED /etc/fstab UUID=1A2B-3C4D /dev/sdb1"]),
    // Logging in.
    broken("reject ssh-no-server", &["rm /usr/sbin/sshd"]),
    broken(
        "reject ssh-pubkey-off",
        &["WRITE /etc/ssh/sshd_config.d/a.conf 644 PubkeyAuthentication no\\n"],
    ),
    broken(
        "reject ssh-masked",
        &[
            "rm /etc/systemd/system/multi-user.target.wants/ssh.service",
            "rm /etc/systemd/system/sshd.service",
            "symlink /etc/systemd/system/ssh.service /dev/null",
        ],
    ),
    broken(
        "reject ssh-off",
        &[
            "rm /etc/systemd/system/multi-user.target.wants/ssh.service",
            "rm /etc/systemd/system/sshd.service",
        ],
    ),
    broken("reject ssh-not-to-be-run", &["WRITE /etc/ssh/sshd_not_to_be_run 644 no"]),
    broken("reject account-nologin", &["WRITE /etc/nologin 644 closed\\n"]),
    broken(
        "reject ssh-user-refused",
        &["WRITE /etc/ssh/sshd_config.d/a.conf 644 AllowUsers alice\\n"],
    ),
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
    let copy = folder.path().join("disk.raw");
    let mut missed = Vec::new();
    for broken in BROKEN {
        copied(disk, &copy);
        edit(&copy, &layout, &version, broken.edits);
        let (found, _) = checked(&copy, &[]);
        if !found.iter().any(|said| said.starts_with(broken.found)) {
            missed.push(format!(
                "{:?}: {} was not found, but {found:#?}",
                broken.edits, broken.found
            ));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
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
