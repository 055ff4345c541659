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

/// Subvolumes of a volume that tidegate reads.
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

#[cfg(test)]
mod tests {
    use super::super::super::fs::memory::Memory;
    use super::super::super::listing::Partition;
    use super::super::super::tree::testing::{tree, volume};
    use super::super::super::tree::{Opened, Tree};
    use super::super::super::volumes::Volume;
    use super::super::table;
    use super::*;

    /// A root that a fstab is in.
    fn system(fstab: &str) -> Memory {
        let root = Memory::new().link("/bin", "usr/bin").program("/usr/bin/sh");
        root.with("/etc/fstab", fstab).directory("/home")
    }

    /// Volumes that hold these, each changed by a function.
    fn disk(systems: Vec<Memory>, change: impl Fn(u32, &mut Volume)) -> Tree<'static> {
        let area = tree(Vec::from([Memory::new()])).disk().clone();
        let mut volumes: Vec<Volume> = (1..=systems.len() as u32).map(volume).collect();
        (1..).zip(&mut volumes).for_each(|(number, volume)| change(number, volume));
        let opened = systems.into_iter().enumerate();
        let opened = opened.map(|(volume, system)| Opened { volume, system: Box::new(system) });
        let opened = opened.collect();
        Tree::new(area, volumes, opened)
    }

    /// The places of the roots, and what is mounted if there is one.
    fn roots(tree: &mut Tree<'_>, table: &PartitionTable) -> (Vec<usize>, Vec<String>) {
        match find(tree, table, &mut Vec::new()).unwrap() {
            Found::None => (Vec::new(), Vec::new()),
            Found::Several(roots) => (roots, Vec::new()),
            Found::One(root) => {
                table::mount(tree, &root, table).unwrap();
                let mounted = tree.mounted().into_iter();
                let mounted = mounted
                    .map(|(volume, at)| format!("{volume}:{}", String::from_utf8(at).unwrap()));
                (vec![root.volume], mounted.collect())
            }
        }
    }

    #[test]
    fn the_root_s_fstab_says_what_is_mounted() {
        let fstab = "UUID=00000000-0000-0000-0000-000000000002 / ext4 defaults 0 1\n\
                     /dev/sda3 /home ext4 defaults 0 2\nLABEL=data /srv/my\\040data ext4 nofail 0 2\n\
                     /dev/vda1 /boot ext4 noauto 0 2\n/dev/vda9 /gone ext4 defaults 0 2\n/home /bound none bind 0 0\n";
        let boot = Memory::new().with("/vmlinuz", "kernel");
        let systems = vec![boot, system(fstab), Memory::new().with("/me", ""), Memory::new()];
        let mut tree = disk(systems, |number, volume| {
            volume.label = (number == 4).then(|| b"data".to_vec());
        });
        let (found, mounted) = roots(&mut tree, &PartitionTable::new());
        assert_eq!(found, [1]);
        assert_eq!(mounted, ["1:", "2:/home", "0:/boot", "3:/srv/my data"]);
        assert!(tree.exists("/home/me").unwrap() && tree.exists("/boot/vmlinuz").unwrap());
    }

    #[test]
    fn two_systems_are_several_roots_unless_one_names_itself() {
        let table = PartitionTable::new();
        let mut tree = disk(vec![system(""), system("")], |_, _| {});
        assert_eq!(roots(&mut tree, &table).0, [0, 1]);
        let mut tree = disk(vec![system(""), system("/dev/vda2 / ext4")], |_, _| {});
        assert_eq!(roots(&mut tree, &table).0, [1]);
        let mut tree =
            disk(vec![system("/dev/vda1 / ext4"), system("/dev/vda2 / ext4")], |_, _| {});
        assert_eq!(roots(&mut tree, &table).0, [0, 1]);
        let mut tree = disk(vec![system(""), system("")], |number, volume| {
            volume.kind = Some(if number == 2 { TYPE.to_owned() } else { "X".to_owned() });
        });
        assert_eq!(roots(&mut tree, &table).0, [1]);
        // A snapshot has the UUID of what it was made of.
        let mut tree = disk(vec![system(""), system("")], |_, volume| {
            volume.uuid = Some("same".to_owned());
        });
        assert_eq!(roots(&mut tree, &table).0, [0]);
        let mut tree = disk(
            vec![Memory::new().directory("/etc"), Memory::new().program("/bin/sh")],
            |_, _| {},
        );
        assert!(roots(&mut tree, &table).0.is_empty());
    }

    #[test]
    fn of_a_pair_the_one_of_the_higher_priority_counts() {
        let named = |number: u32, volume: &mut Volume| {
            volume.partlabel =
                Some(format!("root-{}", ['a', 'b'][number as usize - 1]).into_bytes());
        };
        let mut table = PartitionTable::new();
        let mut tree = disk(vec![system(""), system("")], named);
        assert_eq!(roots(&mut tree, &table).0, [0]);
        let partition = |number, priority: u64| Partition {
            attributes: priority << 48,
            ..Partition::new(number, 0, 0, String::new())
        };
        table.partitions = vec![partition(1, 1), partition(2, 2)];
        let mut tree = disk(vec![system(""), system("")], named);
        assert_eq!(roots(&mut tree, &table).0, [1]);
    }

    #[test]
    fn flatcar_s_root_is_known_by_its_name() {
        let usr = || Memory::new().with("/lib/os-release", "ID=flatcar");
        let systems = vec![Memory::new().with("/flatcar/grub/x", ""), usr(), usr(), Memory::new()];
        let mut tree = disk(systems, |number, volume| {
            let (label, kind) = match number {
                1 => ("EFI-SYSTEM", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"),
                2 => ("USR-A", "5DFBF5F4-2848-4BAC-AA5E-0D9A20B745A6"),
                3 => ("USR-B", "5DFBF5F4-2848-4BAC-AA5E-0D9A20B745A6"),
                _ => ("ROOT", "3884DD41-8582-4404-B9A8-E9B84F2DF50E"),
            };
            (volume.partlabel, volume.kind) = (Some(label.into()), Some(kind.into()));
            if number == 1 {
                volume.holds = Holds::Vfat;
            }
        });
        let mut table = PartitionTable::new();
        table.scheme = super::super::super::Scheme::Gpt;
        table.partitions =
            vec![Partition { attributes: 1 << 48, ..Partition::new(3, 0, 0, String::new()) }];
        let (found, mounted) = roots(&mut tree, &table);
        assert_eq!(
            (found, mounted),
            (vec![3], vec!["3:".into(), "2:/usr".into(), "0:/boot".into()])
        );
    }

    #[test]
    fn a_deployment_of_ostree_is_the_root() {
        let system = "/ostree/deploy/os/deploy/abc.0";
        let root = Memory::new()
            .with(&format!("{system}/etc/os-release"), "ID=fedora\n")
            .with(&format!("{system}/usr/bin/sh"), "")
            .with("/ostree/deploy/os/deploy/def.0/etc/os-release", "ID=old\n")
            .with("/ostree/deploy/os/var/log/x", "")
            .link("/ostree/boot.1/os/sum/0", "../../../deploy/os/deploy/abc.0");
        let boot = Memory::new()
            .with(
                "/loader/entries/ostree-1-os.conf",
                "options root=x ostree=/ostree/boot.1/os/gone/0\n",
            )
            .with(
                "/loader/entries/ostree-2-os.conf",
                "title x\noptions root=x ostree=/ostree/boot.1/os/sum/0 y\n",
            );
        let mut tree = disk(vec![boot, root], |_, _| {});
        let (found, mounted) = roots(&mut tree, &PartitionTable::new());
        assert_eq!(found, [1]);
        assert_eq!(mounted, ["1:", "1:/sysroot", "1:/var", "0:/boot"]);
        assert_eq!(tree.text("/etc/os-release").unwrap().unwrap().bytes, b"ID=fedora\n");
        assert!(tree.exists("/var/log/x").unwrap());
    }
}
