//! Disks whose volumes hold no system, or several, or are damaged.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::debian::checked;
use super::disks::{have, of_trees as disk};

const MIB: u64 = 1 << 20;

const SYSTEM: &[(&str, &str)] =
    &[("etc/fstab", ""), ("etc/os-release", "ID=debian\n"), ("bin/sh", ""), ("usr/bin/env", "")];

#[test]
fn a_disk_without_a_system_is_a_note_and_one_with_two_a_warning() {
    if !have(&["mke2fs", "sfdisk"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (found, report) = checked(&disk(folder.path(), &[&[("readme", "nothing else\n")]]), &[]);
    assert_eq!(found, ["note guest-no-root "]);
    assert_eq!(report["guest"]["volumes"][0]["holds"], "ext4");
    let folder = tempfile::tempdir().unwrap();
    let (found, _) = checked(&disk(folder.path(), &[SYSTEM, SYSTEM]), &[]);
    assert_eq!(found, ["warn guest-several-roots "]);
}

#[test]
fn a_damaged_file_system_is_never_taken_for_an_empty_one() {
    if !have(&["mke2fs", "sfdisk"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = disk(folder.path(), &[SYSTEM]);
    let file = File::options().write(true).open(&path).unwrap();
    // A label that its check sum does not know.
    file.write_all_at(b"other", MIB + 1024 + 0x78).unwrap();
    let (found, report) = checked(&path, &[]);
    assert_eq!(found, ["warn guest-unexaminable "]);
    assert_eq!(report["verdict"], "warn");
    let (found, _) = checked(&path, &["--guest", "require"]);
    assert_eq!(found, ["reject guest-unexaminable "]);
    let (found, _) = checked(&path, &["--guest", "never"]);
    assert_eq!(found, [""; 0]);
}

/// Nobody reads what is encrypted.
#[test]
fn what_nothing_reads_is_a_note() {
    let folder = tempfile::tempdir().unwrap();
    if !have(&["mke2fs", "sfdisk"]) {
        return;
    }
    let path = disk(folder.path(), &[SYSTEM]);
    let luks = File::options().write(true).open(&path).unwrap();
    luks.write_all_at(b"LUKS\xba\xbe\0\x01", MIB).unwrap();
    luks.write_all_at(&[0; 2], MIB + 1024 + 0x38).unwrap();
    let (found, _) = checked(&path, &[]);
    assert_eq!(found, ["note guest-not-examined "]);
}
