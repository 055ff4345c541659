//! What is read inside of disks, held against the programs that it is about.
//! What is read of a guest, against what other programs read of it.

#![allow(clippy::print_stderr)] // what is skipped is said
#![allow(clippy::unwrap_used)] // a test ends at what it did not expect

mod boot;
mod debugfs;
mod ds_identify;
mod ext;
