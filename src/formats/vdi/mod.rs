//! VDI, the disk image of VirtualBox, version 1.1. All numbers are little-endian.
//!
//! `header` is the fixed header, `tables` where block map and data lie, `disk` the way from a byte
//! of the disk through the block map, `walk` all of the map, `examine` puts them in order.

mod disk;
mod examine;
mod header;
mod tables;
mod walk;

pub(super) use examine::examine;
