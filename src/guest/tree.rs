//! The guest's tree of files: its volumes, mounted as its fstab says, and the one resolver of paths.
//!
//! Paths go component by component over all volumes: an absolute link leads to the guest's root, `..` of the root is the
//! root, and no more than 40 links are followed, as in Linux. Nothing of the host is ever read.

use std::collections::VecDeque;

use super::fs::{Area, FileSystem, Inode, Kind, Node, Trouble, Why};
use super::volumes::Volume;

/// Links that a path leads over at most (MAXSYMLINKS of Linux).
const MOST_LINKS: usize = 40;

/// Bytes of a text that is read whole at most.
pub(super) const TEXT: usize = 1 << 20;

/// Entries of a directory that tidegate reads at most, and bytes of their names.
const MOST_ENTRIES: usize = 1 << 16;
const MOST_NAMES: usize = 2 << 20;

/// A volume whose file system is opened.
pub(super) struct Opened<'d> {
    /// Its place in the list of volumes.
    pub(super) volume: usize,
    pub(super) system: Box<dyn FileSystem + 'd>,
}

/// Where a volume is mounted.
struct Mount {
    /// The path, without a slash at its end: the root's is empty.
    at: Vec<u8>,
    /// Its place in `Tree::opened`.
    opened: usize,
    /// What of it is mounted.
    root: Node,
}

/// What a path leads to.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The path without links, from the root on.
    pub(super) path: Vec<u8>,
    /// Its place in the list of volumes.
    pub(super) volume: usize,
    pub(super) inode: Inode,
    pub(super) node: Node,
    opened: usize,
}

/// An entry of a directory.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    /// What the entry itself is: of a link, the link.
    pub(super) kind: Kind,
}

/// A text file of the guest.
#[derive(Clone, Debug)]
pub(super) struct Text {
    /// The path that was asked for.
    pub(super) path: Vec<u8>,
    /// Its contents; at most as many bytes as were wanted.
    pub(super) bytes: Vec<u8>,
    /// Whether it goes on behind them.
    pub(super) cut: bool,
}

impl Text {
    /// Its lines, numbered from 1, without their ends; a byte order mark is left out.
    pub(super) fn lines(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let bytes = self.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.bytes);
        let lines = bytes.split(|&byte| byte == b'\n');
        (1..).zip(lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)))
    }
}

/// The guest's files.
pub(super) struct Tree<'d> {
    disk: Area<'d>,
    volumes: Vec<Volume>,
    opened: Vec<Opened<'d>>,
    mounts: Vec<Mount>,
}

impl<'d> Tree<'d> {
    /// Volumes of a disk, of which some are opened. Nothing is mounted yet.
    pub(super) fn new(disk: Area<'d>, volumes: Vec<Volume>, opened: Vec<Opened<'d>>) -> Self {
        Tree { disk, volumes, opened, mounts: Vec::new() }
    }

