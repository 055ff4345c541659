//! Chunks: which bytes of the device an address of the volume means.

use super::nodes::Key;
use super::superblock::Superblock;
use super::{Trouble, Why, le16, le64};

/// The type of items that describe a chunk.
pub(super) const CHUNK: u8 = 228;

/// Chunks that are kept: 4 MiB of them. One usually has 1 GiB.
const MOST: usize = 1 << 16;

/// Profiles that stripe: of these a place depends on more than the first address, and on other devices.
const STRIPED: u64 = 1 << 3 | 1 << 6 | 1 << 7 | 1 << 8;

/// Bytes of a chunk's item, and of each stripe behind it.
const HEADER: usize = 48;
const STRIPE: usize = 32;

#[derive(Clone, Debug)]
struct Chunk {
    address: u64,
    len: u64,
    /// Where it is on this device: twice with DUP.
    copies: [Option<u64>; 2],
    is_striped: bool,
}

/// All chunks, by their address.
#[derive(Clone, Debug)]
pub(super) struct Chunks {
    device: u64,
    list: Vec<Chunk>,
}

impl Chunks {
    /// Those that the superblock lists.
    pub(super) fn first(superblock: &Superblock) -> Result<Self, Trouble> {
        let mut chunks = Chunks { device: superblock.device, list: Vec::new() };
        let mut rest = &superblock.system[..];
        while !rest.is_empty() {
            let Some((key, item)) = rest.split_at_checked(Key::SIZE) else { return Err(damaged()) };
            let key = Key::parse(key);
            let len = chunks.add(key, item)?;
            rest = &item[len..];
        }
        Ok(chunks)
    }

    /// Adds the chunk of an item, unless it is known; returns the bytes of the item.
    pub(super) fn add(&mut self, key: Key, item: &[u8]) -> Result<usize, Trouble> {
        if key.kind != CHUNK || item.len() < HEADER {
            return Err(damaged());
        }
        let (len, profile) = (le64(item, 0), le64(item, 24));
        let stripes = usize::from(le16(item, 44));
        let size = HEADER + STRIPE * stripes;
        let Some(places) = item.get(HEADER..size) else { return Err(damaged()) };
        let end = key.offset.checked_add(len).filter(|&end| end > key.offset);
        let index = self.list.partition_point(|chunk| chunk.address < key.offset);
        if self.list.get(index).is_some_and(|chunk| chunk.address == key.offset) {
            return Ok(size);
        }
        let before =
            index.checked_sub(1).map_or(0, |index| self.list[index].address + self.list[index].len);
        let after = self.list.get(index).map_or(u64::MAX, |chunk| chunk.address);
        if end.is_none_or(|end| end > after) || before > key.offset {
            return Err(damaged());
        }
        if self.list.len() == MOST {
            return Err(Why::Limit("there are more chunks than tidegate reads").into());
        }
        let mut here = places.chunks_exact(STRIPE).filter(|stripe| le64(stripe, 0) == self.device);
        let mut copy = || here.next().map(|stripe| le64(stripe, 8));
        let copies = [copy(), copy()];
        let is_striped = profile & STRIPED != 0 && stripes > 1;
        self.list.insert(index, Chunk { address: key.offset, len, copies, is_striped });
        Ok(size)
    }

    /// Offsets on the device of the copies of what is at an address, and for how many bytes that holds.
    pub(super) fn resolve(&self, address: u64) -> Result<([Option<u64>; 2], u64), Trouble> {
        let index = self.list.partition_point(|chunk| chunk.address <= address);
        let chunk = index.checked_sub(1).map(|index| &self.list[index]);
        let within = |chunk: &&Chunk| address - chunk.address < chunk.len;
        let Some(chunk) = chunk.filter(within) else {
            return Err(Why::damaged("an address of btrfs is in no chunk"));
        };
        if chunk.is_striped {
            return Err(Why::unsupported("btrfs is striped here (RAID 0, 5, 6 or 10)"));
        }
        if chunk.copies == [None, None] {
            return Err(Why::unsupported("a part of the btrfs volume is on another device"));
        }
        let skip = address - chunk.address;
        Ok((chunk.copies.map(|copy| copy?.checked_add(skip)), chunk.len - skip))
    }
}

fn damaged() -> Trouble {
    Why::damaged("the chunks of btrfs are damaged")
}
