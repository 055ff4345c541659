//! Images by URL: an HTTP server that misbehaves by plan, and one that nobody here wrote (nginx).

#![cfg(feature = "net")]
#![allow(clippy::print_stderr)] // who runs the tests is told what was skipped
#![allow(clippy::unwrap_used)] // a helper of tests that fails is a failed test

mod again;
#[path = "../common/tls.rs"]
mod authority;
#[path = "../common/mod.rs"]
mod common;
mod early;
mod faults;
mod nginx;
mod parts;
mod patience;
mod redirects;
mod rules;
mod seams;
mod secrets;
#[path = "../common/server.rs"]
mod server;
mod tls;