    /// All bytes of the disk.
    pub(super) fn disk(&self) -> &Area<'d> {
        &self.disk
    }

    /// All volumes of the disk.
    pub(super) fn volumes(&self) -> &[Volume] {
        &self.volumes
    }

    /// The places of the volumes whose file system is opened.
    pub(super) fn opened(&self) -> Vec<usize> {
        self.opened.iter().map(|opened| opened.volume).collect()
    }

    /// The file system of a volume, if it is opened.
    pub(super) fn system(&mut self, volume: usize) -> Option<&mut (dyn FileSystem + 'd)> {
        let opened = self.opened.iter_mut().find(|opened| opened.volume == volume)?;
        Some(&mut *opened.system)
    }

    /// Forgets all mounts, and mounts a volume as the root. False if it is not opened.
    pub(super) fn mount_root(&mut self, volume: usize, root: Option<Node>) -> bool {
        self.mounts.clear();
        self.mount(b"", volume, root)
    }

    /// Mounts a volume, or a part of it, at a path without links. False if it is not opened.
    pub(super) fn mount(&mut self, at: &[u8], volume: usize, root: Option<Node>) -> bool {
        let Some(opened) = self.opened.iter().position(|opened| opened.volume == volume) else {
            return false;
        };
        let root = root.unwrap_or_else(|| self.opened[opened].system.root());
        let at = at.strip_suffix(b"/").unwrap_or(at).to_vec();
        self.mounts.retain(|mount| mount.at != at);
        self.mounts.push(Mount { at, opened, root });
        true
    }

    /// The volumes that are mounted, each with its path: that of the root is empty.
    pub(super) fn mounted(&self) -> Vec<(usize, Vec<u8>)> {
        let shown = |mount: &Mount| (self.opened[mount.opened].volume, mount.at.clone());
        self.mounts.iter().map(shown).collect()
    }

    /// What a path leads to, links followed; `None` if there is nothing.
    ///
    /// # Errors
    /// If what is on the way cannot be read.
    pub(super) fn stat(&mut self, path: impl AsRef<[u8]>) -> Result<Option<Found>, Trouble> {
        self.resolve(path.as_ref(), true, None)
    }

    /// What a path leads to in one volume as it is by itself, from its root or from another directory of it: links lead
    /// through it alone, and nothing is mounted in it. A boot loader sees volumes like this. `None` if there is nothing, or
    /// the volume is not opened.
    ///
    /// # Errors
    /// If what is on the way cannot be read.
    pub(super) fn within(
        &mut self,
        volume: usize,
        root: Option<Node>,
        path: impl AsRef<[u8]>,
    ) -> Result<Option<Found>, Trouble> {
        let Some(opened) = self.opened.iter().position(|opened| opened.volume == volume) else {
            return Ok(None);
        };
        let root = root.unwrap_or_else(|| self.opened[opened].system.root());
        self.resolve(path.as_ref(), true, Some((opened, root)))
    }

    /// The same; if the last component is a link, the link.
    ///
    /// # Errors
    /// If what is on the way cannot be read.
    pub(super) fn lstat(&mut self, path: impl AsRef<[u8]>) -> Result<Option<Found>, Trouble> {
        self.resolve(path.as_ref(), false, None)
    }

    /// Whether a path leads to anything.
    ///
    /// # Errors
    /// If what is on the way cannot be read.
    pub(super) fn exists(&mut self, path: impl AsRef<[u8]>) -> Result<bool, Trouble> {
        Ok(self.stat(path)?.is_some())
    }

    /// Whether a path leads to a regular file.
    ///
    /// # Errors
    /// If what is on the way cannot be read.
    pub(super) fn is_regular(&mut self, path: impl AsRef<[u8]>) -> Result<bool, Trouble> {
        Ok(self.stat(path)?.is_some_and(|found| found.inode.kind == Kind::Regular))
    }

    /// Whether a path leads to a directory.
    ///
    /// # Errors
    /// If what is on the way cannot be read.
    pub(super) fn is_directory(&mut self, path: impl AsRef<[u8]>) -> Result<bool, Trouble> {
        Ok(self.stat(path)?.is_some_and(|found| found.inode.kind == Kind::Directory))
    }

    /// The contents of a regular file, up to [`TEXT`] bytes; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn text(&mut self, path: impl AsRef<[u8]>) -> Result<Option<Text>, Trouble> {
        self.text_of(path, TEXT)
    }

    /// The first bytes of a regular file, at most `most`; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn text_of(
        &mut self,
        path: impl AsRef<[u8]>,
        most: usize,
    ) -> Result<Option<Text>, Trouble> {
        match self.stat(path.as_ref())? {
            Some(found) => self.text_at(&found, path.as_ref(), most),
            None => Ok(None),
        }
    }

    /// The same of what a path led to; `None` if it is no regular file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn text_at(
        &mut self,
        found: &Found,
        path: &[u8],
        most: usize,
    ) -> Result<Option<Text>, Trouble> {
        if found.inode.kind != Kind::Regular {
            return Ok(None);
        }
        let (mut bytes, mut end) = (Vec::new(), false);
        // It grows with what is there, not with the size that the inode claims.
        while bytes.len() < most && !end {
            let had = bytes.len();
            bytes.resize((had + (64 << 10)).min(most), 0);
            let count = self.read_at(found, had as u64, &mut bytes[had..])?;
            end = had + count < bytes.len();
            bytes.truncate(had + count);
        }
        let cut = !end && found.inode.size > bytes.len() as u64;
        Ok(Some(Text { path: path.to_vec(), bytes, cut }))
    }

    /// Fills the buffer from an offset of what a path led to; less only at its end.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn read_at(
        &mut self,
        found: &Found,
        at: u64,
        buf: &mut [u8],
    ) -> Result<usize, Trouble> {
        self.opened[found.opened].system.read(found.node, at, buf)
    }

    /// Where a symbolic link leads, by its own words; `None` if there is no link.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn link(&mut self, path: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, Trouble> {
        let Some(found) = self.lstat(path)?.filter(|found| found.inode.kind == Kind::Link) else {
            return Ok(None);
        };
        self.opened[found.opened].system.target(found.node).map(Some)
    }

    /// The entries of a directory, by name, in the order of their bytes; `None` if there is no such directory.
    ///
    /// # Errors
    /// If it cannot be read, or has more entries than tidegate reads.
    pub(super) fn list(&mut self, path: impl AsRef<[u8]>) -> Result<Option<Vec<Entry>>, Trouble> {
        let Some(found) = self.stat(path)?.filter(|found| found.inode.kind == Kind::Directory)
        else {
            return Ok(None);
        };
        let system = &mut self.opened[found.opened].system;
        let mut names: Vec<(Vec<u8>, Node)> = Vec::new();
        let (mut bytes, mut full) = (0, false);
        system.list(found.node, &mut |name, node| {
            bytes += name.len();
            full = names.len() == MOST_ENTRIES || bytes > MOST_NAMES;
            if !full {
                names.push((name.to_vec(), node));
            }
            !full
        })?;
        if full {
            return Err(Why::Limit("a directory has more entries than tidegate reads").into());
        }
        names.sort();
        let mut entries = Vec::new();
        for (name, node) in names {
            let kind = self.opened[found.opened].system.inode(node)?.kind;
            entries.push(Entry { name, kind });
        }
        Ok(Some(entries))
    }

    /// The names in a directory that end like this, in order; none if there is no such directory.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn names(
        &mut self,
        path: impl AsRef<[u8]>,
        ending: &str,
    ) -> Result<Vec<Vec<u8>>, Trouble> {
        let entries = self.list(path)?.unwrap_or_default();
        let names = entries.into_iter().map(|entry| entry.name);
        Ok(names.filter(|name| name.ends_with(ending.as_bytes())).collect())
    }

    /// What is mounted at this path without links.
    fn mounted_at(&self, path: &[u8]) -> Option<&Mount> {
        self.mounts.iter().find(|mount| mount.at == path)
    }

    /// `alone`: a place in `Tree::opened` and a directory there that paths begin at, without the mounts.
    fn resolve(
        &mut self,
        path: &[u8],
        follow_last: bool,
        alone: Option<(usize, Node)>,
    ) -> Result<Option<Found>, Trouble> {
        let mounted = self.mounted_at(b"").map(|mount| (mount.opened, mount.root));
        let Some(top) = alone.or(mounted) else {
            return Ok(None);
        };
        let mut todo: VecDeque<Vec<u8>> = components(path);
        let mut done: Vec<(Vec<u8>, (usize, Node))> = Vec::new();
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            let (opened, node) = done.last().map_or(top, |(_, place)| *place);
            let system = &mut self.opened[opened].system;
            if system.inode(node)?.kind != Kind::Directory {
                return Ok(None);
            }
            match &name[..] {
                b"." => continue,
                b".." => {
                    done.pop();
                    continue;
                }
                _ => {}
            }
            let here = whole(done.iter().map(|(name, _)| &name[..]), Some(&name));
            let mount = self.mounts.iter().find(|mount| alone.is_none() && mount.at == here);
            if let Some(mount) = mount {
                done.push((name, (mount.opened, mount.root)));
                continue;
            }
            let Some(child) = system.find(node, &name)? else { return Ok(None) };
            let is_link = system.inode(child)?.kind == Kind::Link;
            if !is_link || todo.is_empty() && !follow_last {
                done.push((name, (opened, child)));
                continue;
            }
            links += 1;
            if links > MOST_LINKS {
                return Ok(None);
            }
            let target = system.target(child)?;
            if target.first() == Some(&b'/') {
                done.clear();
            }
            for name in components(&target).into_iter().rev() {
                todo.push_front(name);
            }
        }
        let (opened, node) = done.last().map_or(top, |(_, place)| *place);
        let inode = self.opened[opened].system.inode(node)?;
        let path = whole(done.iter().map(|(name, _)| &name[..]), None);
        let volume = self.opened[opened].volume;
        Ok(Some(Found { path, volume, inode, node, opened }))
    }
}

