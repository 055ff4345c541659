//! btrfs on one device: single, DUP and mirrored profiles, subvolumes, inline and compressed extents (zlib, zstd).
//!
//! Source: `include/uapi/linux/btrfs_tree.h` and `fs/btrfs` of Linux, and the format's page of the btrfs documentation. Every
//! node is held against its check sum (CRC-32C, SHA-256), its address and its level; contents of files are not. What a
//! log tree holds is not replayed; [`State::NotReplayed`] says so.

mod chunks;
mod files;
mod nodes;
mod superblock;

use std::collections::HashMap;

use self::chunks::Chunks;
use self::files::Unpacked;
use self::nodes::{Key, Nodes, Place};
use self::superblock::Superblock;
use super::{Area, FileSystem, Inode, Kind, LONGEST_TARGET, Node, Space, State, Trouble, Why};

/// Types of items.
const INODE: u8 = 1;
const NAMED: u8 = 84;
const INDEXED: u8 = 96;
const ROOT: u8 = 132;
const ROOT_REF: u8 = 156;

/// The top subvolume, and the number of the root directory of each.
const TOP: u64 = 5;
const DIRECTORY: u64 = 256;

/// What an entry leads to whose subvolume is not there, such as in a snapshot: an empty directory.
const EMPTY: u64 = 2;

/// The directory of names in the tree of roots.
const NAMES: u64 = 6;

/// Roots of subvolumes that are kept.
const MOST_ROOTS: usize = 1 << 12;

/// A btrfs file system.
pub struct Btrfs<'d> {
    nodes: Nodes<'d>,
    superblock: Superblock,
    /// Where trees of subvolumes begin.
    roots: HashMap<u64, Place>,
    /// The subvolume that is mounted if no other is named.
    default: u64,
    /// The compressed extent that was unpacked last.
    unpacked: Unpacked,
}

impl<'d> Btrfs<'d> {
    /// Opens it.
    ///
    /// # Errors
    /// If it is damaged or asks for what is not known here.
    pub fn open(area: Area<'d>) -> Result<Self, Trouble> {
        let superblock = Superblock::read(&area)?;
        let chunks = Chunks::first(&superblock)?;
        let mut nodes = Nodes::new(area, &superblock, chunks);
        nodes.find_chunks(superblock.chunk_root)?;
        let (roots, unpacked) = (HashMap::new(), Unpacked::default());
        let mut btrfs = Btrfs { nodes, superblock, roots, default: TOP, unpacked };
        btrfs.default = btrfs.default_subvolume()?;
        btrfs.tree(btrfs.default)?;
        Ok(btrfs)
    }

    /// The subvolume that the name `default` leads to.
    fn default_subvolume(&mut self) -> Result<u64, Trouble> {
        let mut found = TOP;
        let tree = self.superblock.root;
        self.nodes.walk(
            tree,
            Key { object: NAMES, kind: NAMED, offset: 0 },
            &mut |key, item| {
                if key.object != NAMES || key.kind != NAMED {
                    return Ok(false);
                }
                for entry in Entries(item) {
                    let entry = entry?;
                    if entry.name == b"default" && entry.target.kind == ROOT {
                        found = entry.target.object;
                    }
                }
                Ok(true)
            },
        )?;
        Ok(found)
    }

    /// Where the tree of a subvolume begins.
    fn tree(&mut self, subvolume: u64) -> Result<Place, Trouble> {
        if let Some(place) = self.roots.get(&subvolume) {
            return Ok(*place);
        }
        let from = Key { object: subvolume, kind: ROOT, offset: 0 };
        let mut place = None;
        self.nodes.walk(self.superblock.root, from, &mut |key, item| {
            let is = key.object == subvolume && key.kind == ROOT;
            // One without references is deleted, and waits to be cleaned up.
            if is && item.len() >= 239 && le32(item, 216) > 0 {
                place = Some(Place { at: le64(item, 176), level: item[238] });
            }
            Ok(false)
        })?;
        let place =
            place.ok_or_else(|| Why::damaged(format!("there is no subvolume {subvolume}")))?;
        if self.roots.len() < MOST_ROOTS {
            self.roots.insert(subvolume, place);
        }
        Ok(place)
    }

