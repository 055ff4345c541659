//! Opens what can be opened on a disk, finds the guest's root among it, and mounts the rest below the root as the guest
//! would.
//!
//! Nothing is judged here: what could not be opened is handed on with its reason.

mod ostree;
mod root;
mod source;
mod table;

pub(in crate::guest) use source::resolve;

use super::PartitionTable;
use super::fs::btrfs::Btrfs;
use super::fs::ext::Ext;
use super::fs::fat::Fat;
use super::fs::xfs::Xfs;
use super::fs::{Area, FileSystem, State, Trouble, Why};
use super::inside::VolumeInside;
use super::tree::{Opened, Tree};
use super::volumes::{Holds, Probed, Volume, probed, type_name};
use crate::bytes::Hostile;

/// File systems that are opened at most: each keeps something in memory, and a system has few.
const MOST_OPENED: usize = 32;

/// Which volume is the guest's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::guest) enum Root {
    /// None looks like one.
    None,
    /// This, which is mounted.
    One(usize),
    /// Each of these looks like one; none is mounted.
    Several(Vec<usize>),
}

/// A disk whose volumes are opened.
pub(in crate::guest) struct Mounted<'d> {
    /// The guest's files; nothing is mounted unless there is one root.
    pub(in crate::guest) tree: Tree<'d>,
    pub(in crate::guest) root: Root,
    /// The volumes as reports show them, in the order of the tree's.
    pub(in crate::guest) volumes: Vec<VolumeInside>,
    /// The volumes with contents that nothing reads, and why; the number is the place in the list of volumes.
    pub(in crate::guest) not_opened: Vec<(usize, Why)>,
}

/// Opens the volumes of a disk.
///
/// # Errors
/// If the source fails, or a bound is met that holds for the whole disk.
pub(in crate::guest) fn open_all<'d>(
    disk: &Area<'d>,
    table: &PartitionTable,
) -> Result<Mounted<'d>, Trouble> {
    let (mut volumes, mut opened, mut not_opened) = (Vec::new(), Vec::new(), Vec::new());
    for (volume, found) in probed(disk, table)?.into_iter().enumerate() {
        match open(&found, opened.len()) {
            Ok(Some(system)) => opened.push(Opened { volume, system }),
            Ok(None) => {}
            Err(Trouble::Left(why)) => not_opened.push((volume, why)),
            Err(halt) => return Err(halt),
        }
        volumes.push(found.volume);
    }
    let mut tree = Tree::new(disk.clone(), volumes, opened);
    let root = root::find(&mut tree, table, &mut not_opened)?;
    let root = match root {
        root::Found::None => Root::None,
        root::Found::Several(volumes) => Root::Several(volumes),
        root::Found::One(root) => {
            table::mount(&mut tree, &root, table)?;
            Root::One(root.volume)
        }
    };
    let volumes = shown(&mut tree)?;
    Ok(Mounted { tree, root, volumes, not_opened })
}

/// Opens what a volume holds; `None` if it holds nothing that has files.
fn open<'d>(
    found: &Probed<'d>,
    opened: usize,
) -> Result<Option<Box<dyn FileSystem + 'd>>, Trouble> {
    let area = found.area.clone();
    let holds = found.volume.holds;
    if holds.is_file_system() && opened >= MOST_OPENED {
        return Err(Why::Limit("the disk has more file systems than are opened").into());
    }
    match holds {
        Holds::Ext2 | Holds::Ext3 | Holds::Ext4 => Ok(Some(Box::new(Ext::open(area)?))),
        Holds::Vfat => Ok(Some(Box::new(Fat::open(area)?))),
        Holds::Xfs => Ok(Some(Box::new(Xfs::open(area)?))),
        Holds::Btrfs => Ok(Some(Box::new(Btrfs::open(area)?))),
        Holds::Swap | Holds::Zeros => Ok(None),
        Holds::Luks => Err(Why::unsupported("it is encrypted by LUKS")),
        // What is in its group is among the volumes.
        Holds::Lvm => found.left.clone().map_or(Ok(None), |why| Err(why.into())),
        Holds::Raid => Err(Why::unsupported("it is a member of a Linux RAID")),
        Holds::Zfs => Err(Why::unsupported("it is a member of a ZFS pool")),
        Holds::Unknown => match (&found.left, found.what) {
            (Some(why), _) => Err(why.clone().into()),
            (None, Some(what)) => Err(not_read(what)),
            (None, None) if found.volume.is_without_files() => Ok(None),
            (None, None) => Err(Why::unsupported("tidegate does not know what it holds")),
        },
        _ => Err(not_read(holds.as_str())),
    }
}

