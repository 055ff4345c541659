//! qcow2, versions 2 and 3 (QEMU `docs/interop/qcow2.rst`). All numbers are big-endian.
//!
//! `header` is the fixed header, `extensions` what follows it, `tables` where the tables lie, `disk` the way
//! from a byte of the disk to its cluster, `examine` puts them in order. `walk` reads every table, L2
//! tables in `groups`, and `counts` in `tally` what uses which cluster; `side_tables` are snapshots and
//! bitmaps, `entry` an L2 entry, `refcounts` those of a block;
//! `leaks` weighs what is counted and not used, `behind` what is mapped behind the end of the disk.

mod behind;
mod counts;
mod disk;
mod entry;
mod examine;
mod extensions;
mod groups;
mod header;
mod leaks;
mod refcounts;
mod room;
mod side_tables;
mod tables;
mod tally;
mod walk;
#[cfg(test)]
mod walk_tests;

pub(super) use examine::examine;
