//! XFS, versions 4 and 5.
//!
//! Source: "XFS Algorithms & Data Structures" and `fs/xfs/libxfs` of Linux. Inodes and blocks of directories are held against
//! their check sums where the volume has them (version 5). What a log holds that was not written to its place is not
//! replayed; [`State::NotReplayed`] says so. A real-time device and a log elsewhere are on other devices, and not read.

mod directory;
mod extents;
mod inode;
mod log;
mod superblock;

use self::extents::Extents;
use self::inode::{Core, Form};
use self::superblock::Superblock;
use super::{Area, FileSystem, Inode, Kind, LONGEST_TARGET, Node, Space, State, Trouble, Why};

/// An XFS file system.
pub struct Xfs<'d> {
    area: Area<'d>,
    superblock: Superblock,
    state: State,
    /// The extents of the inode that was read last: files are read piece by piece.
    last: Option<(u64, Extents)>,
}

impl<'d> Xfs<'d> {
    /// Opens it.
    ///
    /// # Errors
    /// If its superblock is damaged or asks for what is not known here.
    pub fn open(area: Area<'d>) -> Result<Self, Trouble> {
        let superblock = Superblock::read(&area)?;
        let state = match (superblock.needs_repair, log::why_dirty(&area, &superblock)?) {
            (true, _) => State::Errors,
            (false, Some(why)) => State::NotReplayed(why),
            (false, None) => State::Clean,
        };
        Ok(Xfs { area, superblock, state, last: None })
    }

    fn core(&self, node: Node) -> Result<Core, Trouble> {
        self.area.spend(1)?;
        Core::read(&self.area, &self.superblock, node.number)
    }

    /// The extents of an inode whose contents are in blocks.
    fn extents(&mut self, number: u64, core: &Core) -> Result<&Extents, Trouble> {
        let stale = self.last.as_ref().is_none_or(|(last, _)| *last != number);
        if stale {
            self.last = None;
            let extents = Extents::read(&self.area, &self.superblock, core)?;
            self.last = Some((number, extents));
        }
        match &self.last {
            Some((_, extents)) => Ok(extents),
            None => Err(Why::damaged("there is no such inode")),
        }
    }
}

impl FileSystem for Xfs<'_> {
    fn root(&self) -> Node {
        Node { tree: 0, number: self.superblock.root }
    }

    fn inode(&mut self, node: Node) -> Result<Inode, Trouble> {
        let core = self.core(node)?;
        let kind = core.kind();
        let (mode, uid, gid) = (core.mode & 0o7777, core.uid, core.gid);
        Ok(Inode { kind, mode, uid, gid, size: core.size, modified: Some(core.modified) })
    }

    fn list(
        &mut self,
        directory: Node,
        each: &mut dyn FnMut(&[u8], Node) -> bool,
    ) -> Result<(), Trouble> {
        let core = self.core(directory)?;
        if core.kind() != Kind::Directory {
            return Err(Why::damaged("what should be a directory is none"));
        }
        if core.form == Form::Local {
            return directory::short(core.fork(), &self.superblock, each);
        }
        let area = self.area.clone();
        let superblock = self.superblock.clone();
        let extents = self.extents(directory.number, &core)?;
        directory::blocks(&area, &superblock, directory.number, core.size, extents, each)
    }

    fn read(&mut self, node: Node, at: u64, buf: &mut [u8]) -> Result<usize, Trouble> {
        let core = self.core(node)?;
        if core.kind() != Kind::Regular {
            return Err(Why::damaged("what should be a file is none"));
        }
        if core.is_realtime {
            return Err(Why::unsupported("the contents are on a real-time device"));
        }
        let count = core.size.saturating_sub(at).min(buf.len() as u64) as usize;
        if count == 0 {
            return Ok(0);
        }
        let (area, superblock) = (self.area.clone(), self.superblock.clone());
        let extents = self.extents(node.number, &core)?;
        extents.fill(&area, &superblock, at, &mut buf[..count])?;
        Ok(count)
    }

    fn target(&mut self, node: Node) -> Result<Vec<u8>, Trouble> {
        let core = self.core(node)?;
        if core.kind() != Kind::Link {
            return Err(Why::damaged("what should be a link is none"));
        }
        let size = usize::try_from(core.size).ok().filter(|&size| size <= LONGEST_TARGET);
        let Some(size) = size else {
            return Err(Why::damaged("the target of a link is longer than a path can be"));
        };
        if core.form == Form::Local {
            let target = core.fork().get(..size);
            return target
                .map(<[u8]>::to_vec)
                .ok_or_else(|| Why::damaged("the target of a link is longer than its inode"));
        }
        let (area, superblock) = (self.area.clone(), self.superblock.clone());
        self.extents(node.number, &core)?.target(&area, &superblock, size)
    }

    fn space(&mut self) -> Result<Option<Space>, Trouble> {
        let block = u64::from(self.superblock.block);
        let bytes = self.superblock.blocks.saturating_mul(block);
        let free = self.superblock.free.saturating_mul(block).min(bytes);
        // Inodes are made as they are needed.
        Ok(Some(Space { bytes, free, inodes: None, free_inodes: None }))
    }

    fn state(&self) -> State {
        self.state.clone()
    }

    fn place(&mut self, node: Node) -> Option<u64> {
        self.area.on_disk(self.superblock.inode_at(node.number)?)
    }
}

/// A number that the volume has in big-endian order; 0 behind the end, which whoever asks has looked at.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u16::from_be_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Whether a structure has the CRC-32C that is in it at `at`, over all of it with zeros there.
fn is_whole(bytes: &[u8], at: usize) -> bool {
    let Some(stored) = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>) else { return false };
    let sum = crc32c::crc32c(&bytes[..at]);
    let sum = crc32c::crc32c_append(sum, &[0; 4]);
    crc32c::crc32c_append(sum, &bytes[at + 4..]) == u32::from_le_bytes(*stored)
}
