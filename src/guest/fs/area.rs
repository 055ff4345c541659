//! Bytes of one volume, read through a cache that all volumes of a disk share, and how much may be read.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{Trouble, Why};
use crate::formats::{Disk, Got};

/// Bytes of a block of the cache, at hand and across a network.
const BLOCK: usize = 16 << 10;
const FAR_BLOCK: usize = 128 << 10;

/// Bytes that the cache holds.
const CACHE: usize = 4 << 20;

/// A read of so many bytes passes the cache by: it is one of many in a row.
const LONG: usize = 256 << 10;

/// Bytes of the disk that an examination reads at most.
const MOST_BYTES: u64 = 1 << 30;

/// Steps that an examination takes at most: blocks of tables, inodes, entries of directories.
const MOST_STEPS: u64 = 8 << 20;

/// How long an examination takes at most.
const LONGEST: Duration = Duration::from_secs(60);

/// Steps after which the clock is read.
const LOOK: u64 = 1 << 10;

/// A disk, read by all volumes on it.
struct Sectors<'d> {
    disk: &'d mut dyn Disk,
    /// Bytes of a block.
    block: usize,
    /// Blocks by their number on the disk, and when they were used.
    cache: HashMap<u64, (u64, Rc<[u8]>)>,
    turn: u64,
    read: u64,
    steps: u64,
    until: Instant,
}

impl Sectors<'_> {
    /// Fills the buffer from a disk offset.
    fn fill(&mut self, at: u64, buf: &mut [u8]) -> Result<(), Trouble> {
        self.read = self.read.saturating_add(buf.len() as u64);
        if self.read > MOST_BYTES {
            return Err(Why::Limit("more than 1 GiB would have to be read").into());
        }
        self.look_at_the_clock()?;
        match self.disk.read_at(at, buf)? {
            Got::Bytes(count) if count == buf.len() => Ok(()),
            Got::Bytes(_) => Err(Why::damaged("a structure lies past the end of the disk")),
            Got::Missing(missing) => Err(Why::Missing(missing).into()),
        }
    }

    fn look_at_the_clock(&self) -> Result<(), Trouble> {
        if Instant::now() > self.until {
            return Err(Why::Limit("it would take longer than a minute").into());
        }
        Ok(())
    }

    /// A block of the disk; the last one is shorter.
    fn block(&mut self, number: u64, size: u64) -> Result<Rc<[u8]>, Trouble> {
        self.turn += 1;
        if let Some((used, block)) = self.cache.get_mut(&number) {
            *used = self.turn;
            return Ok(Rc::clone(block));
        }
        let at = number * self.block as u64;
        let mut block = vec![0; size.saturating_sub(at).min(self.block as u64) as usize];
        self.fill(at, &mut block)?;
        let block: Rc<[u8]> = block.into();
        if self.cache.len() >= CACHE / self.block {
            // The older half goes, so that it is not looked for at each read.
            let mut used: Vec<u64> = self.cache.values().map(|(used, _)| *used).collect();
            used.sort_unstable();
            let middle = used[used.len() / 2];
            self.cache.retain(|_, (used, _)| *used > middle);
        }
        self.cache.insert(number, (self.turn, Rc::clone(&block)));
        Ok(block)
    }
}

/// Bytes of a volume, by offset from its beginning. It is a handle: clones read through the same cache and
/// count towards the same bounds.
#[derive(Clone)]
pub struct Area<'d> {
    sectors: Rc<RefCell<Sectors<'d>>>,
    /// Bytes of the disk.
    disk: u64,
    /// Where the volume is: offset in it, disk offset, length; ascending, without gaps.
    parts: Rc<[(u64, u64, u64)]>,
    size: u64,
}

impl<'d> Area<'d> {
    /// All of a disk of so many bytes.
    pub fn whole(disk: &'d mut dyn Disk, size: u64) -> Self {
        Area::in_blocks(disk, size, BLOCK)
    }

    /// The same of a disk across a network, which is read in longer pieces.
    pub fn far(disk: &'d mut dyn Disk, size: u64) -> Self {
        Area::in_blocks(disk, size, FAR_BLOCK)
    }

