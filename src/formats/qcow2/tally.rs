//! How often each cluster of the image is used, and how often its refcount says so.

use std::collections::HashMap;

/// Clusters in a page; a page is a cell of one byte for each.
const PAGE: u64 = 64 << 10;

/// Pages that are made at most: 24 MiB, enough for 100 GB in clusters of 4 KiB.
const MOST_PAGES: usize = 384;

/// Clusters that can always be counted, wherever they are among as many.
pub(super) const BAND: u64 = PAGE * MOST_PAGES as u64;

/// Pages that there can be: 100 GB in clusters of 512 bytes have 2981.
const MOST_NUMBERS: usize = 4096;

/// Clusters with counts that do not fit into a cell: those that hold many compressed ones, or are
/// shared by many snapshots.
const MOST_LARGE: usize = 1 << 18;

/// The largest count that fits into three bits, when seven stands for "elsewhere".
const LARGEST_SMALL: u32 = 6;

/// Where a cell has its [`Kind`].
const KIND: u32 = 6;
const ELSEWHERE: u8 = 0b0011_1111;

/// Counts for the clusters of one image or of a band of it, in bounded memory.
#[derive(Default)]
pub(super) struct Tally {
    /// The first cluster that is counted.
    first: u64,
    /// By number; those that nothing refers to are not made.
    pages: Vec<Option<Page>>,
    made: usize,
    /// Large counts of all pages.
    large: usize,
    full: bool,
}

/// The clusters of a page.
struct Page {
    cells: Box<[u8]>,
    /// Counts that do not fit into a cell, by its number. Each page has its own: no large table has to be copied to grow.
    large: HashMap<u16, (u32, u32)>,
}

impl Page {
    fn unpack(&self, cell: usize) -> Count {
        let byte = self.cells[cell];
        let (references, stored) = match byte & ELSEWHERE {
            ELSEWHERE => self.large.get(&(cell as u16)).copied().unwrap_or_default(),
            small => (u32::from(small & 7), u32::from(small >> 3)),
        };
        Count { references, stored, kind: Kind::ALL[usize::from(byte >> KIND)] }
    }
}

/// What is known of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Count {
    /// References to it that were found.
    pub(super) references: u32,
    /// What its refcount says.
    pub(super) stored: u32,
    /// What is known of its users.
    pub(super) kind: Kind,
}

/// What uses a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Kind {
    /// Nothing, or what says no more of it.
    #[default]
    Other,
    /// An entry of the active disk with the COPIED flag.
    Copied,
    /// An entry of the active disk without it.
    NotCopied,
    /// Compressed clusters, each of which takes a part of it.
    Compressed,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Other, Kind::Copied, Kind::NotCopied, Kind::Compressed];
}

impl Tally {
    /// Counts clusters from `first` on; the caller asks for none before.
    pub(super) fn from(first: u64) -> Self {
        Tally { first, ..Tally::default() }
    }

    /// The page of a cluster and its place in it.
    fn place(&self, cluster: u64) -> (usize, usize) {
        let index = cluster.saturating_sub(self.first);
        ((index / PAGE) as usize, (index % PAGE) as usize)
    }

    /// Whether there were more clusters than it can hold, so that some are not counted.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    pub(super) fn get(&self, cluster: u64) -> Count {
        let (number, cell) = self.place(cluster);
        match self.pages.get(number) {
            Some(Some(page)) => page.unpack(cell),
            _ => Count::default(),
        }
    }

    /// Changes what is known of a cluster.
    pub(super) fn update(&mut self, cluster: u64, change: impl FnOnce(&mut Count)) {
        let (number, place) = self.place(cluster);
        if number >= MOST_NUMBERS {
            self.full = true;
            return;
        }
        if number >= self.pages.len() {
            self.pages.resize_with(number + 1, || None);
        }
        let page = match &mut self.pages[number] {
            Some(page) => page,
            None if self.made >= MOST_PAGES => {
                self.full = true;
                return;
            }
            none => {
                self.made += 1;
                let cells = vec![0; PAGE as usize].into_boxed_slice();
                none.insert(Page { cells, large: HashMap::new() })
            }
        };
        let mut count = page.unpack(place);
        change(&mut count);
        let was_large = page.cells[place] & ELSEWHERE == ELSEWHERE;
        let is_small = count.references <= LARGEST_SMALL && count.stored <= LARGEST_SMALL;
        let counts = if is_small {
            if was_large && page.large.remove(&(place as u16)).is_some() {
                self.large -= 1;
            }
            count.references as u8 | (count.stored as u8) << 3
        } else if was_large || self.large < MOST_LARGE {
            let before = page.large.insert(place as u16, (count.references, count.stored));
            self.large += usize::from(before.is_none());
            ELSEWHERE
        } else {
            self.full = true;
            0
        };
        page.cells[place] = counts | (count.kind as u8) << KIND;
    }

    /// Everything that is known, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Count)> {
        (self.first..).step_by(PAGE as usize).zip(&self.pages).flat_map(|(first, page)| {
            let cells =
                page.iter().flat_map(|page| (0..page.cells.len()).map(move |cell| (page, cell)));
            (first..)
                .zip(cells)
                .filter(|(_, (page, cell))| page.cells[*cell] != 0)
                .map(|(cluster, (page, cell))| (cluster, page.unpack(cell)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_counts_are_kept() {
        let mut tally = Tally::default();
        for _ in 0..700 {
            tally.update(70_000, |count| count.references += 1);
        }
        tally.update(70_000, |count| count.stored = 700);
        tally.update(3, |count| (count.references, count.kind) = (2, Kind::Compressed));
        assert_eq!((tally.get(70_000).references, tally.get(70_000).stored), (700, 700));
        let all: Vec<_> =
            tally.iter().map(|(cluster, count)| (cluster, count.references)).collect();
        assert_eq!(all, [(3, 2), (70_000, 700)]);
        assert_eq!((tally.get(3).kind, tally.get(4).kind), (Kind::Compressed, Kind::Other));
    }

    #[test]
    fn memory_is_bounded() {
        let mut tally = Tally::default();
        for page in 0..=MOST_PAGES as u64 {
            tally.update(page * PAGE, |count| count.references = 1);
        }
        assert!(tally.is_full());
        assert_eq!(tally.made, MOST_PAGES);
    }
}
