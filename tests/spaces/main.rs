//! The client of Spaces: a server that misbehaves by plan, and one that nobody here wrote (moto).

#![cfg(feature = "net")]
#![allow(clippy::print_stderr)] // who runs the tests is told what was skipped
#![allow(clippy::unwrap_used)] // a helper of tests that fails is a failed test

#[path = "../common/mod.rs"]
mod common;
mod complete;
mod drip;
mod faults;
mod hostile;
mod moto;
#[path = "../common/moto.rs"]
mod moto_server;
#[path = "../common/server.rs"]
mod server;
mod support;
mod versions;
