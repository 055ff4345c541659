use crate::facts::Code;
use crate::formats::entries::Entries;

use super::offset_of;

/// Grains that are held one by one, with eight bytes each: 16 MiB. A disk of 99 GB with the usual
/// grains of 64 KiB has fewer.
const MOST_LISTED: u64 = 2 << 20;

/// Units of a bit each that are held for disks with more grains: 16 MiB as well.
const MOST_UNITS: u64 = 128 << 20;

/// Bits of a word of the bit set.
const WORD: u64 = 64;

/// Where grains begin, to find those that overlap.
pub(super) enum Starts {
    /// The sector of each, with the number of the grain in the lower half.
    Listed(Vec<u64>),
    /// A bit for each place of a grain. Writers that use so many small grains place them side by side;
    /// `phase` is the remainder of the first one's sector.
    Bits { words: Vec<u64>, phase: Option<u64>, uneven: bool },
}

impl Starts {
    /// For a disk of so many grains.
    pub(super) fn new(grains: u64) -> Starts {
        match grains <= MOST_LISTED {
            true => Starts::Listed(Vec::new()),
            false => Starts::Bits { words: Vec::new(), phase: None, uneven: false },
        }
    }

    /// How many grains there are.
    pub(super) fn count(&self) -> u64 {
        match self {
            Starts::Listed(starts) => starts.len() as u64,
            Starts::Bits { words, .. } => words.iter().map(|w| u64::from(w.count_ones())).sum(),
        }
    }

    /// The sector at which the last grain of `size` sectors ends, 0 if there is none.
    pub(super) fn end(&self, size: u64) -> u64 {
        match self {
            Starts::Listed(starts) => starts.iter().map(|start| (start >> 32) + size).max(),
            Starts::Bits { words, phase, .. } => {
                let last = words.iter().rposition(|word| *word != 0);
                last.map(|at| {
                    let bits = WORD - u64::from(words[at].leading_zeros());
                    (at as u64 * WORD + bits) * size + phase.unwrap_or(0)
                })
            }
        }
        .unwrap_or(0)
    }

    /// How many grains of `size` sectors have room from sector `begin` on between the grains and `tables`, which are ranges
    /// of sectors in ascending order.
    pub(super) fn rooms(&mut self, size: u64, begin: u64, tables: &[(u64, u64)]) -> u64 {
        let mut tables = tables.iter().copied().peekable();
        let (mut at, mut rooms) = (begin, 0);
        let mut pass = |(from, end): (u64, u64)| {
            rooms += from.saturating_sub(at) / size.max(1);
            at = at.max(end);
        };
        let mut grain = |sector: u64| {
            while let Some(table) = tables.next_if(|(from, _)| *from <= sector) {
                pass(table);
            }
            pass((sector, sector + size));
        };
        match self {
            Starts::Listed(starts) => {
                starts.sort_unstable();
                starts.iter().for_each(|start| grain(start >> 32));
            }
            Starts::Bits { words, phase, .. } => {
                let phase = phase.unwrap_or(0);
                for (word, first) in words.iter().zip((0..).step_by(WORD as usize)) {
                    let units = (0..WORD).filter(|bit| word >> bit & 1 != 0);
                    units.for_each(|bit| grain((first + bit) * size + phase));
                }
            }
        }
        tables.for_each(pass);
        rooms
    }

    /// Says that grain number `index` of `size` sectors is at `sector`, as the entry at image offset
    /// `entry` has it.
    pub(super) fn add(
        &mut self,
        wrong: &mut Entries<'_>,
        sector: u32,
        index: u64,
        size: u64,
        entry: u64,
    ) {
        let sector = u64::from(sector);
        match self {
            Starts::Listed(starts) => starts.push(sector << 32 | index & u64::from(u32::MAX)),
            Starts::Bits { words, phase, uneven } => {
                let unit = sector / size;
                if *phase.get_or_insert(sector % size) != sector % size || unit >= MOST_UNITS {
                    *uneven = true;
                    return;
                }
                let word = (unit / WORD) as usize;
                if words.len() <= word {
                    words.resize(word + 1, 0);
                }
                let Some(word) = words.get_mut(word) else { return };
                let bit = 1 << (unit % WORD);
                if *word & bit != 0 {
                    wrong.say(Code::VmdkGrainsOverlap, entry, || format!(
                        "The grain table entry for grain {index} leads to sector {sector}, where another entry leads as well."));
                }
                *word |= bit;
            }
        }
    }

