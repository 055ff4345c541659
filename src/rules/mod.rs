//! What an anomaly means for DigitalOcean: the catalogue of findings, the policy and the verdict.
//!
//! The room knows every finding's severity, explanation, remedy and source. It does no I/O and knows
//! no bytes.

mod catalogue;
mod identity;
#[cfg(feature = "net")]
pub mod importer;
mod policy;
pub mod remedy;

pub use catalogue::{Row, Severity, row, version};
pub use identity::{Identity, identify};
pub use policy::{Policy, PolicyError};

/// What an image and a disk have to stay under, in bytes: "must be smaller than 100 GB after being
/// decompressed" (DigitalOcean API, create a custom image). Decimal is the safe reading.
pub const SIZE_LIMIT: u64 = 100_000_000_000;
