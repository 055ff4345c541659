//! The simulated bucket, asked by a client that signs on its own.

mod client;
mod faults;
mod objects;
mod process;
mod s3;
mod signatures;
mod uploads;
