//! The files of a guest for whoever looks at them: lists of directories, and contents.

use super::fs::{Inode, Kind, Trouble, Why};
use super::inside::VolumeInside;
use super::mount::{self, Mounted, Root};
use super::{PartitionTable, fs};
use crate::formats::Disk;

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;

/// An entry of a directory, or a file itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listed {
    /// Its name, as it is on the disk.
    pub name: Vec<u8>,
    /// What it is; of a link, the link.
    pub inode: Inode,
    /// Where it leads, if it is a link.
    pub target: Option<Vec<u8>>,
}

/// Why there is no root to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoRoot {
    /// No volume holds a system.
    None,
    /// More than one does.
    Several,
    /// There is no such volume.
    NoVolume,
    /// Nothing here reads that volume.
    Unreadable,
}

/// A link that leads to nothing, or in a circle.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLink {
    /// Where it is.
    pub path: Vec<u8>,
    /// Where it leads, by its own words.
    pub target: Vec<u8>,
}

/// How far a file was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reading {
    /// To its end.
    Whole,
    /// It goes on.
    Cut,
    /// There is no such file.
    Absent,
    /// It is no regular file.
    Other(Kind),
}

/// The files of a guest.
pub struct Files<'d> {
    mounted: Mounted<'d>,
}

impl<'d> Files<'d> {
    /// Those of a disk of so many bytes with this partition table.
    ///
    /// # Errors
    /// If the disk cannot be read.
    pub fn open(
        disk: &'d mut dyn Disk,
        size: u64,
        table: &PartitionTable,
    ) -> Result<Self, Trouble> {
        let area = fs::Area::whole(disk, size);
        Ok(Files { mounted: mount::open_all(&area, table)? })
    }

    /// The volumes of the disk.
    #[must_use]
    pub fn volumes(&self) -> &[VolumeInside] {
        &self.mounted.volumes
    }

    /// Why volumes with contents are not read: each has its place in [`volumes`](Self::volumes).
    #[must_use]
    pub fn unread(&self) -> &[(usize, Why)] {
        &self.mounted.not_opened
    }

    /// Begins at the guest's root, or at the root of one volume alone: its place in [`volumes`](Self::volumes).
    ///
    /// # Errors
    /// If there is no such root.
    pub fn begin(&mut self, volume: Option<usize>) -> Result<(), NoRoot> {
        match (volume, &self.mounted.root) {
            (Some(volume), _) if volume >= self.mounted.volumes.len() => Err(NoRoot::NoVolume),
            (Some(volume), _) => match self.mounted.tree.mount_root(volume, None) {
                true => Ok(()),
                false => Err(NoRoot::Unreadable),
            },
            (None, Root::One(_)) => Ok(()),
            (None, Root::None) => Err(NoRoot::None),
            (None, Root::Several(_)) => Err(NoRoot::Several),
        }
    }

    /// What a path leads to: the entries of a directory, by name, or a file alone. `None` if there is nothing.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn list(&mut self, path: &[u8]) -> Result<Option<Vec<Listed>>, Trouble> {
        let tree = &mut self.mounted.tree;
        let Some(found) = tree.stat(path)? else { return Ok(None) };
        if found.inode.kind != Kind::Directory {
            let Some(itself) = self.listed(path, path.to_vec())? else { return Ok(None) };
            return Ok(Some(vec![itself]));
        }
        let mut listed = Vec::new();
        for entry in tree.list(path)?.unwrap_or_default() {
            let whole = [&found.path[..], b"/", &entry.name].concat();
            listed.extend(self.listed(&whole, entry.name)?);
        }
        Ok(Some(listed))
    }

    /// The link on the way of a path that leads to nothing, or in a circle.
    ///
    /// # Errors
    /// If what is on the way cannot be read.
    pub fn dead_link(&mut self, path: &[u8]) -> Result<Option<DeadLink>, Trouble> {
        let tree = &mut self.mounted.tree;
        let slashes = path.iter().enumerate().filter(|(at, byte)| *at > 0 && **byte == b'/');
        for end in slashes.map(|(at, _)| at).chain([path.len()]) {
            let part = &path[..end];
            if part.ends_with(b"/") || tree.exists(part)? {
                continue;
            }
            let dead = |target| DeadLink { path: part.to_vec(), target };
            return Ok(tree.link(part)?.map(dead));
        }
        Ok(None)
    }

    fn listed(&mut self, path: &[u8], name: Vec<u8>) -> Result<Option<Listed>, Trouble> {
        let tree = &mut self.mounted.tree;
        let Some(found) = tree.lstat(path)? else { return Ok(None) };
        let target = match found.inode.kind {
            Kind::Link => tree.link(path)?,
            _ => None,
        };
        Ok(Some(Listed { name, inode: found.inode, target }))
    }

    /// Hands on the contents of a regular file in pieces, at most `most` bytes in all. `each` says whether to go on.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(
        &mut self,
        path: &[u8],
        most: u64,
        each: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<Reading, Trouble> {
        let tree = &mut self.mounted.tree;
        let Some(found) = tree.stat(path)? else { return Ok(Reading::Absent) };
        if found.inode.kind != Kind::Regular {
            return Ok(Reading::Other(found.inode.kind));
        }
        let mut piece = vec![0; PIECE];
        let mut at = 0;
        while at < most {
            let wanted = (most - at).min(PIECE as u64) as usize;
            let count = tree.read_at(&found, at, &mut piece[..wanted])?;
            at += count as u64;
            if count == 0 || !each(&piece[..count]) {
                return Ok(Reading::Whole);
            }
        }
        Ok(if at < found.inode.size { Reading::Cut } else { Reading::Whole })
    }
}
