//! Images without a fault, made by `qemu-img`.

use std::path::Path;
use std::process::Command;

use crate::common::{Scratch, gpt_parts};

/// Size of the disk in every image.
pub(crate) const DISK: u64 = 8 << 20;

/// How an image is made.
pub(crate) struct Made {
    pub(crate) format: &'static str,
    pub(crate) name: &'static str,
    options: &'static str,
    packed: bool,
    snapshot: bool,
    /// A stream whose tables come last, which `qemu-img` reads but does not write.
    footer: bool,
    /// What tidegate says of it although nothing is wrong: it is so, and the catalogue has a row for it.
    pub(crate) expected: &'static [&'static str],
}

const fn made(format: &'static str, name: &'static str, options: &'static str) -> Made {
    Made { format, name, options, packed: false, snapshot: false, footer: false, expected: &[] }
}

pub(crate) const MADE: &[Made] = &[
    made("qcow2", "v3-4k", "cluster_size=4k"),
    made("qcow2", "v3-64k", ""),
    made("qcow2", "lazy", "cluster_size=4k,lazy_refcounts=on"),
    Made { packed: true, ..made("qcow2", "compressed", "") },
    Made {
        snapshot: true,
        expected: &["qcow2-snapshots"],
        ..made("qcow2", "snapshot", "cluster_size=4k")
    },
    made("qcow2", "v2", "compat=0.10,cluster_size=4k"),
    Made {
        expected: &["qcow2-extended-l2"],
        ..made("qcow2", "extended-l2", "extended_l2=on,cluster_size=16k")
    },
    made("vhdx", "dynamic-1m", "block_size=1M,log_size=1M"),
    made("vhdx", "fixed", "subformat=fixed,block_size=1M,log_size=1M"),
    made("vdi", "dynamic", ""),
    made("vdi", "static", "static=on"),
    made("vmdk", "sparse", "subformat=monolithicSparse"),
    made("vmdk", "stream", "subformat=streamOptimized"),
    Made { footer: true, ..made("vmdk", "footer", "subformat=streamOptimized") },
];

/// A disk with a GPT and data in most places, some of it such as does not pack.
pub(crate) fn disk() -> Vec<u8> {
    let mut disk = vec![0; DISK as usize];
    let mut random = 1u64;
    for (index, chunk) in disk.chunks_mut(64 << 10).enumerate() {
        if index % 5 < 2 && index / 16 % 3 != 1 {
            for word in chunk[..20 << 10].chunks_mut(8) {
                random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                word.copy_from_slice(&match index % 2 {
                    0 => random.to_le_bytes(),
                    _ => (random >> 60 | 1).to_le_bytes(),
                });
            }
        }
    }
    for (at, bytes) in gpt_parts(DISK, "root") {
        disk[at as usize..at as usize + bytes.len()].copy_from_slice(&bytes);
    }
    disk
}

impl Made {
    /// Makes the image at `path` of the disk in the file `raw`.
    pub(crate) fn make(&self, scratch: &Scratch, raw: &Path, path: &Path) -> Vec<u8> {
        let mut command = Command::new("qemu-img");
        command.args(["convert", "-f", "raw", "-O", self.format]);
        if self.packed {
            command.arg("-c");
        }
        if !self.options.is_empty() {
            command.args(["-o", self.options]);
        }
        run(command.arg(raw).arg(path));
        if self.snapshot {
            run(Command::new("qemu-img").args(["snapshot", "-c", "before"]).arg(path));
            // Written anew, so that the snapshot has clusters and an L2 table for itself.
            let changed = scratch.path("changed.raw");
            let mut disk = std::fs::read(raw).unwrap();
            disk[2 << 20..(2 << 20) + 10_000].fill(0x5a);
            std::fs::write(&changed, &disk).unwrap();
            run(Command::new("qemu-img")
                .args(["convert", "-n", "-f", "raw", "-O", self.format])
                .args([&changed, path]));
            run(Command::new("qemu-img").args(["snapshot", "-c", "after"]).arg(path));
        }
        let image = std::fs::read(path).unwrap();
        if !self.footer {
            return image;
        }
        let image = with_footer(&image);
        std::fs::write(path, &image).unwrap();
        image
    }
}

/// The streamOptimized image with its tables behind the grains and a footer, as VMware writes it.
fn with_footer(image: &[u8]) -> Vec<u8> {
    const SECTOR: usize = 512;
    /// Entries of a grain table.
    const ENTRIES: usize = 512;
    /// Where a header has the grain directory, and the tables' second copy.
    const DIRECTORY: usize = 56;
    const REDUNDANT: usize = 48;
    let number = |at: usize| u32::from_le_bytes(image[at..at + 4].try_into().unwrap()) as usize;
    let marker = |sectors: u64, kind: u32| {
        let mut marker = [&sectors.to_le_bytes()[..], &[0; 4], &kind.to_le_bytes()].concat();
        marker.resize(SECTOR, 0);
        marker
    };
    let tables = (DISK as usize / SECTOR).div_ceil(number(20) * ENTRIES);
    let directory = number(DIRECTORY) * SECTOR;
    let overhead = number(64) * SECTOR;
    let mut out = image[..overhead].to_vec();
    // Of what was there only the header and the descriptor are left.
    out[(number(28) + number(36)) * SECTOR..].fill(0);
    let mut places = Vec::new();
    for table in 0..tables {
        let from = number(directory + table * 4) * SECTOR;
        let mut entries = Vec::new();
        for entry in (0..ENTRIES).map(|index| from + index * 4) {
            let grain = number(entry) * SECTOR;
            entries.extend(match grain {
                0 => [0; 4],
                _ => ((out.len() / SECTOR) as u32).to_le_bytes(),
            });
            if grain != 0 {
                out.extend(&image[grain..grain + 12 + number(grain + 8)]);
                out.resize(out.len().next_multiple_of(SECTOR), 0);
            }
        }
        out.extend(marker((ENTRIES * 4 / SECTOR) as u64, 1));
        places.extend(((out.len() / SECTOR) as u32).to_le_bytes());
        out.extend(entries);
    }
    out.extend(marker(places.len().div_ceil(SECTOR) as u64, 2));
    let directory = (out.len() / SECTOR) as u64;
    out.extend(&places);
    out.resize(out.len().next_multiple_of(SECTOR), 0);
    let flags = number(8) as u32 & !2;
    out[8..12].copy_from_slice(&flags.to_le_bytes());
    out[REDUNDANT..REDUNDANT + 8].fill(0);
    let mut footer = out[..SECTOR].to_vec();
    footer[DIRECTORY..DIRECTORY + 8].copy_from_slice(&directory.to_le_bytes());
    out[DIRECTORY..DIRECTORY + 8].fill(0xff);
    out.extend(marker(1, 3));
    out.extend(footer);
    out.extend(marker(0, 0));
    out
}

fn run(command: &mut Command) {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}
