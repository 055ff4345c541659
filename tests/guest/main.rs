//! What is read inside of disks, held against the programs that it is about.

#![allow(clippy::print_stderr)] // what is skipped is said
#![allow(clippy::unwrap_used)] // a test ends at what it did not expect

mod boot;
#[path = "../common/mod.rs"]
mod common;
mod debian;
mod debugfs;
#[path = "../common/disks.rs"]
mod disks;
mod ds_configurations;
mod ds_identify;
mod ext;
mod ext_journal;
mod ext_trees;
mod fat;
mod files;
mod log;
mod netplan;
mod other_roots;
#[path = "../common/random.rs"]
mod random;
mod remedies;
mod roots;
#[path = "../common/sample.rs"]
mod sample;
mod subvolumes;
mod volumes;
