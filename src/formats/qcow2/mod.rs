//! qcow2, versions 2 and 3 (QEMU `docs/interop/qcow2.rst`). All numbers are big-endian.
//!
//! `header` is the fixed header and its extensions, `tables` where the tables lie, `disk` the way
//! from a byte of the disk to its cluster, `examine` puts them in order.

mod disk;
mod examine;
mod header;
mod tables;

pub(super) use examine::examine;
