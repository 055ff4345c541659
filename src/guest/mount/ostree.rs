//! Roots that OSTree deploys: the directory `/ostree/deploy/OS/deploy/HASH.N` of a volume, chosen by the boot loader's entry.

use super::super::fs::{Kind, Node, Trouble};
use super::super::tree::Tree;
use super::table::skipped;

/// Systems, deployments and entries that tidegate reads.
const MOST: usize = 32;

/// A deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deployment {
    /// What is the root.
    pub(super) node: Node,
    /// What is mounted at `/var`.
    pub(super) var: Option<Node>,
    /// The volume of the boot loader's entries, if it is another one.
    pub(super) boot: Option<usize>,
}

/// The deployment that a volume boots; `None` if it has none. The volume is mounted as the root afterwards.
pub(super) fn find(tree: &mut Tree<'_>, volume: usize) -> Result<Option<Deployment>, Trouble> {
    tree.mount_root(volume, None);
    if !tree.is_directory("/ostree/deploy")? {
        return Ok(None);
    }
    let entry = entry(tree, volume)?;
    tree.mount_root(volume, None);
    let (named, boot) = match entry {
        Some((path, boot)) => (tree.stat(&path)?, boot),
        None => (None, None),
    };
    let named = named.filter(|found| found.inode.kind == Kind::Directory);
    let found = match named {
        Some(found) => Some(found),
        None => last(tree)?,
    };
    let Some(found) = found else { return Ok(None) };
    // /ostree/deploy/OS/deploy/HASH.N
    let var = found
        .path
        .split(|&byte| byte == b'/')
        .nth(3)
        .map(|os| [b"/ostree/deploy/", os, b"/var"].concat());
    let var = match var {
        Some(path) => skipped(tree.stat(path))?.flatten().map(|found| found.node),
        None => None,
    };
    Ok(Some(Deployment { node: found.node, var, boot }))
}

/// A path, and a volume.
type Entry = (Vec<u8>, Option<usize>);

/// The path that `ostree=` of the first entry names, and the volume of the entry if it is another one.
fn entry(tree: &mut Tree<'_>, volume: usize) -> Result<Option<Entry>, Trouble> {
    let mut places = vec![(volume, "/boot/loader/entries")];
    places.extend(
        tree.opened()
            .into_iter()
            .filter(|&other| other != volume)
            .map(|other| (other, "/loader/entries")),
    );
    for (place, folder) in places {
        tree.mount_root(place, None);
        // The newest deployment has the highest name.
        let names = skipped(tree.names(folder, ".conf"))?.unwrap_or_default();
        for name in names.iter().rev().take(MOST) {
            let path = [folder.as_bytes(), b"/", name].concat();
            let Some(text) = skipped(tree.text(path))?.flatten() else { continue };
            for (_, line) in text.lines().filter(|(_, line)| line.starts_with(b"options")) {
                let mut words = line.split(u8::is_ascii_whitespace);
                if let Some(path) = words.find_map(|word| word.strip_prefix(b"ostree=")) {
                    return Ok(Some((path.to_vec(), (place != volume).then_some(place))));
                }
            }
        }
    }
    Ok(None)
}

/// The deployment that was changed last.
fn last(tree: &mut Tree<'_>) -> Result<Option<super::super::tree::Found>, Trouble> {
    let mut newest: Option<super::super::tree::Found> = None;
    for system in tree.list("/ostree/deploy")?.unwrap_or_default().iter().take(MOST) {
        let folder = [b"/ostree/deploy/", &system.name[..], b"/deploy"].concat();
        for deployed in tree.list(&folder)?.unwrap_or_default().iter().take(MOST) {
            let path = [&folder[..], b"/", &deployed.name].concat();
            let Some(found) = tree.stat(path)? else { continue };
            let is_newer =
                newest.as_ref().is_none_or(|other| found.inode.modified > other.inode.modified);
            if found.inode.kind == Kind::Directory && is_newer {
                newest = Some(found);
            }
        }
    }
    Ok(newest)
}
