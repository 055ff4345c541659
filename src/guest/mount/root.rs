//! Which of the opened volumes is the guest's root.
//!
//! A root is a tree with `/etc` and programs. Of copies of one, such as snapshots and A/B pairs, the one counts that boots;
//! where that cannot be told, there are several roots.

use super::super::PartitionTable;
use super::super::fs::{Node, Trouble, Why};
use super::super::tree::Tree;
use super::super::volumes::Holds;
use super::ostree::{self, Deployment};
use super::source::resolve;
use super::table::{is_flatcar_usr, lines_of, priority, skipped};

/// Subvolumes of a volume that are looked at.
const MOST_SUBVOLUMES: usize = 32;

/// Names that systems give to the subvolume of their root.
const SUBVOLUMES: [&[u8]; 4] = [b"subvol=@", b"subvol=root", b"subvol=@rootfs", b"subvol=@root"];

/// Of a GPT, the type of a root for x86-64.
const TYPE: &str = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709";

/// Where a root is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rooted {
    pub(super) volume: usize,
    /// The subvolume, if it is not the volume's own root.
    node: Option<Node>,
    deployment: Option<Deployment>,
    /// The volume that is known to be `/boot`.
    pub(super) boot: Option<usize>,
}

impl Rooted {
    fn new(volume: usize, node: Option<Node>) -> Self {
        Rooted { volume, node, deployment: None, boot: None }
    }

    pub(super) fn is_ostree(&self) -> bool {
        self.deployment.is_some()
    }

    /// Mounts it, and what belongs to it by its kind.
    pub(super) fn mount(&self, tree: &mut Tree<'_>) {
        let Some(deployment) = &self.deployment else {
            tree.mount_root(self.volume, self.node);
            return;
        };
        tree.mount_root(self.volume, None);
        let boot = tree.stat("/boot").ok().flatten().map(|found| found.node);
        tree.mount_root(self.volume, Some(deployment.node));
        tree.mount(b"/sysroot", self.volume, None);
        if let Some(var) = deployment.var {
            tree.mount(b"/var", self.volume, Some(var));
        }
        if let Some(boot) = boot.filter(|_| self.boot.is_none()) {
            tree.mount(b"/boot", self.volume, Some(boot));
        }
    }
}

/// What was found.
pub(super) enum Found {
    None,
    One(Rooted),
    Several(Vec<usize>),
}

/// Looks at all opened volumes.
pub(super) fn find(
    tree: &mut Tree<'_>,
    table: &PartitionTable,
    not_opened: &mut Vec<(usize, Why)>,
) -> Result<Found, Trouble> {
    let mut roots = Vec::new();
    for volume in tree.opened() {
        match of_volume(tree, volume) {
            Ok(found) => roots.extend(found),
            Err(Trouble::Left(why)) => not_opened.push((volume, why)),
            Err(halt) => return Err(halt),
        }
    }
    if roots.is_empty() {
        roots.extend(flatcar(tree));
    }
    let roots = decided(tree, table, roots)?;
    // Whatever was tried is not mounted any more; a volume that is not opened is no root.
    tree.mount_root(usize::MAX, None);
    Ok(match <[Rooted; 1]>::try_from(roots) {
        Ok([root]) => Found::One(root),
        Err(roots) if roots.is_empty() => Found::None,
        Err(roots) => Found::Several(roots.into_iter().map(|root| root.volume).collect()),
    })
}

/// The root in a volume: one at most, as its subvolumes are snapshots of it.
fn of_volume(tree: &mut Tree<'_>, volume: usize) -> Result<Option<Rooted>, Trouble> {
    if is_root(tree, volume, None)? {
        return Ok(Some(by_fstab(tree, volume)?));
    }
    if let Some(deployment) = ostree::find(tree, volume)? {
        let boot = deployment.boot;
        return Ok(Some(Rooted { volume, node: None, deployment: Some(deployment), boot }));
    }
    if tree.volumes()[volume].holds != Holds::Btrfs {
        return Ok(None);
    }
    for node in subvolumes(tree, volume)? {
        if is_root(tree, volume, Some(node))? {
            return Ok(Some(Rooted::new(volume, Some(node))));
        }
    }
    Ok(None)
}

/// The volume's own root, or the subvolume that its fstab says instead.
fn by_fstab(tree: &mut Tree<'_>, volume: usize) -> Result<Rooted, Trouble> {
    let own = Rooted::new(volume, None);
    if tree.volumes()[volume].holds != Holds::Btrfs {
        return Ok(own);
    }
    let lines = lines_of(tree)?;
    let Some(line) = lines.iter().find(|line| line.at.is_empty()) else { return Ok(own) };
    let same = resolve(tree.volumes(), &line.source) == Some(volume);
    let node = super::table::subvolume(tree, volume, line.subvolume())?.flatten();
    match node {
        Some(node) if same && is_root(tree, volume, Some(node))? => {
            Ok(Rooted::new(volume, Some(node)))
        }
        _ => Ok(own),
    }
}

