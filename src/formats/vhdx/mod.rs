//! VHDX, the virtual hard disk v2 of Hyper-V (MS-VHDX). All numbers are little-endian; GUIDs have
//! their first three fields little-endian too.
//!
//! `header` is the file identifier, the two headers and the place of the log, `tables` the region
//! tables, `metadata` what the metadata region says about the disk, `disk` the way from a byte of
//! the disk through the block allocation table (BAT), `examine` puts them in order.

mod disk;
mod examine;
mod header;
mod metadata;
mod tables;

pub(super) use examine::examine;
