//! The images that are pushed.

use std::sync::OnceLock;

use crate::common::*;
use crate::rig::*;

/// Parts of the smallest size that S3 takes.
pub(crate) const PARTS: [&str; 2] = ["--part-size", "5MiB"];

/// A file of five such parts, as it is sent: gzip, which cannot make it smaller.
pub(crate) fn big() -> &'static [u8] {
    static BIG: OnceLock<Vec<u8>> = OnceLock::new();
    BIG.get_or_init(|| gzip(&big_disk(22 * MIB)))
}

/// As [`big`], but only its end tells that it is none: the last bytes are missing.
pub(crate) fn cut() -> &'static [u8] {
    &big()[..big().len() - 6]
}

/// A big image that the check refuses by its first bytes: nothing is uploaded of it.
pub(crate) fn backed() -> Vec<u8> {
    qcow2_with_backing(b"base.img")
}

/// How many parts a file of these bytes has.
pub(crate) fn parts(bytes: &[u8]) -> usize {
    bytes.len().div_ceil(5 * MIB)
}
