//! The images API: the client and the commands against a server that answers by plan, with bodies that
//! DigitalOcean published (`testdata/api`).

#![cfg(feature = "net")]
#![allow(clippy::print_stderr)] // who runs the tests is told what was skipped
#![allow(clippy::unwrap_used)] // a helper of tests that fails is a failed test

#[path = "../common/tls.rs"]
mod authority;
mod commands;
#[path = "../common/mod.rs"]
mod common;
mod create;
mod deletes;
mod errors;
mod interrupts;
mod limits;
mod pages;
mod secrets;
#[path = "../common/server.rs"]
mod server;
mod support;
mod terminal;
mod tls;
mod transfers;
mod waiting;
mod waits;
