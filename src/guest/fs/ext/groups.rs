//! Group descriptors: where the inodes of a group are, and what is free in it.

use super::super::fields::{halves, le16, le32};
use super::super::{Trouble, Why};
use super::blocks::Blocks;
use super::sums::{crc16, crc32c};
use super::superblock::{AT, Sums};

/// Where its check sum is.
const SUM: usize = 0x1e;

/// What is known of a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    /// The first block of its inodes.
    pub(super) inodes: u64,
    /// Clusters that are free.
    pub(super) free_clusters: u32,
    pub(super) free_inodes: u32,
}

impl Blocks<'_> {
    /// Reads the descriptor of a group.
    pub(super) fn group(&mut self, group: u64) -> Result<Group, Trouble> {
        let size = self.superblock.descriptor_size;
        let mut raw = [0; 1024];
        let raw = &mut raw[..size];
        let at = self.descriptor_at(group)?;
        self.read(at, raw)?;
        if let Some(sum) = self.sum_of(group, raw)
            && sum != le16(raw, SUM)
        {
            return Err(Why::damaged(format!(
                "the check sum of the descriptor of group {group} is wrong"
            )));
        }
        let has_high = size >= 64;
        let high = |at| if has_high { le32(raw, at) } else { 0 };
        let high16 = |at| if has_high { u32::from(le16(raw, at)) << 16 } else { 0 };
        Ok(Group {
            inodes: halves(le32(raw, 0x8), high(0x28)),
            free_clusters: high16(0x2c) | u32::from(le16(raw, 0xc)),
            free_inodes: high16(0x2e) | u32::from(le16(raw, 0xe)),
        })
    }

    /// Byte offset of the descriptor of a group.
    fn descriptor_at(&self, group: u64) -> Result<u64, Trouble> {
        let known = &self.superblock;
        if group >= known.groups {
            return Err(Why::damaged(format!("there is no group {group}")));
        }
        let size = known.descriptor_size as u64;
        let in_block = known.block_size / size;
        let (table, index) = (group / in_block, group % in_block);
        let block = match known.first_meta_group {
            Some(first) if table >= first => {
                let leader = table * in_block;
                let start = known.first_block + leader * known.blocks_per_group;
                // With clusters and blocks of 1 KiB the superblock of the first group is in its second block.
                let shift = known.block_size == AT && table == 0 && known.first_block == 0;
                start + u64::from(known.has_copy(leader)) + u64::from(shift)
            }
            _ => AT / known.block_size + 1 + table,
        };
        Ok(block * known.block_size + index * size)
    }

    /// What its sum has to be, if it has one.
    fn sum_of(&self, group: u64, raw: &[u8]) -> Option<u16> {
        let number = (group as u32).to_le_bytes();
        let (before, after) = (&raw[..SUM], &raw[SUM + 2..]);
        match self.superblock.sums {
            Sums::None => None,
            Sums::Groups => {
                let parts = [&self.superblock.uuid[..], &number, before, after];
                Some(parts.into_iter().fold(!0, crc16))
            }
            Sums::All(seed) => {
                let parts = [&number[..], before, &[0; 2], after];
                Some(parts.into_iter().fold(seed, crc32c) as u16)
            }
        }
    }
}
