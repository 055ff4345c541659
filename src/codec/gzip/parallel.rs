//! gzip on several threads.
//!
//! One decodes in turn and is the only one who decides. Threads decode pieces of the file that come later, from the first
//! block or member that they find in each, over the ends of members. If a block begins in turn where a run of such a piece does, and only then, the run
//! is taken, and decoding goes on behind it. Headers and trailers are read in turn, and the check sum of a member is that of all bytes, whoever
//! decoded them.

use super::super::index::Index;
use super::super::{Damage, Decoder, Step, Summary};
use super::Gzip;
use super::ahead::{Ahead, piece};
use super::piece::Places;

/// Bytes of the window that may have passed before they are let go.
const PASSED: usize = 256 << 10;

/// Unpacks gzip files of any number of members.
pub struct ParallelGzip {
    gzip: Gzip,
    ahead: Ahead,
    /// Bytes of the file; those before `index` were decoded.
    window: Vec<u8>,
    index: usize,
    /// Offset in the file of the first byte of the window.
    base: u64,
    /// The next symbol of the first piece, if its run is being given out.
    giving: Option<usize>,
    places: Places,
}

impl ParallelGzip {
    /// Decodes on so many threads, two or more; long runs of zeros are counted ([`Step::zeros`]).
    #[must_use]
    pub fn new(threads: usize) -> Self {
        ParallelGzip::in_pieces(threads, piece(threads))
    }

    /// The same with pieces of so many bytes of the file, at least two.
    #[must_use]
    pub fn in_pieces(threads: usize, piece: usize) -> Self {
        ParallelGzip {
            gzip: Gzip::default().sparse().by_blocks(),
            ahead: Ahead::new(threads.saturating_sub(1), piece.max(2)),
            window: Vec::new(),
            index: 0,
            base: 0,
            giving: None,
            places: Places::default(),
        }
    }

    /// Notes in an index where it can go on.
    #[must_use]
    pub(in super::super) fn marking(mut self, index: Option<&Index>) -> Self {
        self.gzip = self.gzip.marking(index);
        self
    }

    /// Takes input into the window, as far as there is place.
    fn take(&mut self, input: &[u8]) -> usize {
        // As many bytes pass as are moved.
        if self.index >= PASSED.max(self.window.len() / 2) {
            self.window.drain(..self.index);
            self.base += self.index as u64;
            self.index = 0;
        }
        let room = self.ahead.needed().saturating_sub(self.window.len() - self.index);
        let count = room.min(input.len());
        self.window.extend_from_slice(&input[..count]);
        count
    }

    /// Begins to take what a thread has decoded from here on, if anybody has.
    fn jump(&mut self) {
        let Some(at) = self.gzip.next_block() else { return };
        self.gzip.mark(at);
        let piece = self.ahead.at(at).filter(|piece| {
            let before = self.gzip.before().last_chunk();
            before.map(|before| self.places.set(before)).is_some() || !piece.is_marked()
        });
        match piece {
            Some(piece) => self.giving = Some(piece.begin()),
            None => self.gzip.go_on(),
        }
    }

    /// Gives out what a thread has decoded; how many bytes.
    fn give(&mut self, output: &mut [u8]) -> usize {
        let Some(from) = self.giving else { return 0 };
        let Some((piece, run, base)) = self.ahead.first() else { return 0 };
        let count = piece.write(from, run.made, &self.places, output);
        self.gzip.count(&output[..count]);
        self.giving = Some(from + count);
        if from + count < run.made {
            return count;
        }
        let to = base * 8 + run.to as u64;
        let bit = (to - self.base * 8) as usize;
        self.index = bit.div_ceil(8);
        if run.ends {
            self.gzip.skip_rest(to);
        } else {
            let before = piece.last(self.gzip.before(), &self.places);
            self.gzip.skip(to, &before, &self.window, bit);
        }
        self.giving = None;
        self.ahead.pass();
        count
    }
}

impl Decoder for ParallelGzip {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Damage> {
        let mut step = Step { taken: 0, made: 0, zeros: 0 };
        loop {
            step.made += self.give(&mut output[step.made..]);
            if step.made == output.len() {
                return Ok(step);
            }
            step.taken += self.take(&input[step.taken..]);
            let all = step.taken == input.len();
            if all && !input.is_empty() && self.window.len() - self.index < self.ahead.needed() {
                // More comes, for the threads.
                return Ok(step);
            }
            self.ahead.start(&self.window, self.base, self.base + self.index as u64);
            self.jump();
            if self.giving.is_some() {
                continue;
            }
            let inner = match self.gzip.decode(&self.window[self.index..], &mut output[step.made..])
            {
                Ok(inner) => inner,
                // It comes again.
                Err(_) if step.made > 0 => return Ok(Step { taken: input.len(), ..step }),
                Err(damage) => return Err(damage),
            };
            self.index += inner.taken;
            step.made += inner.made;
            step.zeros = inner.zeros;
            if step.zeros > 0 || step.made == output.len() {
                return Ok(step);
            }
            let idle = inner.taken == 0 && inner.made == 0 && self.gzip.next_block().is_none();
            if idle && all {
                return Ok(step);
            }
        }
    }