    /// The inode that an entry of a directory leads to. A subvolume has to know that it is there.
    fn target(&mut self, directory: Node, name: &[u8], target: Key) -> Result<Node, Trouble> {
        match target.kind {
            INODE => Ok(Node { tree: directory.tree, number: target.object }),
            ROOT => {
                let from = Key { object: directory.tree, kind: ROOT_REF, offset: target.object };
                let mut is_there = false;
                self.nodes.walk(self.superblock.root, from, &mut |key, item| {
                    is_there = key == from
                        && item.len() >= 18
                        && le64(item, 0) == directory.number
                        && item[18..] == *name;
                    Ok(false)
                })?;
                Ok(match is_there {
                    true => Node { tree: target.object, number: DIRECTORY },
                    false => Node { tree: directory.tree, number: EMPTY },
                })
            }
            _ => Err(Why::damaged("an entry of a directory leads to nothing that is known")),
        }
    }

    fn item(&mut self, node: Node) -> Result<Vec<u8>, Trouble> {
        let tree = self.tree(node.tree)?;
        let from = Key { object: node.number, kind: INODE, offset: 0 };
        let mut found = None;
        self.nodes.walk(tree, from, &mut |key, item| {
            found = (key == from && item.len() >= 160).then(|| item.to_vec());
            Ok(false)
        })?;
        found.ok_or_else(|| Why::damaged(format!("there is no inode {}", node.number)))
    }

    /// The subvolume that a path from the top leads to.
    fn by_path(&mut self, path: &[u8]) -> Result<Option<Node>, Trouble> {
        let mut at = Node { tree: TOP, number: DIRECTORY };
        for name in path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()) {
            if self.inode(at)?.kind != Kind::Directory {
                return Ok(None);
            }
            match self.find(at, name)? {
                Some(node) => at = node,
                None => return Ok(None),
            }
        }
        Ok(Some(at).filter(|node| node.number == DIRECTORY))
    }
}

impl FileSystem for Btrfs<'_> {
    fn root(&self) -> Node {
        Node { tree: self.default, number: DIRECTORY }
    }

    fn inode(&mut self, node: Node) -> Result<Inode, Trouble> {
        if node.number == EMPTY {
            let kind = Kind::Directory;
            return Ok(Inode { kind, mode: 0o755, uid: 0, gid: 0, size: 0, modified: None });
        }
        let item = self.item(node)?;
        let mode = le32(&item, 52);
        Ok(Inode {
            kind: match mode & 0xf000 {
                0x8000 => Kind::Regular,
                0x4000 => Kind::Directory,
                0xa000 => Kind::Link,
                _ => Kind::Special,
            },
            mode: (mode & 0o7777) as u16,
            uid: le32(&item, 44),
            gid: le32(&item, 48),
            size: le64(&item, 16),
            modified: Some(le64(&item, 136).cast_signed()),
        })
    }

    fn list(
        &mut self,
        directory: Node,
        each: &mut dyn FnMut(&[u8], Node) -> bool,
    ) -> Result<(), Trouble> {
        if directory.number == EMPTY {
            return Ok(());
        }
        if self.inode(directory)?.kind != Kind::Directory {
            return Err(Why::damaged("what should be a directory is none"));
        }
        let tree = self.tree(directory.tree)?;
        let mut from = Key { object: directory.number, kind: INDEXED, offset: 0 };
        // An entry for a subvolume is looked up between two walks.
        loop {
            let mut subvolume = None;
            self.nodes.walk(tree, from, &mut |key, item| {
                if key.object != directory.number || key.kind != INDEXED {
                    return Ok(false);
                }
                let Some(entry) = Entries(item).next() else { return Err(damaged_entry()) };
                let entry = entry?;
                if is_odd(entry.name) {
                    return Ok(true);
                }
                if entry.target.kind != INODE {
                    subvolume = Some((key, entry.name.to_vec(), entry.target));
                    return Ok(false);
                }
                Ok(each(entry.name, Node { tree: directory.tree, number: entry.target.object }))
            })?;
            let Some((key, name, target)) = subvolume else { return Ok(()) };
            let node = self.target(directory, &name, target)?;
            let next = key.offset.checked_add(1).filter(|_| each(&name, node));
            let Some(next) = next else { return Ok(()) };
            from.offset = next;
        }
    }

    fn find(&mut self, directory: Node, name: &[u8]) -> Result<Option<Node>, Trouble> {
        if directory.number == EMPTY || is_odd(name) {
            return Ok(None);
        }
        let tree = self.tree(directory.tree)?;
        // The CRC-32C of a name, which begins with another number and is not inverted.
        let hash = !crc32c::crc32c_append(1, name);
        let from = Key { object: directory.number, kind: NAMED, offset: hash.into() };
        let mut found = None;
        self.nodes.walk(tree, from, &mut |key, item| {
            if key == from {
                for entry in Entries(item) {
                    let entry = entry?;
                    if entry.name == name {
                        found = Some(entry.target);
                    }
                }
            }
            Ok(false)
        })?;
        found.map(|target| self.target(directory, name, target)).transpose()
    }

    fn read(&mut self, node: Node, at: u64, buf: &mut [u8]) -> Result<usize, Trouble> {
        let inode = self.inode(node)?;
        if inode.kind != Kind::Regular {
            return Err(Why::damaged("what should be a file is none"));
        }
        let count = inode.size.saturating_sub(at).min(buf.len() as u64) as usize;
        let tree = self.tree(node.tree)?;
        files::fill(
            &mut self.nodes,
            &mut self.unpacked,
            (tree, node.number),
            at,
            &mut buf[..count],
        )?;
        Ok(count)
    }

    fn target(&mut self, node: Node) -> Result<Vec<u8>, Trouble> {
        let inode = self.inode(node)?;
        if inode.kind != Kind::Link {
            return Err(Why::damaged("what should be a link is none"));
        }
        let size = usize::try_from(inode.size).ok().filter(|&size| size <= LONGEST_TARGET);
        let Some(size) = size else {
            return Err(Why::damaged("the target of a link is longer than a path can be"));
        };
        let mut target = vec![0; size];
        let tree = self.tree(node.tree)?;
        files::fill(&mut self.nodes, &mut self.unpacked, (tree, node.number), 0, &mut target)?;
        Ok(target)
    }

    fn space(&mut self) -> Result<Option<Space>, Trouble> {
        let Superblock { bytes, used, .. } = self.superblock;
        let free = bytes.saturating_sub(used);
        // Inodes are made as they are needed.
        Ok(Some(Space { bytes, free, inodes: None, free_inodes: None }))
    }

    fn state(&self) -> State {
        match self.superblock.has_log {
            true => State::NotReplayed("its log tree holds changes".to_owned()),
            false => State::Clean,
        }
    }

    fn subvolume(&mut self, option: &[u8]) -> Result<Option<Node>, Trouble> {
        if let Some(path) = option.strip_prefix(b"subvol=") {
            return self.by_path(path);
        }
        let Some(digits) = option.strip_prefix(b"subvolid=") else { return Ok(None) };
        let id = str::from_utf8(digits).ok().and_then(|digits| match digits.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => digits.parse().ok(),
        });
        let Some(id) = id else { return Ok(None) };
        // 0 is the top one as well.
        let id = if id == 0 { TOP } else { id };
        match self.tree(id) {
            Ok(_) => Ok(Some(Node { tree: id, number: DIRECTORY })),
            Err(Trouble::Left(Why::Damaged(_))) => Ok(None),
            Err(other) => Err(other),
        }
    }
}

