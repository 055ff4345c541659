//! Disks whose partition tables are wrong, raw, in a container and packed.

use crate::Promise::{self, Mended};
use crate::common::gzip;
use crate::disk::{Disk, LAST};
use crate::folder::{Folder, Made};

type Entry = (&'static str, fn(&Folder, &str) -> Option<Made>, Promise);

pub(crate) const ENTRIES: &[Entry] = &[
    ("mbr-hybrid", |f, s| raw(f, s, changed(|d| d.entry(0, 1, (0x83, 2048, 1000)))), Mended),
    ("gpt-primary-damaged", |f, s| qcow2(f, s, changed(|d| d.put(512 + 40, &[0xff]))), Mended),
    ("gpt-backup-damaged", |f, s| raw(f, s, changed(|d| d.put(END + 40, &[0xff]))), Mended),
    ("gpt-backup-misplaced", |f, s| packed(f, s, longer()), Mended),
    ("gpt-past-end", |f, s| raw(f, s, shorter(1 << 20)), Mended),
    ("gpt-past-end", |f, s| raw(f, s, shorter(3 << 20)), Mended),
    ("disk-too-large", |f, s| limited(raw(f, s, Disk::gpt().0)), Mended),
    ("disk-too-large", |f, s| limited(qcow2(f, s, Disk::gpt().0)), Mended),
    ("image-too-large", |f, s| limited(raw(f, s, ordinary())), Mended),
    ("disk-too-large", |f, s| limited(qcow2(f, s, ordinary())), Mended),
    (
        "gpt-protective-mbr-twice",
        |f, s| raw(f, s, changed(|d| d.entry(0, 1, (0xee, 9, 9)))),
        Mended,
    ),
    (
        "gpt-protective-mbr-odd",
        |f, s| packed(f, s, changed(|d| d.entry(0, 0, (0xee, 1, 0)))),
        Mended,
    ),
    ("gpt-without-protective-mbr", |f, s| qcow2(f, s, changed(|d| d.put(446, &[0; 66]))), Mended),
];

/// Where the backup header is.
const END: usize = LAST as usize * 512;

fn changed(change: impl Fn(&mut Disk)) -> Vec<u8> {
    let mut disk = Disk::gpt();
    change(&mut disk);
    disk.0
}

fn longer() -> Vec<u8> {
    let mut disk = Disk::gpt().0;
    disk.resize(disk.len() + (1 << 20), 0);
    disk
}

fn shorter(by: usize) -> Vec<u8> {
    let mut disk = Disk::gpt().0;
    disk.truncate(disk.len() - by);
    disk
}

/// A disk with an MBR, whose partitions end in its fourth MiB.
fn ordinary() -> Vec<u8> {
    Disk::mbr(&[(0x83, 2048, 1000), (0x83, 4096, 3000)]).0
}

/// Checked against a limit of a little less than the disk.
fn limited(made: Option<Made>) -> Option<Made> {
    made.map(|made| Made { options: vec!["--max-size".into(), "8000000".into()], ..made })
}

fn raw(folder: &Folder, stem: &str, disk: Vec<u8>) -> Option<Made> {
    let name = format!("{stem}.raw");
    folder.write(&name, &disk);
    Made::plain(name)
}

fn packed(folder: &Folder, stem: &str, disk: Vec<u8>) -> Option<Made> {
    let name = format!("{stem}.raw.gz");
    folder.write(&name, &gzip(&disk));
    Made::plain(name)
}

fn qcow2(folder: &Folder, stem: &str, disk: Vec<u8>) -> Option<Made> {
    let name = format!("{stem}.qcow2");
    folder.image(&name, &disk, "qcow2", &[])?;
    Made::plain(name)
}
