//! What is read inside of disks, held against the programs that it is about.

#![allow(clippy::print_stderr)] // what is skipped is said
#![allow(clippy::unwrap_used)] // a test ends at what it did not expect

mod ds_identify;