/// Subvolumes that may be a root: those of known names first, then others in the top directory.
fn subvolumes(tree: &mut Tree<'_>, volume: usize) -> Result<Vec<Node>, Trouble> {
    let Some(system) = tree.system(volume) else { return Ok(Vec::new()) };
    let mut nodes = Vec::new();
    for option in SUBVOLUMES {
        nodes.extend(skipped(system.subvolume(option))?.flatten());
    }
    let top = skipped(system.subvolume(b"subvolid=5"))?.flatten().unwrap_or(system.root());
    let mut others = Vec::new();
    let listed = system.list(top, &mut |_, node| {
        if node.tree != top.tree {
            others.push(node);
        }
        others.len() < MOST_SUBVOLUMES
    });
    skipped(listed)?;
    nodes.extend(others);
    let mut seen = Vec::new();
    nodes.retain(|node| {
        !seen.contains(node) && {
            seen.push(*node);
            true
        }
    });
    Ok(nodes)
}

/// Whether a tree looks like a root: `/etc`, and programs, the store of Nix or OSTree's; or a store with a system in it.
fn is_root(tree: &mut Tree<'_>, volume: usize, node: Option<Node>) -> Result<bool, Trouble> {
    tree.mount_root(volume, node);
    // Links count: what they lead to may be on another volume.
    if tree.lstat("/nix/var/nix/profiles/system")?.is_some() && tree.is_directory("/nix/store")? {
        return Ok(true);
    }
    if tree.lstat("/etc")?.is_none() {
        return Ok(false);
    }
    for path in ["/bin", "/usr/bin", "/nix/store", "/ostree"] {
        if tree.lstat(path)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Flatcar's root is nearly empty until it boots: it is known by its name beside a volume for `/usr`.
fn flatcar(tree: &Tree<'_>) -> Option<Rooted> {
    let (volumes, opened) = (tree.volumes(), tree.opened());
    opened.iter().find(|&&volume| is_flatcar_usr(&volumes[volume]))?;
    let is = |&&volume: &&usize| volumes[volume].partlabel.as_deref() == Some(b"ROOT");
    opened.iter().find(is).map(|&volume| Rooted::new(volume, None))
}

/// Leaves of several roots those that are no copy of another one, as far as that can be told.
fn decided(
    tree: &mut Tree<'_>,
    table: &PartitionTable,
    mut roots: Vec<Rooted>,
) -> Result<Vec<Rooted>, Trouble> {
    let mut index = 0;
    while index < roots.len() {
        let (before, rest) = roots.split_at(index);
        let this = rest[0].volume;
        let volumes = tree.volumes();
        let other = before.iter().position(|other| {
            let other = &volumes[other.volume];
            let same = other.uuid.is_some() && other.uuid == volumes[this].uuid;
            same || are_pair(other, &volumes[this])
        });
        let Some(other) = other else {
            index += 1;
            continue;
        };
        let rank = |root: &Rooted| priority(&volumes[root.volume], table);
        if rank(&roots[index]) > rank(&roots[other]) {
            roots.swap(index, other);
        }
        roots.remove(index);
    }
    if roots.len() < 2 {
        return Ok(roots);
    }
    let mut typed =
        roots.iter().filter(|root| tree.volumes()[root.volume].kind.as_deref() == Some(TYPE));
    if let (Some(root), None) = (typed.next(), typed.next()) {
        return Ok(vec![root.clone()]);
    }
    // Whoever names itself as the root is one, and whoever does not is not known to be one.
    let mut own = Vec::new();
    for root in &roots {
        root.mount(tree);
        let lines = lines_of(tree)?;
        let top = lines.iter().find(|line| line.at.is_empty());
        if top.and_then(|line| resolve(tree.volumes(), &line.source)) == Some(root.volume) {
            own.push(root.clone());
        }
    }
    Ok(if own.len() == 1 { own } else { roots })
}

/// Whether two volumes are a pair of which one boots: their names differ in the last letter alone, A and B or 1 and 2.
fn are_pair(a: &super::Volume, b: &super::Volume) -> bool {
    let names = |volume: &super::Volume| {
        let logical = volume.logical.as_ref().map(|(_, name)| name.clone());
        volume.partlabel.clone().or(logical).or_else(|| volume.label.clone())
    };
    let (Some(a), Some(b)) = (names(a), names(b)) else { return false };
    let (Some((last_a, a)), Some((last_b, b))) = (a.split_last(), b.split_last()) else {
        return false;
    };
    let mut last = [last_a.to_ascii_lowercase(), last_b.to_ascii_lowercase()];
    last.sort_unstable();
    !a.is_empty() && a == b && matches!(&last, b"ab" | b"01" | b"12")
}