/// The components of a path, without empty ones. A slash at the end is a `.`: what is before it has to be a directory.
fn components(path: &[u8]) -> VecDeque<Vec<u8>> {
    let parts = path.split(|&byte| byte == b'/');
    let mut parts: VecDeque<_> =
        parts.filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect();
    if path.ends_with(b"/") && !parts.is_empty() {
        parts.push_back(b".".to_vec());
    }
    parts
}

/// A path of these components and one more.
fn whole<'a>(parts: impl Iterator<Item = &'a [u8]>, last: Option<&'a [u8]>) -> Vec<u8> {
    let mut path = Vec::new();
    for part in parts.chain(last) {
        path.push(b'/');
        path.extend_from_slice(part);
    }
    path
}

#[cfg(test)]
pub(super) mod testing;

#[cfg(test)]
mod tests {
    use super::super::fs::memory::Memory;
    use super::testing::tree;
    use super::*;

    fn path_of(tree: &mut Tree<'_>, path: &str) -> Option<String> {
        tree.stat(path).unwrap().map(|found| String::from_utf8(found.path).unwrap())
    }

    #[test]
    fn links_lead_through_the_guest_alone() {
        let root = Memory::new()
            .with("/usr/lib/os-release", "ID=debian\n")
            .link("/etc/os-release", "../usr/lib/os-release")
            .link("/lib", "usr/lib")
            .link("/etc/up", "../../../../usr")
            .link("/etc/absolute", "/lib/os-release")
            .link("/etc/dangling", "/nowhere/at/all")
            .link("/etc/loop", "loop")
            .link("/a", "b")
            .link("/b", "a");
        let mut tree = tree(vec![root]);
        let found = Some("/usr/lib/os-release".to_owned());
        for path in [
            "/etc/os-release",
            "etc//./os-release",
            "/lib/os-release",
            "/etc/absolute",
            "/etc/up/lib/os-release",
            "/../../usr/lib/../lib/os-release",
            "/usr/./lib/./os-release",
        ] {
            assert_eq!(path_of(&mut tree, path), found, "{path}");
        }
        assert_eq!(path_of(&mut tree, "/"), Some(String::new()));
        for path in [
            "/etc/dangling",
            "/etc/loop",
            "/a/x",
            "/usr/lib/os-release/x",
            "/usr/lib/os-release/",
            "/usr/lib/os-release/.",
            "/usr/lib/os-release/..",
            "/nothing",
        ] {
            assert_eq!(path_of(&mut tree, path), None, "{path}");
        }
        assert!(tree.lstat("/etc/loop").unwrap().is_some());
        assert_eq!(tree.link("/lib").unwrap().unwrap(), b"usr/lib");
        assert_eq!(tree.text("/etc/os-release").unwrap().unwrap().bytes, b"ID=debian\n");
    }

