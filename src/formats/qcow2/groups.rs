//! The L2 tables that L1 tables name, in groups that fit into memory.
//!
//! A group is the next tables by image offset. It comes out of one reading of all L1 tables: whoever
//! keeps the smallest offsets at any time has, in the end, the smallest of all, and has counted each of
//! them from its first user on.

use std::collections::BTreeMap;

/// Who refers to an L2 table.
#[derive(Clone, Copy, Default)]
pub(super) struct L2 {
    /// The entry of the active L1 table that names it. No table has more than 2^32.
    pub(super) entry: Option<u32>,
    /// L1 entries that name it, of the active disk and of snapshots.
    pub(super) users: u32,
    /// Its number among the tables of all groups.
    pub(super) number: u32,
}

/// One group at a time, and what is known of all.
pub(super) struct Groups {
    /// Tables in a group at most.
    most: usize,
    /// Groups at most.
    groups: usize,
    /// The tables of the group while the L1 tables are read, by image offset.
    tables: BTreeMap<u64, L2>,
    /// The same in order, once all are known: a third of the room.
    settled: Vec<(u64, L2)>,
    /// The last of them once the group is full; nothing behind it belongs to the group.
    last: u64,
    /// Image offset from which on tables belong to this group.
    from: u64,
    /// Number of its first table.
    first: usize,
    /// Whether tables are left for a group after it.
    more: bool,
    /// By number of a table, which bands of the image it refers to.
    touched: Vec<Touched>,
    /// Each group: where it begins, and the number of its first table.
    known: Vec<(u64, usize)>,
}

/// A bit for every band, or for several where there are more bands than bits.
#[derive(Clone, Copy, Default)]
pub(super) struct Touched(u8);

impl Touched {
    pub(super) fn add(&mut self, band: u64) {
        self.0 |= 1 << (band % 8);
    }

    pub(super) fn merge(&mut self, other: Touched) {
        self.0 |= other.0;
    }

    fn has(self, band: u64) -> bool {
        self.0 >> (band % 8) & 1 != 0
    }
}

impl Groups {
    /// None yet; each of at most `groups` will have `most` tables.
    pub(super) fn new(most: usize, groups: usize) -> Self {
        Groups {
            most,
            groups,
            tables: BTreeMap::new(),
            settled: Vec::new(),
            last: u64::MAX,
            from: 0,
            first: 0,
            more: false,
            touched: Vec::new(),
            known: Vec::new(),
        }
    }

    /// Begins the first group.
    pub(super) fn begin(&mut self) {
        self.begin_at(0, 0);
    }

    fn begin_at(&mut self, from: u64, first: usize) {
        self.tables.clear();
        self.settled.clear();
        (self.from, self.first) = (from, first);
        (self.last, self.more) = (u64::MAX, false);
    }

    /// Begins the group after this one; false if there is none.
    pub(super) fn advance(&mut self) -> bool {
        let Some(&(last, _)) = self.settled.last() else { return false };
        if !self.more {
            return false;
        }
        self.begin_at(last + 1, self.first + self.settled.len());
        true
    }

    /// Begins the next group that has a table for this band, after all groups were known once.
    pub(super) fn advance_to(&mut self, band: u64) -> bool {
        let ends = self.known.iter().skip(1).map(|(_, first)| *first).chain([self.touched.len()]);
        let next = self.known.iter().zip(ends).find(|&(&(from, first), end)| {
            let touched = self.touched.get(first..end).unwrap_or_default();
            from > self.from && touched.iter().any(|touched| touched.has(band))
        });
        let Some((&(from, first), _)) = next else { return false };
        self.begin_at(from, first);
        true
    }

    /// Whether it makes no difference to this group that somebody uses the table.
    pub(super) fn passes_over(&self, table: u64) -> bool {
        table < self.from || self.more && table > self.last
    }