/// Names that no system can have made.
fn is_odd(name: &[u8]) -> bool {
    name.is_empty()
        || name == b"."
        || name == b".."
        || name.iter().any(|&byte| byte == 0 || byte == b'/')
}

fn damaged_entry() -> Trouble {
    Why::damaged("an entry of a directory is damaged")
}

/// An entry of a directory.
struct Entry<'i> {
    target: Key,
    name: &'i [u8],
}

/// The entries of an item: several, if their names have the same hash.
struct Entries<'i>(&'i [u8]);

impl<'i> Iterator for Entries<'i> {
    type Item = Result<Entry<'i>, Trouble>;

    fn next(&mut self) -> Option<Self::Item> {
        const HEADER: usize = 30;
        /// The name is encrypted.
        const ENCRYPTED: u8 = 0x80;
        if self.0.is_empty() {
            return None;
        }
        let Some((header, rest)) = self.0.split_at_checked(HEADER) else {
            self.0 = &[];
            return Some(Err(damaged_entry()));
        };
        let (data, name) = (usize::from(le16(header, 25)), usize::from(le16(header, 27)));
        let Some(behind) = rest.get(name + data..) else {
            self.0 = &[];
            return Some(Err(damaged_entry()));
        };
        self.0 = behind;
        if header[29] & ENCRYPTED != 0 {
            return Some(Err(Why::unsupported("a directory is encrypted")));
        }
        Some(Ok(Entry { target: Key::parse(header), name: &rest[..name] }))
    }
}

/// Numbers of structures; whoever asks has looked at their length.
fn le16(bytes: &[u8], at: usize) -> u16 {
    super::fields::le16(bytes, at)
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    super::fields::le32(bytes, at)
}

fn le64(bytes: &[u8], at: usize) -> u64 {
    super::fields::halves(le32(bytes, at), le32(bytes, at + 4))
}