    fn finish(&mut self) -> Result<Summary, Damage> {
        self.gzip.finish()
    }

    fn save_memory(&mut self) {
        self.ahead.save_memory();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::write::GzEncoder;
    use flate2::{Compress, Compression, FlushCompress};
    use proptest::prelude::*;

    use super::super::super::testing::{decode, mixed};
    use super::super::super::workers::Fate;
    use super::super::Code;
    use super::super::header::{FEXTRA, FHCRC, FNAME, ID1, ID2};
    use super::*;

    fn packed(data: &[u8], level: u32) -> Vec<u8> {
        let mut writer = GzEncoder::new(Vec::new(), Compression::new(level));
        writer.write_all(data).unwrap();
        writer.finish().unwrap()
    }

    /// Words, noise that is hardly packed, and zeros, as images have them.
    fn sample(mib: usize) -> Vec<u8> {
        let mut data = Vec::new();
        let mut state = 1u64;
        for part in 0..mib {
            data.extend_from_slice(&mixed((1 << 19) - part * 1000));
            for _ in 0..1 << 19 {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                data.push((state >> 33) as u8 & 63);
            }
            data.resize(data.len() + ((part % 4) << 16), 0);
        }
        data
    }

    /// Holds it against one thread.
    fn compare(file: &[u8], threads: usize, arriving: usize) -> usize {
        compare_in(file, threads, piece(threads), arriving)
    }

    fn compare_in(file: &[u8], threads: usize, piece: usize, arriving: usize) -> usize {
        let one = decode(&mut Gzip::default(), file, file.len(), 1 << 18);
        let mut parallel = ParallelGzip::in_pieces(threads, piece);
        let several = decode(&mut parallel, file, arriving, 1 << 17);
        assert_eq!(several.1, one.1, "{threads} threads, {arriving} bytes at a time");
        assert!(several.0 == one.0 || one.1.is_err(), "other bytes");
        parallel.ahead.hits
    }

    #[test]
    fn several_threads_decode_what_one_does() {
        let data = sample(8);
        for level in [2, 6, 9] {
            let file = packed(&data, level);
            for (threads, pieces) in [(2, 1 << 20), (3, 70_000), (8, 1 << 18), (64, 1 << 20)] {
                let hits = compare(&file, threads, pieces);
                assert!(hits > 3, "{threads} threads: {hits} pieces were of use");
            }
        }
    }

    #[test]
    fn members_stored_blocks_and_what_is_behind_are_the_same() {
        let data = sample(4);
        let mut file = packed(&data, 6);
        file.extend_from_slice(&packed(&data[..3 << 20], 0));
        for at in 0..400 {
            file.extend_from_slice(&packed(&data[at * 5000..][..5000], 6));
        }
        file.extend_from_slice(&packed(&data, 9));
        compare(&file, 3, 1 << 20);
        compare(&[&file[..], &[0; 4000]].concat(), 3, 1 << 20);
        compare(&[&file[..], b"garbage"].concat(), 2, 1 << 20);
        // gzip within gzip has heads of blocks that are none of its own.
        compare(&packed(&file, 0), 4, 1 << 20);
    }

    /// A piece ends before a block that makes more than a thread keeps. If there is one short block before it, matches reach
    /// back behind the piece.
    #[test]
    fn a_match_reaches_back_behind_a_short_piece() {
        let mut writer = GzEncoder::new(Vec::new(), Compression::best());
        let mut state = 1u64;
        for _ in 0..24 {
            let noise: Vec<u8> = (0..70_000)
                .map(|_| {
                    state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                    (state >> 33) as u8
                })
                .collect();
            for block in [&noise[..], &mixed(4000)] {
                writer.write_all(block).unwrap();
                writer.flush().unwrap();
            }
            writer.write_all(&noise[46_000..49_000]).unwrap();
            writer.write_all(&[0; 9 << 17]).unwrap();
        }
        let file = writer.finish().unwrap();
        for threads in [2, 4] {
            compare(&file, threads, 1 << 20);
        }
    }

    /// A thread has the bytes of the member before in the same buffer.
    #[test]
    fn a_match_reaches_back_into_no_other_member() {
        let data = mixed(20_000);
        let mut compress = Compress::new(Compression::default(), false);
        let mut stream = Vec::with_capacity(1 << 20);
        compress.compress_vec(&data, &mut stream, FlushCompress::Sync).unwrap();
        let first = stream.len();
        compress.compress_vec(&data, &mut stream, FlushCompress::Sync).unwrap();
        compress.compress_vec(&data[7000..], &mut stream, FlushCompress::Finish).unwrap();
        let whole = packed(&data, 6);
        let mut file = whole.repeat(12);
        file.extend_from_slice(&[&whole[..10], &stream[first..], &[0; 8]].concat());
        file.extend_from_slice(&whole.repeat(12));
        let (_, end) = decode(&mut Gzip::default(), &file, file.len(), 1 << 18);
        assert_eq!(end.unwrap_err().code, Code::GzipDamaged);
        for piece in (10..60).step_by(3) {
            compare_in(&file, 2, piece << 10, 1 << 16);
        }
    }

    #[test]
    fn threads_that_panic_or_starve_hang_nobody() {
        let data = sample(4);
        let one = packed(&data, 6);
        let members = data.chunks(100_000).map(|data| member(data, 6, FEXTRA)).collect::<Vec<_>>();
        let mut damaged = one.clone();
        damaged[one.len() / 3 * 2] ^= 4;
        for file in [one, members.concat(), damaged] {
            let alone = decode(&mut Gzip::default(), &file, 1 << 20, 1 << 18);
            for (threads, fate) in Fate::ALL {
                let mut parallel = ParallelGzip::in_pieces(4, 48 << 10);
                parallel.ahead.doom(threads, fate);
                let (bytes, end) = decode(&mut parallel, &file, 1 << 20, 1 << 18);
                assert_eq!(end, alone.1, "{threads} {fate:?}");
                assert!(end.is_err() || bytes == alone.0, "{threads} {fate:?}");
            }
        }
    }

    /// A member with these fields, packed at this level.
    fn member(data: &[u8], level: u32, fields: u8) -> Vec<u8> {
        let packed = packed(data, level);
        let mut file = packed[..10].to_vec();
        file[3] = fields;
        if fields & FEXTRA != 0 {
            file.extend_from_slice(&[6, 0, b'B', b'C', 2, 0, 9, 9]);
        }
        if fields & FNAME != 0 {
            file.extend_from_slice(b"disk.raw\0");
        }
        if fields & FHCRC != 0 {
            let crc = crc32fast::hash(&file) as u16;
            file.extend_from_slice(&crc.to_le_bytes());
        }
        file.extend_from_slice(&packed[10..]);
        file
    }

    #[test]
    fn short_members_are_decoded_ahead() {
        let data = sample(3);
        for (len, level) in [(65_280, 6), (65_280, 1), (5000, 9), (1 << 20, 6)] {
            let members = data.chunks(len).map(|data| member(data, level, FEXTRA));
            let mut file = members.collect::<Vec<_>>().concat();
            for threads in [2, 8] {
                let hits = compare_in(&file, threads, 48 << 10, 70_000);
                assert!(hits > 1, "members of {len} bytes, {threads} threads: {hits}");
                // BGZF marks its end with an empty member.
                file.extend_from_slice(&member(b"", 6, FEXTRA));
            }
        }
    }

    /// What belongs to a whole file or to none.
    #[derive(Clone, Debug)]
    enum Part {
        Member {
            from: usize,
            len: usize,
            level: u32,
            fields: u8,
        },
        /// A member that stores what looks like others.
        Planted {
            count: usize,
            level: u32,
        },
    }

    impl Part {
        fn bytes(&self, data: &[u8]) -> Vec<u8> {
            match *self {
                Part::Member { from, len, level, fields } => {
                    member(&data[from..from + len], level, fields)
                }
                Part::Planted { count, level } => {
                    let mut planted = Vec::new();
                    for at in 0..count {
                        planted.extend_from_slice(&member(&data[at * 700..][..600], level, 0));
                        planted.extend_from_slice(&[ID1, ID2, 8, FNAME, 9, 9, 9, 9, 9, 9]);
                    }
                    member(&planted, 0, 0)
                }
            }
        }
    }

    fn part() -> impl Strategy<Value = Part> {
        let len = prop_oneof![
            Just(0usize),
            1usize..40,
            100usize..3000,
            20_000usize..120_000,
            Just(900_000usize)
        ];
        let fields = (0u8..8).prop_map(|bits| bits << 1 & (FHCRC | FEXTRA | FNAME));
        prop_oneof![
            9 => (0usize..100_000, len, 0u32..10, fields)
                .prop_map(|(from, len, level, fields)| Part::Member { from, len, level, fields }),
            1 => (1usize..60, 0u32..10).prop_map(|(count, level)| Part::Planted { count, level }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn members_of_every_kind_are_those_of_one_thread(
            parts in proptest::collection::vec(part(), 1..12),
            end in prop_oneof![Just(&b""[..]), Just(&[0; 600][..]), Just(&b"\x1f\x8b\x08garbage"[..]), Just(&b"garbage"[..])],
            flip in proptest::option::of((any::<prop::sample::Index>(), 0u8..8)),
            cut in proptest::option::of(any::<prop::sample::Index>()),
            threads in prop_oneof![Just(2usize), Just(3), Just(8), Just(64)],
            piece in prop_oneof![64usize..300, 1000usize..9000, Just(128 << 10)],
        ) {
            use std::io::Read as _;
            let data = sample(1);
            let members: Vec<u8> = parts.iter().flat_map(|part| part.bytes(&data)).collect();
            let mut file = members.clone();
            file.extend_from_slice(end);
            if flip.is_none() && cut.is_none() {
                let mut expected = Vec::new();
                flate2::bufread::MultiGzDecoder::new(&members[..]).read_to_end(&mut expected).unwrap();
                let mut parallel = ParallelGzip::in_pieces(threads, piece);
                let several = decode(&mut parallel, &members, 1 << 16, 1 << 17);
                prop_assert!(several.0 == expected);
                prop_assert_eq!(several.1.unwrap().members, parts.len() as u64);
            }
            if let Some((place, bit)) = flip {
                let place = place.index(file.len());
                file[place] ^= 1 << bit;
            }
            if let Some(cut) = cut {
                file.truncate(cut.index(file.len()).max(1));
            }
            compare_in(&file, threads, piece, 1 << 16);
        }

        /// Cut, flipped, or with planted heads of members and blocks: the same bytes as zlib-rs or the same refusal, and the
        /// same place of damage with any number of threads and however it comes.
        #[test]
        fn whatever_zlib_does(
            parts in proptest::collection::vec(part(), 1..5),
            flips in proptest::collection::vec((any::<prop::sample::Index>(), 1u8..), 0..3),
            cut in proptest::option::of(any::<prop::sample::Index>()),
            piece in prop_oneof![64usize..300, 1000usize..9000, 20_000usize..60_000],
            (arriving, room) in (1usize..200_000, 1usize..200_000),
        ) {
            use std::io::Read as _;
            let data = sample(1);
            let mut file: Vec<u8> = parts.iter().flat_map(|part| part.bytes(&data)).collect();
            for (place, value) in flips {
                let place = place.index(file.len());
                file[place] ^= value;
            }
            if let Some(cut) = cut {
                file.truncate(cut.index(file.len()).max(1));
            }
            let one = decode(&mut Gzip::default(), &file, file.len(), 1 << 18);
            // Single bytes of what is long take long and show nothing new.
            let least = 1 + one.0.len().max(file.len()) / 5000;
            for threads in [1, 2, 8, 64] {
                let mut parallel = ParallelGzip::in_pieces(threads, piece);
                let several = decode(&mut parallel, &file, arriving.max(least), room.max(least));
                prop_assert_eq!(&several.1, &one.1, "{} threads", threads);
                prop_assert!(several.0 == one.0 || one.1.is_err(), "{} threads", threads);
            }
            // Behind the packed data zlib-rs looks for another member.
            let end = match &one.1 {
                Ok(Summary { behind: Some(behind), trailing_zeros, .. }) => behind.offset - trailing_zeros,
                Ok(Summary { trailing_zeros, .. }) => file.len() as u64 - trailing_zeros,
                Err(_) => file.len() as u64,
            };
            let mut expected = Vec::new();
            let read = flate2::bufread::MultiGzDecoder::new(&file[..end as usize]).read_to_end(&mut expected);
            match one.1 {
                Ok(_) => prop_assert!(read.is_ok() && expected == one.0, "{:?}", read),
                // It overlooks flags that nobody knows.
                Err(damage) if damage.code == Code::GzipHeaderInvalid => {}
                Err(damage) => prop_assert!(read.is_err(), "{:?}", damage),
            }
        }
    }
}
