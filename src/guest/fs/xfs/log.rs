//! Whether the log holds anything that was not written to its place.
//!
//! It is a ring of sectors that each begin with the number of their round. What was written last ends where that number
//! goes down; a volume that was unmounted has a record of that there (`xlog_find_tail` in `fs/xfs/xfs_log_recover.c`).

use super::superblock::Superblock;
use super::{Area, Trouble, Why, u32_at};

const SECTOR: u64 = 512;

/// The mark of a record.
const RECORD: u32 = 0xfeed_babe;

/// Sectors of the longest record, with its header (XLOG_MAX_RECORD_BSIZE and 32 KiB of data for each sector of header).
const LONGEST: u64 = 512 + 8;

/// The flag of an operation that ends all.
const UNMOUNT: u8 = 0x20;

/// Why the volume cannot be taken as it is; `None` if it was unmounted.
pub(super) fn why_dirty(
    area: &Area<'_>,
    superblock: &Superblock,
) -> Result<Option<String>, Trouble> {
    match Log::of(area, superblock).map_or(Ok(None), |log| log.unmounted()) {
        Ok(Some(true)) => Ok(None),
        Ok(Some(false)) => Ok(Some("its log holds changes".to_owned())),
        Ok(None) => Ok(Some("its log is elsewhere, or makes no sense".to_owned())),
        Err(Trouble::Left(_)) => Ok(Some("its log cannot be read".to_owned())),
        Err(halt) => Err(halt),
    }
}

struct Log<'a, 'd> {
    area: &'a Area<'d>,
    start: u64,
    sectors: u64,
}

impl<'a, 'd> Log<'a, 'd> {
    fn of(area: &'a Area<'d>, superblock: &Superblock) -> Option<Self> {
        let (first, blocks) = superblock.log;
        let start = superblock.block_at(first).filter(|_| first > 0)?;
        let sectors = u64::from(blocks) * u64::from(superblock.block) / SECTOR;
        (sectors > 2).then_some(Log { area, start, sectors })
    }

    fn sector(&self, number: u64) -> Result<[u8; SECTOR as usize], Trouble> {
        self.area.spend(1)?;
        let at = self.start.checked_add(number % self.sectors * SECTOR);
        self.area.array(at.ok_or_else(|| Why::damaged("its log lies outside of the volume"))?)
    }

    /// The number of the round that a sector was written in.
    fn round(&self, number: u64) -> Result<u32, Trouble> {
        let sector = self.sector(number)?;
        Ok(u32_at(&sector, if u32_at(&sector, 0) == RECORD { 4 } else { 0 }))
    }

    /// The sector after what was written last; `None` if the rounds make no sense.
    fn head(&self) -> Result<Option<u64>, Trouble> {
        let (first, last) = (self.round(0)?, self.round(self.sectors - 1)?);
        if first == last {
            return Ok(Some(self.sectors));
        }
        if last != 0 && last.checked_add(1) != Some(first) {
            return Ok(None);
        }
        // In front of it all sectors are of the first round, and none behind it.
        let (mut low, mut high) = (0, self.sectors - 1);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match self.round(middle)? == first {
                true => low = middle,
                false => high = middle,
            }
        }
        Ok(Some(high))
    }

    /// Whether the last record says that the volume was unmounted; `None` if there is no telling.
    fn unmounted(&self) -> Result<Option<bool>, Trouble> {
        if self.round(0)? == 0 {
            // Never used.
            return Ok(Some(true));
        }
        let Some(head) = self.head()? else { return Ok(None) };
        for back in 1..=LONGEST.min(self.sectors) {
            let at = head + self.sectors - back;
            let header = self.sector(at)?;
            if u32_at(&header, 0) != RECORD {
                continue;
            }
            // A record has a sector of header for each 32 KiB that it may have.
            let headers = match u32_at(&header, 8) & 2 {
                0 => 1,
                _ => u64::from(u32_at(&header, 320).div_ceil(32 << 10).clamp(1, 8)),
            };
            let data = u64::from(u32_at(&header, 12)).div_ceil(SECTOR);
            let body = self.sector(at + headers)?;
            let ends = headers + data == back;
            return Ok(Some(ends && u32_at(&header, 40) == 1 && body[9] & UNMOUNT != 0));
        }
        Ok(None)
    }
}
