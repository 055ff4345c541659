//! The images API: the client and the commands against a server that answers by plan, with bodies that
//! DigitalOcean published (`testdata/api`).

#![cfg(feature = "net")]
#![allow(clippy::unwrap_used)] // a helper of tests that fails is a failed test

mod commands;
#[path = "../common/mod.rs"]
mod common;
mod create;
mod errors;
mod pages;
mod secrets;
#[path = "../common/server.rs"]
mod server;
mod support;
mod waiting;
