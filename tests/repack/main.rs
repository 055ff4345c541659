//! `tidegate repack` as its users meet it: what comes out, held against the programs that it replaces, and what is left
//! where it fails.

#![allow(clippy::print_stderr)] // who runs the tests is told what was skipped
#![allow(clippy::unwrap_used)] // a helper of tests that fails is a failed test

#[path = "../common/mod.rs"]
mod common;
mod containers;
mod files;
mod images;
mod kills;
mod parts;
mod rig;
#[cfg(feature = "net")]
#[path = "../common/server.rs"]
mod server;
mod streams;
#[cfg(feature = "net")]
mod urls;
#[path = "../common/vmdk.rs"]
mod vmdk;
