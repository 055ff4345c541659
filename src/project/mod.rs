//! What a repository says about its images (`tidegate.toml`), and receipts of checks that were made.
//!
//! The room knows files of its own and what of them may be trusted. It knows no bytes of an image, and prints
//! nothing.

mod below;
mod config;
mod receipt;
mod starter;

pub use below::Below;
pub use config::{ConfigError, Fault, Image, NAME, Place, Project, Set};
pub use receipt::{Cache, Key, Receipt, Receipts, Refusal, Subject};
pub use starter::starter;