    fn in_blocks(disk: &'d mut dyn Disk, size: u64, block: usize) -> Self {
        let (cache, turn, read, steps) = (HashMap::new(), 0, 0, 0);
        let until = Instant::now() + LONGEST;
        let sectors =
            Rc::new(RefCell::new(Sectors { disk, block, cache, turn, read, steps, until }));
        Area { sectors, disk: size, parts: Rc::from([(0, 0, size)]), size }
    }

    /// Bytes of the volume.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// A part of it; what lies past its end is left out.
    #[must_use]
    pub fn part(&self, start: u64, len: u64) -> Self {
        self.joined(&[(start, len)])
    }

    /// Parts of it, by offset and length, one behind the other; what lies past its end is left out.
    #[must_use]
    pub fn joined(&self, wanted: &[(u64, u64)]) -> Self {
        let mut parts = Vec::new();
        let mut size = 0;
        for &(start, len) in wanted {
            let end = start.saturating_add(len).min(self.size);
            for &(at, on_disk, len) in self.parts.iter() {
                let (from, to) = (start.max(at), end.min(at + len));
                if from < to {
                    parts.push((size, on_disk + (from - at), to - from));
                    size += to - from;
                }
            }
        }
        Area { sectors: Rc::clone(&self.sectors), disk: self.disk, parts: parts.into(), size }
    }

    /// Disk offset of a byte of the volume.
    #[must_use]
    pub fn on_disk(&self, at: u64) -> Option<u64> {
        let index = self.parts.partition_point(|&(from, _, len)| from + len <= at);
        self.parts.get(index).map(|&(from, on_disk, _)| on_disk + (at - from))
    }

    /// Fills all of the buffer.
    ///
    /// # Errors
    /// If it does not lie in the volume, or the disk cannot be read there.
    pub fn read(&self, at: u64, buf: &mut [u8]) -> Result<(), Trouble> {
        let end = at.checked_add(buf.len() as u64).filter(|&end| end <= self.size);
        if end.is_none() {
            return Err(Why::damaged("a structure lies past the end of its volume"));
        }
        let mut sectors = self.sectors.borrow_mut();
        let mut done = 0;
        while done < buf.len() {
            let place = at + done as u64;
            let index = self.parts.partition_point(|&(from, _, len)| from + len <= place);
            let Some(&(from, on_disk, len)) = self.parts.get(index) else { break };
            let left = (len - (place - from)).min((buf.len() - done) as u64) as usize;
            let on_disk = on_disk + (place - from);
            if left >= LONG {
                sectors.fill(on_disk, &mut buf[done..done + left])?;
                done += left;
                continue;
            }
            let size = sectors.block as u64;
            let inside = (on_disk % size) as usize;
            let block = sectors.block(on_disk / size, self.disk)?;
            let count = block.len().saturating_sub(inside).min(left);
            if count == 0 {
                return Err(Why::damaged("a structure lies past the end of the disk"));
            }
            buf[done..done + count].copy_from_slice(&block[inside..inside + count]);
            done += count;
        }
        Ok(())
    }

    /// The bytes there, as an array.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn array<const N: usize>(&self, at: u64) -> Result<[u8; N], Trouble> {
        let mut bytes = [0; N];
        self.read(at, &mut bytes)?;
        Ok(bytes)
    }

    /// Counts work that an image could make endless: so many inodes, entries or blocks of tables.
    ///
    /// # Errors
    /// If there was too much of it, or it took too long.
    pub fn spend(&self, steps: u64) -> Result<(), Trouble> {
        let mut sectors = self.sectors.borrow_mut();
        let before = sectors.steps / LOOK;
        sectors.steps = sectors.steps.saturating_add(steps);
        if sectors.steps > MOST_STEPS {
            return Err(Why::Limit("there are more entries and tables than tidegate reads").into());
        }
        if sectors.steps / LOOK != before {
            sectors.look_at_the_clock()?;
        }
        Ok(())
    }

    /// Bytes of the disk that were read so far.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.sectors.borrow().read
    }
}
