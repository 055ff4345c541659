//! The program as its users meet it: arguments in, exit code, standard output and standard error out.

#![allow(clippy::print_stderr)] // who runs the tests is told what was skipped
#![allow(clippy::unwrap_used)] // a helper of tests that fails is a failed test

mod beneath;
mod bounds;
mod closed;
mod clusters;
#[path = "../common/mod.rs"]
mod common;
mod disks;
mod ends;
#[path = "../common/flipper.rs"]
mod flipper;
mod folder;
mod hidden;
mod hostile;
mod integrity;
mod jobs;
mod layout;
mod limits;
mod marks;
mod members;
mod optical;
mod output;
mod outputs;
mod packed_clusters;
mod packed_threads;
mod peers;
mod policy;
mod qcow2;
mod qcow2_bitmaps;
mod qcow2_causes;
mod qcow2_lost;
mod qcow2_packed;
mod quota;
mod readings;
mod shifted;
mod short_clusters;
mod signals;
mod sources;
mod streams;
mod threads;
mod vdi;
mod vhdx;
mod vhdx_unseen;
mod vmdk;
mod vmdk_readers;
mod vmdk_refused;
