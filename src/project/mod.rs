//! What a repository says about its images (`tidegate.toml`), and receipts of checks that were made.
//!
//! The room knows files of its own and what of them may be trusted. It knows no bytes of an image, and prints
//! nothing.
