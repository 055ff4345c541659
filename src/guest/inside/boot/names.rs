//! Names on a volume as firmware and boot loaders see it: without mounts, and on FAT without regard to case.

use super::super::super::fs::{FileSystem, Kind, Node, Trouble};

/// Names of a directory that tidegate reads.
const MOST_NAMES: usize = 4096;

/// The inode at a path on a volume, from its root on; no link is followed.
///
/// # Errors
/// If it cannot be read.
pub(super) fn walk(
    system: &mut dyn FileSystem,
    path: &[&[u8]],
    folded: bool,
) -> Result<Option<Node>, Trouble> {
    let mut at = system.root();
    for name in path {
        if system.inode(at)?.kind != Kind::Directory {
            return Ok(None);
        }
        let mut found = None;
        system.list(at, &mut |other, node| {
            if other == *name || folded && other.eq_ignore_ascii_case(name) {
                found = Some(node);
            }
            found.is_none()
        })?;
        let Some(node) = found else { return Ok(None) };
        at = node;
    }
    Ok(Some(at))
}

/// The names in a directory, in order; no more than tidegate reads.
///
/// # Errors
/// If it cannot be read.
pub(super) fn list(
    system: &mut dyn FileSystem,
    directory: Node,
) -> Result<Vec<(Vec<u8>, Node)>, Trouble> {
    let mut names = Vec::new();
    if system.inode(directory)?.kind != Kind::Directory {
        return Ok(names);
    }
    system.list(directory, &mut |name, node| {
        names.push((name.to_vec(), node));
        names.len() < MOST_NAMES
    })?;
    names.sort();
    Ok(names)
}