    /// Holds the grains against each other and against `tables`, ranges of sectors in ascending order.
    /// `entry` gives the image offset of the entry of a grain. False if it could not be told for all.
    pub(super) fn judge(
        self,
        wrong: &mut Entries<'_>,
        size: u64,
        tables: &[(u64, u64)],
        entry: impl Fn(u64) -> u64,
    ) -> bool {
        match self {
            Starts::Listed(mut starts) => {
                starts.sort_unstable();
                let mut tables = tables.iter().peekable();
                let mut last: Option<u64> = None;
                for start in starts {
                    let (sector, index) = (start >> 32, start & u64::from(u32::MAX));
                    if let Some(last) = last.filter(|last| sector - (last >> 32) < size) {
                        wrong.say(Code::VmdkGrainsOverlap, entry(index), || format!(
                            "The grain table places grain {index} at sector {sector} and grain {} at sector {}; a grain has {size} sectors.",
                            last & u64::from(u32::MAX), last >> 32));
                    }
                    last = Some(start);
                    while tables.next_if(|(_, end)| *end <= sector).is_some() {}
                    if let Some((from, end)) =
                        tables.peek().filter(|(from, _)| *from < sector + size)
                    {
                        over_table(wrong, entry(index), sector, (*from, *end));
                    }
                }
                true
            }
            Starts::Bits { words, phase, uneven } => {
                let phase = phase.unwrap_or(0);
                let taken = |unit: u64| {
                    words.get((unit / WORD) as usize).is_some_and(|w| w >> (unit % WORD) & 1 != 0)
                };
                for &(from, end) in tables {
                    // A table has few sectors, so that these are few units.
                    let first = from.saturating_sub(phase) / size;
                    let last = end.saturating_sub(1).saturating_sub(phase) / size;
                    if let Some(unit) = (first..=last).find(|&unit| {
                        let sector = unit * size + phase;
                        taken(unit) && sector < end && from < sector + size
                    }) {
                        over_table(wrong, offset_of(from), unit * size + phase, (from, end));
                    }
                }
                !uneven
            }
        }
    }
}

fn over_table(wrong: &mut Entries<'_>, at: u64, sector: u64, (from, end): (u64, u64)) {
    wrong.say(Code::VmdkGrainsOverlap, at, || format!(
        "The grain table places a grain at sector {sector}, which overlaps the grain directory or table in sectors {from} to {}.",
        end.saturating_sub(1)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Notebook;

    /// How many overlaps there are among grains of 8 sectors, and whether all was told.
    fn overlaps(grains: u64, sectors: &[u32], tables: &[(u64, u64)]) -> (usize, bool) {
        let notebook = Notebook::new(&|_| false, 1 << 40);
        let mut wrong = Entries::new(&notebook);
        let mut starts = Starts::new(grains);
        for (index, &sector) in sectors.iter().enumerate() {
            starts.add(&mut wrong, sector, index as u64, 8, 0);
        }
        let whole = starts.judge(&mut wrong, 8, tables, |index| index);
        (notebook.close().len(), whole)
    }

    #[test]
    fn finds_grains_over_grains_and_over_tables() {
        for grains in [10, MOST_LISTED + 1] {
            assert_eq!(overlaps(grains, &[83, 11, 3, 75], &[(0, 3), (19, 23)]), (0, true));
            assert_eq!(overlaps(grains, &[83, 11, 83], &[]), (1, true));
            assert_eq!(overlaps(grains, &[83, 11], &[(10, 12), (90, 95), (99, 100)]), (2, true));
        }
        assert_eq!(overlaps(10, &[83, 11, 12], &[]), (1, true));
        assert_eq!(overlaps(10, &[83, 11, 20], &[]), (0, true));
        assert_eq!(overlaps(MOST_LISTED + 1, &[83, 11, 12], &[]), (0, false));
        assert_eq!(overlaps(MOST_LISTED + 1, &[u32::MAX], &[]), (0, false));
    }

    #[test]
    fn of_millions_of_overlaps_a_bounded_number_is_made() {
        for grains in [10, MOST_LISTED + 1] {
            let notebook = Notebook::new(&|_| false, 1 << 40);
            let mut wrong = Entries::new(&notebook);
            let mut starts = Starts::new(grains);
            (0..30_000).for_each(|index| starts.add(&mut wrong, 83, index, 8, index));
            starts.judge(&mut wrong, 8, &[], |index| index);
            let last = notebook.close().pop().unwrap();
            assert!(last.said.ends_with("(9992 more of this kind)"), "{}", last.said);
        }
    }

    #[test]
    fn knows_where_there_is_room_for_more() {
        for grains in [10, MOST_LISTED + 1] {
            let notebook = Notebook::new(&|_| false, 1 << 40);
            let mut wrong = Entries::new(&notebook);
            let mut starts = Starts::new(grains);
            for (index, sector) in [27, 11, 43, 67].into_iter().enumerate() {
                starts.add(&mut wrong, sector, index as u64, 8, 0);
            }
            assert_eq!(starts.rooms(8, 3, &[]), 5);
            // Tables take room, but no more than they have.
            assert_eq!(starts.rooms(8, 3, &[(3, 4), (19, 20), (35, 43), (51, 53), (75, 80)]), 1);
            assert_eq!(starts.rooms(8, 11, &[(90, 95)]), 5);
        }
    }

    #[test]
    fn knows_how_many_there_are_and_where_the_last_one_ends() {
        for grains in [10, MOST_LISTED + 1] {
            let notebook = Notebook::new(&|_| false, 1 << 40);
            let mut wrong = Entries::new(&notebook);
            let mut starts = Starts::new(grains);
            assert_eq!((starts.count(), starts.end(8)), (0, 0));
            for (index, sector) in [83, 11, 8 * 64 * 3 + 3].into_iter().enumerate() {
                starts.add(&mut wrong, sector, index as u64, 8, 0);
            }
            assert_eq!((starts.count(), starts.end(8)), (3, 8 * 64 * 3 + 11));
        }
    }
}
