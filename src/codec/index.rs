//! Places in a packed file from which it can be decoded again.
//!
//! A decoder that has an index notes places in it as it comes by them: of gzip the beginning of a member, or that of a block
//! with the 32 KiB before it, of bzip2 the beginning of a block. They are as far apart as the memory for them allows, whatever the size of the file.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::inflate::WINDOW;
use super::{Bzip2, Decoder, Gzip, Threads};

/// Bytes that what lies before all places takes at most, packed: of an index, and of a dense one.
const MOST: usize = 1 << 20;
const MOST_OF_DENSE: usize = 6 << 20;

/// Bytes that it takes at a place at most: what cannot be packed has nine bits for a byte.
const MOST_OF_ONE: usize = WINDOW + WINDOW / 8 + 64;

/// Places at most, of which some have nothing before them.
const MOST_POINTS: usize = 4096;

/// How far apart they are at first, in bytes of the file, likewise. Of a disk with a system, what is needed lies in some
/// forty places, and half of the way from one place of the index to the next is decoded for each of them.
const SPACING: u64 = 8 << 20;
const SPACING_OF_DENSE: u64 = 640 << 10;

/// So many bytes of the image are decoded again in the time of one byte of the file, at least.
const CHEAPER: u64 = 8;

/// What it takes to decode so many bytes of a file to so many of its image, in bytes of the file.
#[must_use]
pub fn effort(file: u64, image: u64) -> u64 {
    file.saturating_add(image / CHEAPER)
}

/// A place in a packed file.
#[derive(Clone)]
pub struct Point {
    place: Place,
    /// Up to 32 KiB that lie before it in a member of gzip.
    before: Vec<u8>,
}

#[derive(Clone)]
struct Place {
    /// Image offset of what is decoded from there on.
    image: u64,
    /// Bit of the file at which the block begins.
    bit: u64,
    state: State,
    /// Where what lies before it is.
    before: Range<usize>,
}

/// What a decoder knows at the place, beside what lies before it.
#[derive(Clone, Copy)]
pub(super) enum State {
    /// A member of gzip begins here.
    Member,
    /// Within one.
    Gzip {
        /// CRC-32 and bytes of the member so far.
        crc: u32,
        made: u64,
    },
    Bzip2 {
        /// Bytes of a block of the stream at most.
        most: usize,
        /// Its CRC so far.
        crc: u32,
    },
}

impl Point {
    /// Image offset of what is decoded from here on.
    #[must_use]
    pub fn image(&self) -> u64 {
        self.place.image
    }

    /// Byte of the file from which on the decoder wants it.
    #[must_use]
    pub fn byte(&self) -> u64 {
        self.place.bit / 8
    }

    /// A decoder that goes on here. What it says of places counts from the beginning of the file.
    #[must_use]
    pub fn decoder(&self, threads: &Threads) -> Box<dyn Decoder> {
        let bit = self.place.bit;
        match self.place.state {
            State::Member => Box::new(Gzip::at_member(self.byte())),
            State::Gzip { crc, made } => {
                Box::new(Gzip::going_on(self.before.clone(), bit, (crc, made)))
            }
            State::Bzip2 { most, crc } => {
                Box::new(Bzip2::new(threads).sparse().going_on(bit, most, crc))
            }
        }
    }
}

/// Places in one file, in their order. Clones are the same index.
#[derive(Clone, Default)]
pub struct Index(Arc<Mutex<Points>>);

struct Points {
    places: Vec<Place>,
    /// What lies before them, packed. In one piece, so that what lasts is not strewn over the memory of what comes and goes.
    packed: Vec<u8>,
    /// How far apart they are, as [`effort`].
    spacing: u64,
    /// Bytes that `packed` has at most.
    most: usize,
}

impl Default for Points {
    fn default() -> Self {
        Points { places: Vec::new(), packed: Vec::new(), spacing: SPACING, most: MOST }
    }
}

impl Points {
    /// Drops every second place, so that the next ones are twice as far apart.
    fn thin_out(&mut self) {
        self.spacing = self.spacing.saturating_mul(2);
        let mut keep = false;
        self.places.retain(|_| {
            keep = !keep;
            keep
        });
        let mut end = 0;
        for place in &mut self.places {
            let before = place.before.clone();
            place.before = end..end + before.len();
            end = place.before.end;
            self.packed.copy_within(before, place.before.start);
        }
        self.packed.truncate(end);
    }
}

