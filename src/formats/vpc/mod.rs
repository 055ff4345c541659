//! VHD (Virtual PC, Hyper-V, Azure), as "Virtual Hard Disk Image Format Specification" of Microsoft, 2006, describes it.
//!
//! DigitalOcean does not take it: it is read only to take the disk out of it. So one field that does not fit the others
//! is enough to refuse the image, and nothing is reported beyond the first reason. A fixed VHD is the disk with a
//! [`Footer`] behind it; a dynamic one is a header, a table of blocks and the blocks.

mod disk;
mod examine;
mod header;

pub(super) use examine::examine;
pub use header::Footer;
