//! VMDK, the sparse extent with its embedded descriptor: monolithicSparse and streamOptimized; and, for repacking, the
//! descriptor of a disk in several files (VMware Virtual Disk Format 1.1). All numbers are little-endian and count sectors of 512 bytes.
//!
//! `header` is the sparse extent header, `descriptor` the text that names the parts, `extents` its
//! lines about them, `parts` what a descriptor in a file of its own names, `parent` all ways to name a parent in it, `readers` where those who read it differ, `qemu` what QEMU
//! makes of it, `footer` the copy of the header at the end of a stream, `tables` where the grain directories lie, `maps` what directories and tables say, `starts` whether grains overlap, `front` what stands before them, `markers`
//! what stands before the grains of a stream, `stream` all of it in order, `agreement` holds it against
//! the tables, `walk` goes over both, `resolve` finds the directory, `disk` is the way from a byte of
//! the disk to its grain, `examine` puts them in order.

mod agreement;
mod descriptor;
mod disk;
mod examine;
mod extents;
mod footer;
mod front;
mod header;
mod maps;
mod markers;
mod parent;
mod parts;
mod qemu;
mod readers;
mod resolve;
#[cfg(test)]
mod sample;
mod starts;
mod stream;
mod tables;
mod walk;
#[cfg(test)]
mod walk_tests;

pub(super) use examine::{examine, examine_part};
pub use parts::{Content, Flat, Part, Parts, parts};

/// The unit of all places and sizes in the format (VMware Virtual Disk Format 1.1, 4.1).
const SECTOR: u64 = 512;

/// Image offset of a sector, as far as a number can say it.
fn offset_of(sector: u64) -> u64 {
    sector.saturating_mul(SECTOR)
}