impl Index {
    /// For whoever reads many places of the image once more: with places that are nearer, in 6 MiB at most.
    #[must_use]
    pub fn dense() -> Self {
        let index = Index::default();
        {
            let mut points = index.lock();
            (points.spacing, points.most) = (SPACING_OF_DENSE, MOST_OF_DENSE);
        }
        index
    }

    /// The last place at or before an image offset. Without one, decoding begins with the file.
    #[must_use]
    pub fn before(&self, image: u64) -> Option<Point> {
        let points = self.lock();
        let behind = points.places.partition_point(|place| place.image <= image);
        let place = points.places[..behind].last()?.clone();
        let mut before = Vec::with_capacity(WINDOW);
        let packed = &points.packed[place.before.clone()];
        if !packed.is_empty() {
            // It was packed in memory, and is no larger.
            let mut unpack = Decompress::new(false);
            let _ = unpack.decompress_vec(packed, &mut before, FlushDecompress::Finish);
        }
        Some(Point { place, before })
    }

    /// Image offset of the last place at or before another one; 0 without one.
    #[must_use]
    pub fn start(&self, image: u64) -> u64 {
        let places = &self.lock().places;
        let behind = places.partition_point(|place| place.image <= image);
        places[..behind].last().map_or(0, |place| place.image)
    }

    fn lock(&self) -> MutexGuard<'_, Points> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// With places that are as near as blocks.
    #[cfg(test)]
    pub(crate) fn close() -> Self {
        let index = Index::default();
        index.lock().spacing = 1;
        index
    }

    /// How many places it has.
    #[cfg(test)]
    pub(crate) fn places(&self) -> usize {
        self.lock().places.len()
    }
}

/// Notes places while a file is decoded from its beginning.
pub(super) struct Marks {
    index: Index,
    /// The effort at which the next place is noted.
    next: u64,
    pack: Option<Compress>,
}

impl Marks {
    pub(super) fn new(index: &Index) -> Self {
        Marks { next: index.lock().spacing, index: index.clone(), pack: None }
    }

    /// A block begins at this bit of the file, behind so many bytes of the image, of which these are the last that it may
    /// refer to.
    pub(super) fn see(
        &mut self,
        bit: u64,
        image: u64,
        before: &[u8],
        state: impl FnOnce() -> State,
    ) {
        let so_far = effort(bit / 8, image);
        if so_far < self.next {
            return;
        }
        let mut points = self.index.lock();
        let points = &mut *points;
        while points.packed.len() + MOST_OF_ONE > points.most || points.places.len() >= MOST_POINTS
        {
            points.thin_out();
        }
        let start = points.packed.len();
        if !before.is_empty() {
            if points.packed.capacity() == 0 {
                points.packed.reserve_exact(points.most);
            }
            let pack = self.pack.get_or_insert_with(|| Compress::new(Compression::fast(), false));
            pack.reset();
            // There is room for it.
            let done = pack.compress_vec(before, &mut points.packed, FlushCompress::Finish);
            if !matches!(done, Ok(Status::StreamEnd)) {
                return points.packed.truncate(start);
            }
        }
        let before = start..points.packed.len();
        points.places.push(Place { image, bit, state: state(), before });
        self.next = so_far.saturating_add(points.spacing);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::super::testing::{decode, mixed, oracle};
    use super::super::{Packing, sniff};
    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut writer = GzEncoder::new(Vec::new(), Compression::new(6));
        writer.write_all(data).unwrap();
        writer.finish().unwrap()
    }

    /// Decodes a file with an index, and again from each of its places.
    fn holds(file: &[u8], threads: usize) -> usize {
        let packing = sniff(file);
        assert!(matches!(packing, Packing::Gzip | Packing::Bzip2));
        let threads = Threads::new(threads);
        let index = Index::close();
        let mut decoder = packing.decoder(&threads, Some(&index)).unwrap();
        let (image, end) = decode(&mut *decoder, file, 70_000, 1 << 17);
        let summary = end.unwrap();
        let places = index.lock().places.clone();
        for (at, place) in places.iter().enumerate().step_by(1 + places.len() / 16) {
            // Of several at one offset, the last one is as good as any.
            let point = index.before(place.image).unwrap();
            assert_eq!(point.image(), place.image);
            assert_eq!(index.start(place.image), place.image);
            let rest = &file[point.byte() as usize..];
            for (input, output) in [(rest.len(), 1 << 17), (1000, 4096)] {
                if input == 1000 && at % 3 > 0 {
                    continue;
                }
                let (bytes, end) = decode(&mut *point.decoder(&threads), rest, input, output);
                assert!(bytes == image[point.image() as usize..], "from {}", point.image());
                let again = end.unwrap();
                assert_eq!(again.behind, summary.behind);
                assert_eq!(again.trailing_zeros, summary.trailing_zeros);
            }
        }
        places.len()
    }

