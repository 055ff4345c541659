use super::{Got, Halt, ImageView};

/// Longer reads are data. Table entries and the markers before grains are shorter.
const SMALL: usize = 64;

/// Data of this length is answered from pages if the first one is at hand: a grain lies behind its marker, and would be
/// read twice.
const BESIDE: usize = 2 * PAGE;

const PAGE: usize = 64 << 10;

/// One for each level of the tables, and one more for tables that cross a page.
const PAGES: usize = 4;

/// Answers small reads from a few pages, for readers of a whole disk, which want one table entry
/// after the other. It reads ahead, so it is for views that can go back.
pub struct CachedView<'v> {
    view: &'v mut dyn ImageView,
    /// The pages with their image offsets, the one that was used last at the end.
    pages: Vec<(u64, Vec<u8>)>,
}

impl<'v> CachedView<'v> {
    /// A view of what `view` shows.
    pub fn new(view: &'v mut dyn ImageView) -> Self {
        CachedView { view, pages: Vec::with_capacity(PAGES) }
    }

    fn has(&self, at: u64) -> bool {
        self.pages.iter().any(|(known, _)| *known == at)
    }

    /// Makes the page at this offset the last one; false if the image has none of it at hand.
    fn load(&mut self, at: u64) -> Result<bool, Halt> {
        if let Some(index) = self.pages.iter().position(|(known, _)| *known == at) {
            self.pages[index..].rotate_left(1);
            return Ok(true);
        }
        let mut page = match self.pages.len() {
            PAGES => self.pages.remove(0).1,
            _ => Vec::new(),
        };
        page.resize(PAGE, 0);
        match self.view.read_at(at, &mut page)? {
            Got::Bytes(count) => page.truncate(count),
            Got::Missing(_) => return Ok(false),
        }
        self.pages.push((at, page));
        Ok(true)
    }
}

impl ImageView for CachedView<'_> {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<Got, Halt> {
        let skip = (at % PAGE as u64) as usize;
        let small = buf.len() <= SMALL && skip + buf.len() <= PAGE;
        if !small && (buf.len() > BESIDE || !self.has(at - skip as u64)) {
            return self.view.read_at(at, buf);
        }
        let mut have = 0;
        while have < buf.len() {
            let from = at.saturating_add(have as u64);
            let skip = (from % PAGE as u64) as usize;
            if !self.load(from - skip as u64)? {
                return self.view.read_at(at, buf);
            }
            let bytes = self.pages.last().and_then(|(_, page)| page.get(skip..));
            let bytes = bytes.unwrap_or_default();
            let count = bytes.len().min(buf.len() - have);
            buf[have..have + count].copy_from_slice(&bytes[..count]);
            have += count;
            if skip + count < PAGE {
                // All that was wanted, or all that the image has.
                break;
            }
        }
        Ok(Got::Bytes(have))
    }

    fn size(&mut self) -> Result<Option<u64>, Halt> {
        self.view.size()
    }

    fn keep(&mut self, at: u64, len: u64) {
        self.view.keep(at, len);
    }

    fn ahead(&mut self, parts: &mut dyn Iterator<Item = (u64, u64)>) -> Result<(), Halt> {
        self.view.ahead(parts)
    }

    fn is_seekable(&self) -> bool {
        self.view.is_seekable()
    }

    fn is_passing(&self) -> bool {
        self.view.is_passing()
    }

    fn look_back(&mut self, len: u64) {
        self.view.look_back(len);
    }

    fn at_hand(&self) -> u64 {
        self.view.at_hand()
    }

    fn scans_left(&self) -> u32 {
        self.view.scans_left()
    }

    fn used_end(&mut self) -> Result<Option<u64>, Halt> {
        self.view.used_end()
    }

    fn hole(&mut self, at: u64) -> (u64, bool) {
        self.view.hole(at)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::MemoryView;
    use super::*;

    #[test]
    fn answers_like_the_view_below() {
        let image: Vec<u8> = (0..400_001u32).map(|at| (at / 3 % 251) as u8).collect();
        let mut plain = MemoryView::new(image.clone());
        let mut below = MemoryView::new(image);
        let mut cached = CachedView::new(&mut below);
        let mut at = 1u64;
        for turn in 0..3000u64 {
            // Around the ends of pages and of the image, and past it.
            at = match turn % 4 {
                0 => (turn * 7919) % 420_000,
                1 => 65_536 * (turn % 8),
                2 => 399_990 + turn % 20,
                _ => at + 8,
            };
            let len = [8, 16, 64, 65, 4000, 70_000, 140_000][(turn % 7) as usize];
            let (mut one, mut other) = (vec![0xee; len], vec![0xee; len]);
            let expected = plain.read_at(at, &mut one).unwrap();
            assert_eq!(cached.read_at(at, &mut other).unwrap(), expected, "{at} {len}");
            assert!(one == other, "{at} {len}");
        }
    }
}