fn not_read(what: &str) -> Trouble {
    Why::unsupported(format!("it holds {what}, which tidegate does not read"))
}

impl Holds {
    /// Whether it is one that is read here.
    fn is_file_system(self) -> bool {
        matches!(
            self,
            Holds::Ext2 | Holds::Ext3 | Holds::Ext4 | Holds::Xfs | Holds::Btrfs | Holds::Vfat
        )
    }
}

impl Volume {
    /// Whether its type is of what has no file system: code of boot loaders, hash trees, kernels as they are.
    fn is_without_files(&self) -> bool {
        const TYPES: [&str; 9] = [
            // BIOS boot, PReP boot of GPT and MBR, boot code of FreeBSD, and its swap.
            "21686148-6449-6E6F-744E-656564454649",
            "9E1A2D38-C612-4316-AA26-8B49521E5A8B",
            "41",
            "83BD6B9D-7F41-11DC-BE0B-001560B84F0F",
            "516E7CB5-6ECF-11D6-8FF8-00022D09712B",
            // Reserved by Microsoft, ChromeOS and Flatcar, and a kernel of ChromeOS.
            "E3C9E316-0B5C-4DB8-817D-F92DF00215AE",
            "2E0A753D-9E48-43B0-8337-B15192CB1B5E",
            "C95DC21A-DF0E-4340-8D7B-26CBFA9A03E0",
            "FE3A2A5D-4F32-41A7-B725-ACCC3285A309",
        ];
        let Some(kind) = self.kind.as_deref() else { return false };
        let is_verity = || type_name(kind).is_some_and(|name| name.contains("verity"));
        TYPES.contains(&kind) || is_verity()
    }
}

/// The volumes as reports show them.
fn shown(tree: &mut Tree<'_>) -> Result<Vec<VolumeInside>, Trouble> {
    let text = |bytes: &[u8]| Hostile::new(bytes).to_string();
    let mounted = tree.mounted();
    let mut all = Vec::new();
    for (index, volume) in tree.volumes().to_vec().into_iter().enumerate() {
        let mut inside = VolumeInside {
            name: volume.name(),
            partition: volume.partition,
            kind: volume.kind.clone(),
            type_name: volume.kind.as_deref().and_then(type_name).map(str::to_owned),
            start: volume.start,
            size: volume.size,
            holds: volume.holds.as_str().to_owned(),
            uuid: volume.uuid.as_deref().map(|id| text(id.as_bytes())),
            label: volume.label.as_deref().map(text),
            partuuid: volume.partuuid.clone(),
            partlabel: volume.partlabel.as_deref().map(text),
            ..VolumeInside::default()
        };
        // Of a volume that is mounted at several places, the shortest path says most.
        let places = mounted.iter().filter(|(volume, _)| *volume == index);
        inside.mounted = places.map(|(_, at)| at).min_by_key(|at| at.len()).map(|at| match at {
            at if at.is_empty() => "/".to_owned(),
            at => text(at),
        });
        if let Some(system) = tree.system(index) {
            inside.free = match system.space() {
                Ok(space) => space.map(|space| space.free),
                Err(Trouble::Left(_)) => None,
                Err(halt) => return Err(halt),
            };
            inside.state = match system.state() {
                State::Clean => None,
                State::Replayed => Some("replayed".to_owned()),
                State::NotReplayed(_) => Some("not-replayed".to_owned()),
                State::Errors => Some("errors".to_owned()),
            };
        }
        all.push(inside);
    }
    Ok(all)
}
