//! File systems of a guest, read only.
//!
//! Each of them shows the same small trait. It knows inodes and directories of one volume; it follows no link and
//! crosses no mount point, which the resolver of `tree.rs` does. All names and contents are bytes.
//!
//! Whatever a volume says is hostile: every loop counts its steps with [`Area::spend`], nothing is allocated by a size that
//! the volume names, and what cannot be read is a [`Trouble`], never a guess.

#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "no part of the API that is kept"
)]

mod area;
pub mod btrfs;
pub mod ext;
pub mod fat;
mod fields;
#[cfg(test)]
pub(in crate::guest) mod memory;
pub mod xfs;

pub use area::Area;

use std::fmt;

use crate::facts::Left;
use crate::formats::{Halt, Missing};

/// Bytes that the target of a link has at most (PATH_MAX of Linux, without the zero at its end).
pub const LONGEST_TARGET: usize = 4095;

/// Bytes that a name has at most (NAME_MAX of Linux).
pub const LONGEST_NAME: usize = 255;

/// An inode of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// The subvolume, where there are any; else 0.
    pub tree: u64,
    /// Its number.
    pub number: u64,
}

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A device, a pipe or a socket.
    Special,
}

/// What is known of an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode {
    /// What it is.
    pub kind: Kind,
    /// Permissions, the lower 12 bits of the mode.
    pub mode: u16,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Bytes of its contents.
    pub size: u64,
    /// When it was changed last, in seconds since 1970; `None` where that is not known.
    pub modified: Option<i64>,
}

impl Inode {
    /// Whether anybody may execute it.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        self.kind == Kind::Regular && self.mode & 0o111 != 0
    }
}

/// How full a volume is, in bytes and inodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes in all.
    pub bytes: u64,
    /// Bytes that are free.
    pub free: u64,
    /// Inodes in all; `None` where they are made as needed.
    pub inodes: Option<u64>,
    /// Inodes that are free.
    pub free_inodes: Option<u64>,
}

/// In which state a volume was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Unmounted.
    Clean,
    /// Not unmounted; what its journal holds is read as if it were written.
    Replayed,
    /// Not unmounted, and what its journal holds is not read: contents may be older. Why.
    NotReplayed(String),
    /// Its kernel wrote down that it found errors.
    Errors,
}

/// Reads a file system.
pub trait FileSystem {
    /// Its root.
    fn root(&self) -> Node;

    /// What an inode is.
    ///
    /// # Errors
    /// If there is no such inode, or it cannot be read.
    fn inode(&mut self, node: Node) -> Result<Inode, Trouble>;

    /// Calls `each` with the entries of a directory, but for `.` and `..`, in the order of the volume, until it returns
    /// false. Names are whatever bytes the volume has, without `/` and NUL, and never empty.
    ///
    /// # Errors
    /// If it is no directory, or it cannot be read.
    fn list(
        &mut self,
        directory: Node,
        each: &mut dyn FnMut(&[u8], Node) -> bool,
    ) -> Result<(), Trouble>;

    /// The entry of this name.
    ///
    /// # Errors
    /// If it is no directory, or it cannot be read.
    fn find(&mut self, directory: Node, name: &[u8]) -> Result<Option<Node>, Trouble> {
        let mut found = None;
        self.list(directory, &mut |other, node| {
            if other == name {
                found = Some(node);
            }
            found.is_none()
        })?;
        Ok(found)
    }

    /// Fills the buffer from an offset of a regular file, less only at its end. What was never written reads as zeros.
    ///
    /// # Errors
    /// If it cannot be read.
    fn read(&mut self, node: Node, at: u64, buf: &mut [u8]) -> Result<usize, Trouble>;

    /// Where a symbolic link leads to: at most [`LONGEST_TARGET`] bytes.
    ///
    /// # Errors
    /// If it is no link, or it cannot be read.
    fn target(&mut self, node: Node) -> Result<Vec<u8>, Trouble>;

    /// How full it is.
    ///
    /// # Errors
    /// If it cannot be read.
    fn space(&mut self) -> Result<Option<Space>, Trouble>;

    /// In which state it was left.
    fn state(&self) -> State;

    /// The subvolume or directory that a mount option names, such as `subvol=@` or `subvolid=256`; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    fn subvolume(&mut self, _option: &[u8]) -> Result<Option<Node>, Trouble> {
        Ok(None)
    }

    /// Disk offset of an inode, where it has a place.
    fn place(&mut self, _node: Node) -> Option<u64> {
        None
    }
}

/// Why something was not read.
#[derive(Debug)]
pub enum Trouble {
    /// The source failed, or nothing more is to be had of it: there is no verdict.
    Halt(Halt),
    /// It cannot be read, for this reason.
    Left(Why),
}

/// Why something on a disk cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The source cannot be read there.
    Missing(Missing),
    /// A bound was met; the words say which, as a sentence without a period.
    Limit(&'static str),
    /// It is damaged; the words say how, as a sentence without a period.
    Damaged(String),
    /// It is in order, but nothing here reads it; the words say what it is.
    Unsupported(String),
}

impl Why {
    /// Damage, as a trouble.
    pub fn damaged(said: impl Into<String>) -> Trouble {
        Trouble::Left(Why::Damaged(said.into()))
    }

    /// Something that nothing here reads, as a trouble.
    pub fn unsupported(said: impl Into<String>) -> Trouble {
        Trouble::Left(Why::Unsupported(said.into()))
    }
}

impl From<Why> for Trouble {
    fn from(why: Why) -> Self {
        Trouble::Left(why)
    }
}

impl From<Halt> for Trouble {
    fn from(halt: Halt) -> Self {
        Trouble::Halt(halt)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Missing(missing) => f.write_str(Left::from(*missing).why()),
            Why::Limit(said) => f.write_str(said),
            Why::Damaged(said) | Why::Unsupported(said) => f.write_str(said),
        }
    }
}
