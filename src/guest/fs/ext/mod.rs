//! ext2, ext3 and ext4.
//!
//! Read as Linux reads them (`fs/ext4`): what it refuses is damaged here, and where its structures have check sums they are held
//! against them. A journal that was not replayed is replayed in memory (`journal`).
//!
//! `superblock`, `groups` and `inode` are the fixed structures; `map` leads from a file to its blocks by `extents` or
//! `indirect`; `directory` and `inline` know contents. All of it is read through `Blocks`.

mod blocks;
mod directory;
mod extents;
mod groups;
mod indirect;
mod inline;
mod inode;
mod journal;
mod map;
mod sums;
mod superblock;

use super::{Area, FileSystem, Inode, Kind, LONGEST_TARGET, Node, Space, State, Trouble, Why};
use blocks::Blocks;
use inode::{ENCRYPTED, INLINE, MAP_SIZE, ROOT, Read};
use superblock::Superblock;

/// Groups whose descriptors are read for what is free, at most: 8 TiB of blocks of 4 KiB. The superblock of a mounted file
/// system says what was free when it was mounted.
const MOST_COUNTED: u64 = 1 << 16;

/// A file system of ext2, ext3 or ext4.
pub struct Ext<'d> {
    blocks: Blocks<'d>,
    state: State,
}

impl<'d> Ext<'d> {
    /// Opens what is in a volume, and replays its journal if it was not unmounted.
    ///
    /// # Errors
    /// If it is damaged, has features that nothing here reads, or cannot be read.
    pub fn open(area: Area<'d>) -> Result<Self, Trouble> {
        let superblock = Superblock::parse(&area.array(superblock::AT)?, area.size())?;
        let copies = journal::Copies::default();
        let mut blocks = Blocks { area, superblock, copies, last_run: None };
        let needed = blocks.superblock.needs_recovery;
        let replayed = if needed { journal::replay(&mut blocks)? } else { Default::default() };
        if needed {
            // It may have a newer one.
            let mut raw = [0; superblock::SIZE];
            blocks.read(superblock::AT, &mut raw)?;
            blocks.superblock = Superblock::parse(&raw, blocks.area.size())?;
        }
        let known = &blocks.superblock;
        let state = if let Some(but) = replayed.but {
            State::NotReplayed(but)
        } else if known.has_errors || replayed.has_errors {
            State::Errors
        } else if needed {
            State::Replayed
        } else if !known.was_unmounted {
            State::NotReplayed("it was not unmounted, and has no journal in use".to_owned())
        } else {
            State::Clean
        };
        Ok(Ext { blocks, state })
    }

    fn known(&mut self, node: Node) -> Result<Read, Trouble> {
        let number = u32::try_from(node.number);
        self.blocks.inode(number.map_err(|_| Why::damaged("there is no such inode"))?)
    }

    /// What has to be of this kind, and not encrypted.
    fn of(&mut self, node: Node, kind: Kind, what: &str) -> Result<Read, Trouble> {
        let inode = self.known(node)?;
        if inode.known.kind != kind {
            return Err(Why::damaged(format!("inode {} is no {what}", inode.number)));
        }
        if inode.has(ENCRYPTED) {
            return Err(Why::unsupported(format!("{what} {} is encrypted", inode.number)));
        }
        Ok(inode)
    }
}

fn node(number: u32) -> Node {
    Node { tree: 0, number: u64::from(number) }
}

impl FileSystem for Ext<'_> {
    fn root(&self) -> Node {
        node(ROOT)
    }

    fn inode(&mut self, node: Node) -> Result<Inode, Trouble> {
        Ok(self.known(node)?.known)
    }

    fn list(
        &mut self,
        directory: Node,
        each: &mut dyn FnMut(&[u8], Node) -> bool,
    ) -> Result<(), Trouble> {
        let inode = self.of(directory, Kind::Directory, "directory")?;
        directory::list(&mut self.blocks, &inode, &mut |name, number| each(name, node(number)))
    }

    fn read(&mut self, node: Node, at: u64, buf: &mut [u8]) -> Result<usize, Trouble> {
        let inode = self.of(node, Kind::Regular, "regular file")?;
        let left = inode.known.size.saturating_sub(at).min(buf.len() as u64) as usize;
        let buf = &mut buf[..left];
        if inode.has(INLINE) {
            inline::read(&inode, at, buf)?;
        } else {
            self.blocks.read_file(&inode, at, buf)?;
        }
        Ok(left)
    }

    fn target(&mut self, node: Node) -> Result<Vec<u8>, Trouble> {
        let inode = self.of(node, Kind::Link, "symbolic link")?;
        let is_fast = inode.is_fast_link();
        let most = match is_fast {
            true => MAP_SIZE - 1,
            // The zero behind it has to be in the same block.
            false => LONGEST_TARGET.min(self.blocks.size() - 1),
        };
        let size = inode.known.size;
        if size == 0 || size > most as u64 {
            let number = inode.number;
            return Err(Why::damaged(format!(
                "symbolic link {number} claims to have {size} bytes"
            )));
        }
        let mut target = vec![0; size as usize];
        if is_fast {
            target.copy_from_slice(&inode.map[..size as usize]);
        } else if inode.has(INLINE) {
            inline::read(&inode, 0, &mut target)?;
        } else {
            self.blocks.read_file(&inode, 0, &mut target)?;
        }
        let end = target.iter().position(|&byte| byte == 0).unwrap_or(target.len());
        target.truncate(end);
        Ok(target)
    }

    fn space(&mut self) -> Result<Option<Space>, Trouble> {
        let known = &self.blocks.superblock;
        let (blocks, size, groups) = (known.blocks, known.block_size, known.groups);
        let (inodes, cluster) = (u64::from(known.inodes), known.cluster);
        let (mut free, mut free_inodes) = (known.free_blocks, u64::from(known.free_inodes));
        if groups <= MOST_COUNTED {
            (free, free_inodes) = (0, 0);
            self.blocks.area.spend(groups / 64)?;
            for group in 0..groups {
                let group = self.blocks.group(group)?;
                free += u64::from(group.free_clusters) * cluster;
                free_inodes += u64::from(group.free_inodes);
            }
        }
        Ok(Some(Space {
            bytes: blocks * size,
            free: free.min(blocks) * size,
            inodes: Some(inodes),
            free_inodes: Some(free_inodes.min(inodes)),
        }))
    }

    fn state(&self) -> State {
        self.state.clone()
    }

    fn place(&mut self, node: Node) -> Option<u64> {
        let at = self.blocks.inode_at(u32::try_from(node.number).ok()?).ok()?;
        self.blocks.area.on_disk(at)
    }
}
