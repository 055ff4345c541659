//! What a repository or a fleet says about its images: `tidegate.toml`, lists and shards of them, manifests of Packer,
//! and receipts of checks that were made.
//!
//! The room knows files of its own and what of them may be trusted. It knows no bytes of an image, and prints
//! nothing.

mod below;
mod config;
mod list;
mod no_lines;
mod packer;
mod receipt;
mod shard;
mod starter;
mod terms;

pub use below::Below;
pub use config::{ConfigError, Fault, Image, NAME, Place, Project, Set};
pub use list::{Between, ListError, MOST_IMAGES, MOST_NAMES, list};
pub use packer::{Artifact, ManifestError, Run, artifact};
pub use receipt::{Asked, Cache, Checked, Key, Receipt, Receipts, Refusal, Subject, Unwritable};
pub use shard::{Shard, ShardError};
pub use starter::{Starter, is_output_folder, starter};
pub use terms::Terms;