    /// Words, noise, and zeros that are counted.
    fn sample(len: usize) -> Vec<u8> {
        let mut data = mixed(len);
        data.resize(len + (300 << 10), 0);
        data.extend_from_slice(&mixed(len / 2));
        data
    }

    #[test]
    fn gzip_is_decoded_again_from_any_place() {
        let data = sample(1 << 20);
        let one = gzip(&data);
        let several = [&one[..], &gzip(b"short"), &gzip(b""), &one, &[0; 700]].concat();
        let behind = [&one[..], b"garbage"].concat();
        for threads in [1, 2, 8] {
            for file in [&one, &several, &behind] {
                assert!(holds(file, threads) > 5);
            }
        }
    }

    #[test]
    fn bzip2_is_decoded_again_from_any_place() {
        let data = sample(700_000);
        let Some(one) = oracle("bzip2", &["-1c"], &data) else { return };
        let several = [&one[..], &oracle("bzip2", &["-9c"], &data).unwrap(), &one].concat();
        for threads in [1, 2, 8] {
            assert!(holds(&one, threads) > 5);
            assert!(holds(&several, threads) > 12);
        }
    }

    /// What is damaged behind a place is found from there as well.
    #[test]
    fn the_check_sum_goes_on_from_a_place() {
        let mut file = gzip(&sample(1 << 20));
        let index = Index::close();
        let mut decoder = Packing::Gzip.decoder(&Threads::new(1), Some(&index)).unwrap();
        decode(&mut *decoder, &file, 1 << 20, 1 << 17).1.unwrap();
        let crc = file.len() - 8;
        file[crc] ^= 1;
        let damage = decode(&mut *decoder_at(&index, 1 << 20), rest(&file, &index), 1 << 20, 9999);
        assert_eq!(damage.1.unwrap_err().code, crate::facts::Code::GzipCrcMismatch);
    }

    fn decoder_at(index: &Index, image: u64) -> Box<dyn Decoder> {
        index.before(image).unwrap().decoder(&Threads::new(1))
    }

    fn rest<'f>(file: &'f [u8], index: &Index) -> &'f [u8] {
        &file[index.before(1 << 20).unwrap().byte() as usize..]
    }

    #[test]
    fn memory_is_bounded_and_places_are_spread() {
        let noise: Vec<u8> = (0u64..WINDOW as u64)
            .map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as u8)
            .collect();
        const LARGEST: u64 = 100_000_000_000;
        for (index, most, least) in
            [(Index::default(), MOST, 15), (Index::dense(), MOST_OF_DENSE, 80)]
        {
            spread(&index, &noise, (most, least), LARGEST);
        }
    }

    fn spread(index: &Index, noise: &[u8], (most, least): (usize, usize), largest: u64) {
        let mut marks = Marks::new(index);
        for at in (0..largest).step_by(1 << 20) {
            marks.see(at * 8, at * 2, noise, || State::Gzip { crc: 0, made: 0 });
        }
        let points = index.lock();
        let (count, held) = (points.places.len(), points.packed.capacity());
        assert!(held <= most && count >= least, "{count} places take {held} bytes");
        let widest =
            points.places.windows(2).map(|pair| (pair[1].bit - pair[0].bit) / 8).max().unwrap();
        assert!(widest < largest / 8, "{widest}");
        drop(points);
        for image in [largest / 3, largest, 2 * largest] {
            assert!(index.before(image).unwrap().before == noise);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn flushed_and_stored_blocks(sizes in prop::collection::vec(1usize..200_000, 1..12), level in 0u32..10) {
            let data = mixed(200_000);
            let mut writer = GzEncoder::new(Vec::new(), Compression::new(level));
            for size in sizes {
                writer.write_all(&data[..size]).unwrap();
                writer.flush().unwrap();
            }
            let file = writer.finish().unwrap();
            holds(&file, 1);
            holds(&file, 3);
        }
    }

    #[test]
    fn what_pigz_writes_is_decoded_again() {
        let any = Command::new("pigz").arg("--version").stderr(Stdio::null()).status();
        if any.is_err() && std::env::var_os("CI").is_none() {
            return;
        }
        let file = oracle("pigz", &["-c", "-i", "-b", "128"], &sample(1 << 20)).unwrap();
        assert!(holds(&file, 2) > 5);
    }
}
