//! The table of clusters: each entry is the number of the next one.

use super::super::fields::{le16, le32};
use super::super::{Area, Trouble, Why};
use super::layout::{Layout, Width};

/// Marks of the sector that says how many clusters are free.
const INFO: [(usize, u32); 2] = [(0, 0x4161_5252), (484, 0x6141_7272)];

/// Where a look-up ended.
#[derive(Clone, Copy, Debug)]
struct Reached {
    first: u32,
    index: u64,
    cluster: u32,
}

/// The table that counts.
#[derive(Debug)]
pub(super) struct Table {
    width: Width,
    at: u64,
    clusters: u32,
    /// Where the last look-up ended, so that who reads on need not begin anew.
    last: Option<Reached>,
}

impl Table {
    pub(super) fn new(layout: &Layout) -> Self {
        let Layout { width, table: at, clusters, .. } = *layout;
        Table { width, at, clusters, last: None }
    }

    /// The entry of a cluster.
    fn entry(&self, area: &Area<'_>, cluster: u32) -> Result<u32, Trouble> {
        let number = u64::from(cluster);
        Ok(match self.width {
            Width::Bits12 => {
                let pair = le16(&area.array::<2>(self.at + number + number / 2)?, 0);
                u32::from(if cluster % 2 == 1 { pair >> 4 } else { pair & 0xfff })
            }
            Width::Bits16 => u32::from(le16(&area.array::<2>(self.at + number * 2)?, 0)),
            Width::Bits32 => le32(&area.array::<4>(self.at + number * 4)?, 0) & 0x0fff_ffff,
        })
    }

    fn check(&self, cluster: u32) -> Result<u32, Trouble> {
        if cluster < 2 || u64::from(cluster) >= u64::from(self.clusters) + 2 {
            return Err(Why::damaged(format!("there is no cluster {cluster}")));
        }
        Ok(cluster)
    }

    /// The cluster that is so many behind the first one; `None` if there are not so many. What has no cluster has 0 as its
    /// first one.
    pub(super) fn nth(
        &mut self,
        area: &Area<'_>,
        first: u32,
        index: u64,
    ) -> Result<Option<u32>, Trouble> {
        if first == 0 {
            return Ok(None);
        }
        let beginning = Reached { first, index: 0, cluster: self.check(first)? };
        let known = self.last.filter(|last| last.first == first && last.index <= index);
        let mut reached = known.unwrap_or(beginning);
        let end = match self.width {
            Width::Bits12 => 0xff8,
            Width::Bits16 => 0xfff8,
            Width::Bits32 => 0x0fff_fff8,
        };
        while reached.index < index {
            area.spend(1)?;
            let next = self.entry(area, reached.cluster)?;
            if next >= end {
                return Ok(None);
            }
            reached = Reached { cluster: self.check(next)?, index: reached.index + 1, ..reached };
        }
        self.last = Some(reached);
        Ok(Some(reached.cluster))
    }

    /// How many clusters are free, as a sector says it, or a table that is short enough to be counted.
    pub(super) fn free(&self, area: &Area<'_>, layout: &Layout) -> Result<Option<u32>, Trouble> {
        if layout.is_fat32() {
            let Some(at) = layout.info else { return Ok(None) };
            let info = area.array::<512>(at)?;
            let is_info = INFO.into_iter().all(|(at, mark)| le32(&info, at) == mark);
            return Ok(Some(le32(&info, 488)).filter(|&free| is_info && free <= self.clusters));
        }
        let mut free = 0;
        area.spend(u64::from(self.clusters) / 16)?;
        for cluster in 2..self.clusters + 2 {
            free += u32::from(self.entry(area, cluster)? == 0);
        }
        Ok(Some(free))
    }
}
