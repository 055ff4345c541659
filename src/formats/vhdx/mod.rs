//! VHDX, the virtual hard disk v2 of Hyper-V (MS-VHDX). All numbers are little-endian; GUIDs have
//! their first three fields little-endian too.
//!
//! `header` is the file identifier, the two headers and the place of the log, `log` whether changes
//! wait there to be replayed, `tables` the region tables, `metadata` what the metadata region says
//! about the disk, `bat` the entries of the block allocation table (BAT), `disk` the way from a byte
//! of the disk through one of them, `walk` all of them, `gaps` what belongs to nothing, `examine` puts them in order.

mod bat;
mod disk;
mod examine;
mod gaps;
mod header;
mod log;
mod metadata;
mod tables;
mod walk;

pub(super) use examine::examine;
