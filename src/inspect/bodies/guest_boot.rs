//! What an initramfs of a guest has, as it is read for its modules.

use crate::guest::inside;

/// The names of the modules in an initramfs, how many entries it has, and what is wrong with it or was not examined.
#[must_use]
pub fn initramfs_modules(bytes: &[u8]) -> (Vec<Vec<u8>>, u64, Option<String>) {
    inside::initramfs(bytes)
}

/// An initramfs: it is read to an end, and each of its modules is an entry.
///
/// # Panics
/// If something is wrong.
pub fn initramfs(input: &[u8]) {
    let (modules, entries, _) = initramfs_modules(input);
    assert!(modules.len() as u64 <= entries, "{} modules in {entries} entries", modules.len());
}
