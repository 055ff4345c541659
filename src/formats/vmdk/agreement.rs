//! What the markers of a stream said, held against its footer and its tables.

use super::maps::Maps;
use super::stream::Stream;
use super::{SECTOR, offset_of};

impl Stream<'_> {
    /// Holds the end of the markers against the place of the header copy in the footer.
    pub(super) fn check_end(&mut self, copy: Option<u64>) {
        let Some(copy) = copy.filter(|_| self.is_whole()) else { return };
        match self.footer {
            Some(footer) if footer.saturating_add(SECTOR) == copy => {}
            Some(footer) => self.fault(footer, format!(
                "The first footer marker is at byte {footer}, but the stream ends with the footer at byte {}.", copy.saturating_sub(SECTOR))),
            None => self.fault(copy, format!(
                "The markers end before they reach the footer at byte {}.", copy.saturating_sub(SECTOR))),
        }
    }

    /// Tables among the grains have a marker before them.
    pub(super) fn check_tables(&mut self, maps: &Maps<'_>) {
        let begin = self.begin();
        self.tables.sort_unstable();
        for &sector in maps.places.iter().flatten() {
            let at = offset_of(sector.into());
            if at >= begin && self.tables.binary_search(&at).is_err() {
                self.fault(at, format!(
                    "The grain directory places a grain table at byte {at}, where no marker announces one."));
            }
        }
    }

    /// Holds what the tables say against the markers.
    pub(super) fn compare(&mut self, named: &[u32], entry: impl Fn(u64) -> u64) {
        let most = self.marked.len().max(named.len());
        for index in 0..most {
            let [marked, said] =
                [&*self.marked, named].map(|list| list.get(index).copied().unwrap_or(0));
            if marked == said {
                continue;
            }
            if self.is_hopeless() {
                return;
            }
            let sector = (index as u64).saturating_mul(self.header.grain_size);
            let [place, entry] = [offset_of(marked.into()), entry(index as u64)];
            match (marked, said) {
                (0, _) => self.fault(entry, format!(
                    "The grain table has the grain for sector {sector} at byte {}, where no marker is for it.", offset_of(said.into()))),
                (_, 0) => self.fault(place, format!(
                    "The stream has a grain for sector {sector} at byte {place}, which no grain table names.")),
                _ => self.fault(entry, format!(
                    "The stream has the grain for sector {sector} at byte {place}, but the grain table has it at byte {}.", offset_of(said.into()))),
            }
        }
    }
}
