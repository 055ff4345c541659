//! `tidegate push` and `tidegate sweep` through the real program, against `tidegate simulate` in a process of
//! its own: what they do, and what is left when they fail, are interrupted, or are killed.
//!
//! `TIDEGATE_PUSH_FULL=1` kills far more often; `TIDEGATE_PUSH_SEED` repeats the random kills of a run that
//! printed its seed.

#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used)] // a helper of tests that fails is a failed test
#![allow(clippy::print_stderr)] // what is skipped, and seeds, are told

mod back;
#[path = "../common/mod.rs"]
mod common;
mod crash;
mod disks;
mod documents;
#[path = "../common/disks.rs"]
mod ext_disks;
mod faults;
#[path = "../common/flipper.rs"]
mod flipper;
mod gate;
mod gone;
mod interrupts;
mod job;
mod journals;
mod journals_untrusted;
mod left;
mod limits;
mod lost;
mod mint;
mod moto;
#[path = "../common/moto.rs"]
mod moto_server;
mod nightly;
mod objects;
mod once;
mod pasted;
mod plan;
mod radosgw;
mod random;
mod rehearsal;
mod repack;
mod resume;
mod retyped;
mod rig;
mod secrets;
#[path = "../common/server.rs"]
mod server;
mod url;
#[path = "../common/vmdk.rs"]
mod vmdk;
