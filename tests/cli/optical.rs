//! Optical discs before the partitions of a disk.

use crate::common::*;
use crate::marks::found;

/// Where the root directory of [`shell`] is.
const ROOT: usize = 15 * 2048;

/// A disk with a GPT, and before its partition an ISO 9660 volume of 24 blocks without a file.
fn shell() -> Vec<u8> {
    let mut disk = disk();
    disk[0x8000..0x8007].copy_from_slice(b"\x01CD001\x01");
    disk[0x8050..0x8058].copy_from_slice(&[24, 0, 0, 0, 0, 0, 0, 24]);
    disk[0x8080..0x8084].copy_from_slice(&[0, 8, 8, 0]);
    disk[0x8800..0x8807].copy_from_slice(b"\xffCD001\x01");
    for (name, at) in [(0, 0x809c), (0, ROOT), (1, ROOT + 34)] {
        disk[at] = 34;
        disk[at + 2..at + 10].copy_from_slice(&[15, 0, 0, 0, 0, 0, 0, 15]);
        disk[at + 10..at + 18].copy_from_slice(&[0, 8, 0, 0, 0, 0, 8, 0]);
        disk[at + 32..at + 34].copy_from_slice(&[1, name]);
    }
    disk
}

#[test]
fn an_empty_optical_disc_before_the_partitions_is_a_note() {
    let scratch = Scratch::new();
    let mut disk = shell();
    for (blocks, verdict, code) in [(24u32, "accept", "iso-shell"), (2000, "warn", "iso-hybrid")] {
        disk[0x8050..0x8054].copy_from_slice(&blocks.to_le_bytes());
        disk[0x8054..0x8058].copy_from_slice(&blocks.to_be_bytes());
        let (_, report) = report(&[scratch.write("disk.img", &disk)]);
        assert_eq!((report["verdict"].as_str().unwrap(), codes(&report)), (verdict, vec![code]));
    }
}

#[test]
fn an_optical_disc_that_may_have_files_is_a_warning() {
    let scratch = Scratch::new();
    let shell = shell();
    assert_eq!(found(&scratch, &shell, "note"), ["iso-shell"]);
    let mut udf = shell.clone();
    for (block, mark) in
        [(0x9000, b"\0BEA01\x01"), (0x9800, b"\0NSR03\x01"), (0xa000, b"\0TEA01\x01")]
    {
        udf[block..block + 7].copy_from_slice(mark);
    }
    // What follows the 68 KiB that are looked at may be a descriptor with files.
    let mut long = shell.clone();
    for block in 17..34 {
        long[block * 2048..][..7].copy_from_slice(b"\x03CD001\x01");
    }
    let mut open = shell.clone();
    open[0x8801] = 0;
    // Readers go to another directory: behind an extended attribute record, or where its first entry leads.
    let mut attributes = shell.clone();
    attributes[0x809d] = 1;
    let mut elsewhere = shell.clone();
    elsewhere[ROOT + 2] = 21;
    elsewhere[ROOT + 9] = 21;
    let mut none = shell;
    none[0x80a6..0x80ae].fill(0);
    for disk in [udf, long, open, attributes, elsewhere, none] {
        assert_eq!(found(&scratch, &disk, "warn"), ["iso-hybrid"]);
    }
}
