//! The simulator of DigitalOcean's images API and of Spaces, through the real program, held against what is
//! published of them.

#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used)] // a helper of tests that fails is a failed test

mod api;
mod bucket;
#[path = "../common/mod.rs"]
mod common;
mod faults;
mod fixtures;
mod imports;
mod process;
mod rig;
#[cfg(feature = "net")]
mod together;
