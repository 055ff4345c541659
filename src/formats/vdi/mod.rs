//! VDI, the disk image of VirtualBox, version 1.1. All numbers are little-endian.
//!
//! `header` is the fixed header, `tables` where block map and data lie, `disk` the way from a byte
//! of the disk through the block map, `examine` puts them in order.

mod disk;
mod examine;
mod header;
mod tables;

pub(super) use examine::examine;