    #[test]
    fn paths_cross_mount_points() {
        let root = Memory::new()
            .with("/boot/hidden", "")
            .link("/kernel", "boot/vmlinuz")
            .with("/etc/fstab", "");
        let boot = Memory::new().with("/vmlinuz", "kernel").link("/fstab", "/etc/fstab");
        let mut tree = tree(vec![root, boot]);
        assert!(tree.exists("/boot/hidden").unwrap());
        assert!(tree.mount(b"/boot", 1, None));
        assert!(!tree.exists("/boot/hidden").unwrap());
        let found = tree.stat("/kernel").unwrap().unwrap();
        assert_eq!((found.path, found.volume), (b"/boot/vmlinuz".to_vec(), 1));
        assert_eq!(path_of(&mut tree, "/boot/fstab"), Some("/etc/fstab".to_owned()));
        assert_eq!(path_of(&mut tree, "/boot/.."), Some(String::new()));
        assert!(!tree.mount(b"/x", 7, None));
    }

    #[test]
    fn texts_are_read_up_to_a_bound_and_by_lines() {
        let long = "x".repeat(TEXT + 1);
        let root = Memory::new().with("/long", long).with("/two", "\u{feff}a\r\nb").directory("/d");
        let mut tree = tree(vec![root]);
        let text = tree.text("/long").unwrap().unwrap();
        assert_eq!((text.bytes.len(), text.cut), (TEXT, true));
        let text = tree.text("/two").unwrap().unwrap();
        assert_eq!(text.lines().collect::<Vec<_>>(), [(1, &b"a"[..]), (2, b"b")]);
        assert!(!text.cut);
        assert!(tree.text("/d").unwrap().is_none());
        assert_eq!(tree.list("/").unwrap().unwrap().len(), 3);
        assert!(tree.list("/two").unwrap().is_none());
    }
}