    /// Adds a user of a table. Tables of other groups are passed over.
    pub(super) fn add(&mut self, table: u64, entry: Option<u32>) {
        if table < self.from {
            return;
        }
        if table > self.last {
            self.more = true;
            return;
        }
        let l2 = self.tables.entry(table).or_default();
        l2.users = l2.users.saturating_add(1);
        l2.entry = l2.entry.or(entry);
        if self.tables.len() > self.most {
            self.tables.pop_last();
            self.more = true;
        }
        if self.tables.len() == self.most {
            self.last = self.tables.last_key_value().map_or(u64::MAX, |(last, _)| *last);
        }
    }

    /// Numbers the tables of the group, all of whose users were added. False if it is the last one
    /// although there are more tables.
    pub(super) fn settle(&mut self) -> bool {
        self.settled.reserve_exact(self.tables.len());
        self.settled.extend(std::mem::take(&mut self.tables));
        for ((_, l2), number) in self.settled.iter_mut().zip(self.first..) {
            // No more than the entries of all L1 tables.
            l2.number = number as u32;
        }
        let end = self.first + self.settled.len();
        if self.known.last().is_none_or(|(from, _)| *from < self.from) {
            self.known.push((self.from, self.first));
        }
        if self.touched.len() < end {
            self.touched.resize(end, Touched::default());
        }
        let again = self.known.last().is_some_and(|(from, _)| *from > self.from);
        let fit = !self.more || again || self.known.len() < self.groups;
        self.more &= fit;
        fit
    }

    /// The table at this image offset, if it is in the group.
    pub(super) fn get(&self, table: u64) -> Option<L2> {
        let at = self.settled.binary_search_by_key(&table, |(table, _)| *table).ok()?;
        Some(self.settled[at].1)
    }

    /// Image offsets of the group's tables that refer to this band, as far as that is known: in the
    /// first band all.
    pub(super) fn of_band(&self, band: u64) -> impl Iterator<Item = u64> {
        let wanted = move |l2: &L2| {
            band == 0
                || self.touched.get(l2.number as usize).is_none_or(|touched| touched.has(band))
        };
        self.settled.iter().filter(move |(_, l2)| wanted(l2)).map(|(table, _)| *table)
    }

    /// Which bands the table of this number refers to.
    pub(super) fn touch(&mut self, number: u32) -> Option<&mut Touched> {
        self.touched.get_mut(number as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables that any order of entries names, some of them twice.
    #[test]
    fn every_table_is_in_one_group_with_all_its_users() {
        let users: Vec<u64> = (0..200u64).map(|n| n * 7919 % 101 * 512 + 512).collect();
        for most in [1, 7, 100, 101, 500] {
            let mut groups = Groups::new(most, 101);
            let mut seen = BTreeMap::new();
            groups.begin();
            loop {
                users.iter().for_each(|&table| groups.add(table, Some(table as u32)));
                assert!(groups.settle());
                assert!(groups.settled.len() <= most);
                for (table, l2) in &groups.settled {
                    assert!(seen.insert(*table, (l2.number, l2.users)).is_none());
                    groups.touched[l2.number as usize].add(*table / 512 % 8);
                }
                if !groups.advance() {
                    break;
                }
            }
            let expected: BTreeMap<u64, (u32, u32)> = (0..101u64)
                .map(|n| (n + 1) * 512)
                .map(|table| (table, users.iter().filter(|&&user| user == table).count() as u32))
                .enumerate()
                .map(|(number, (table, count))| (table, (number as u32, count)))
                .collect();
            assert_eq!(seen, expected, "{most}");

            // For another band, only the groups with a table for it.
            let mut of_band = Vec::new();
            groups.begin();
            loop {
                users.iter().for_each(|&table| groups.add(table, None));
                assert!(groups.settle());
                of_band.extend(groups.of_band(3));
                if !groups.advance_to(3) {
                    break;
                }
            }
            let expected: Vec<u64> = (1..=101).filter(|n| n % 8 == 3).map(|n| n * 512).collect();
            assert_eq!(of_band, expected, "{most}");
        }
    }
}
