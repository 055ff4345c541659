use std::sync::Arc;

use proptest::prelude::*;

use super::stream::{Feed, Reopen, StreamView};
use super::{Got, Halt, ImageView as _, Missing};
use crate::bytes::{Pool, Segment};
use crate::facts::{Code, Notebook};

/// Feeds an image in runs of the lengths given, again and again.
struct Pieces {
    image: Vec<u8>,
    at: usize,
    lengths: Vec<usize>,
    turn: usize,
    pool: Pool,
}

impl Pieces {
    fn feed(image: &[u8], lengths: &[usize]) -> Box<dyn Feed> {
        Box::new(Pieces {
            image: image.to_vec(),
            at: 0,
            lengths: lengths.to_vec(),
            turn: 0,
            pool: Pool::new(usize::MAX, 1 << 16),
        })
    }
}

impl Feed for Pieces {
    fn next(&mut self) -> Result<Option<Segment>, Halt> {
        let len = self.lengths[self.turn % self.lengths.len()].min(self.image.len() - self.at);
        self.turn += 1;
        if len == 0 {
            return Ok(None);
        }
        let run = &self.image[self.at..self.at + len];
        if run.iter().all(|&byte| byte == 0) {
            self.at += len;
            return Ok(Some(Segment::Zeros(len as u64)));
        }
        let mut chunk = self.pool.take();
        chunk.space()[..len].copy_from_slice(run);
        chunk.grow(len);
        self.at += len;
        Ok(Some(Segment::Data(Arc::new(chunk))))
    }
}

fn image(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 7 % 251) as u8).collect()
}

/// The answers to a list of reads, each as bytes or as the reason.
fn answers(
    image: &[u8],
    lengths: &[usize],
    reads: &[(u64, usize)],
    again: bool,
) -> Vec<Result<Vec<u8>, Missing>> {
    let notebook = Notebook::new(&|_| false, 1 << 40);
    let reopen: Option<Reopen<'_>> =
        again.then(|| Box::new(|| Pieces::feed(image, lengths)) as Reopen<'_>);
    let mut view = StreamView::new(Pieces::feed(image, lengths), reopen, &notebook, false);
    reads
        .iter()
        .map(|&(at, len)| {
            let mut buf = vec![0xee; len];
            match view.read_at(at, &mut buf).unwrap() {
                Got::Bytes(count) => Ok(buf[..count].to_vec()),
                Got::Missing(missing) => Err(missing),
            }
        })
        .collect()
}

#[test]
fn answers_do_not_depend_on_how_the_feed_cuts() {
    let image = image(3 << 20);
    let mib = 1u64 << 20;
    let reads = [
        (mib + 100, 50),
        (0, 512),
        (mib - 10, 20),
        (2 * mib, 4096),
        (2 * mib - 60_000, 100),
        (mib + 200, 10),
        (3 * mib - 100, 500),
        (5 * mib, 10),
    ];
    let expected = answers(&image, &[65536], &reads, false);
    assert_eq!(expected[5], Err(Missing::Behind));
    for (index, (at, len)) in reads.iter().enumerate().filter(|(index, _)| *index != 5) {
        let from = (*at as usize).min(image.len());
        let to = (from + len).min(image.len());
        assert_eq!(expected[index].as_deref(), Ok(&image[from..to]), "read {index}");
    }
    for lengths in [&[1000, 1, 60000][..], &[33, 65535], &[4096]] {
        assert!(answers(&image, lengths, &reads, false) == expected);
    }
}

#[test]
fn what_lies_behind_is_read_again_where_the_source_allows() {
    let image = image(3 << 20);
    let reads = [(2 << 20, 10), ((1 << 20) + 500, 10)];
    let got = answers(&image, &[65536], &reads, true);
    assert_eq!(got[1].as_deref(), Ok(&image[(1 << 20) + 500..(1 << 20) + 510]));
}

#[test]
fn keeps_what_was_asked_for() {
    let image = image(4 << 20);
    let notebook = Notebook::new(&|_| false, 1 << 40);
    for lengths in [&[65536][..], &[1000, 1, 60000]] {
        let mut view = StreamView::new(Pieces::feed(&image, lengths), None, &notebook, false);
        let ranges = [(1_500_000, 5000), (2_000_000, 70_000), ((4 << 20) - 10, 10)];
        for (at, len) in ranges {
            view.keep(at, len);
        }
        view.keep(1_600_000, u64::MAX);
        view.run_out().unwrap();
        for (at, len) in ranges {
            let mut buf = vec![0; len as usize];
            assert_eq!(view.read_at(at, &mut buf).unwrap(), Got::Bytes(len as usize));
            assert!(buf == image[at as usize..(at + len) as usize]);
        }
        assert_eq!(view.read_at(1_600_000, &mut [0; 9]).unwrap(), Got::Missing(Missing::Behind));
        // Too late: it has passed.
        view.keep(1_700_000, 10);
        assert_eq!(view.read_at(1_700_000, &mut [0; 9]).unwrap(), Got::Missing(Missing::Behind));
    }
}

#[test]
fn stops_at_the_limit() {
    let image = image(2 << 20);
    let notebook = Notebook::new(&|_| true, (2 << 20) - 1);
    let mut view = StreamView::new(Pieces::feed(&image, &[65536]), None, &notebook, false);
    assert!(matches!(view.run_out(), Err(Halt::Stopped)));
    assert!(notebook.has(Code::ImageTooLarge));
    let notebook = Notebook::new(&|_| true, (2 << 20) + 1);
    let mut view = StreamView::new(Pieces::feed(&image, &[65536]), None, &notebook, false);
    assert_eq!(view.run_out().unwrap(), 2 << 20);
}

/// What somebody asks of a view.
#[derive(Clone, Debug)]
enum Ask {
    Read { at: u64, len: usize },
    Keep { at: u64, len: u64 },
    LookBack { len: u64 },
}

/// An image of bytes that all differ from their neighbours, with a run of zeros.
fn image_with_zeros() -> Vec<u8> {
    let mut image: Vec<u8> =
        (0..3_700_003u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    image[2_100_000..2_400_000].fill(0);
    image
}

/// Offsets around where the kept beginning ends, and anywhere up to a little past the end.
fn offsets() -> impl Strategy<Value = u64> {
    prop_oneof![0..3_800_000u64, 1_000_000..1_100_000u64, Just(u64::MAX - 5),]
}

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let len = || prop_oneof![1..2000usize, 1..300_000usize];
    let ask = prop_oneof![
        6 => (offsets(), len()).prop_map(|(at, len)| Ask::Read { at, len }),
        2 => (offsets(), len()).prop_map(|(at, len)| Ask::Keep { at, len: len as u64 }),
        1 => (0..4_000_000u64).prop_map(|len| Ask::LookBack { len }),
    ];
    // Mostly ascending, as walks are, with some steps back.
    (proptest::collection::vec(ask, 1..14), any::<bool>()).prop_map(|(mut asks, ascending)| {
        if ascending {
            asks.sort_by_key(|ask| match ask {
                Ask::Read { at, .. } => *at,
                Ask::Keep { at, .. } => at / 2,
                Ask::LookBack { len } => *len,
            });
        }
        asks
    })
}

/// What a view answers to all that is asked, after each answer was held against the image and against what the view
/// promised.
fn answered(
    image: &[u8],
    lengths: &[usize],
    asks: &[Ask],
    again: bool,
) -> Result<Vec<Got>, TestCaseError> {
    let notebook = Notebook::new(&|_| false, 1 << 40);
    let reopen: Option<Reopen<'_>> =
        again.then(|| Box::new(|| Pieces::feed(image, lengths)) as Reopen<'_>);
    let mut view = StreamView::new(Pieces::feed(image, lengths), reopen, &notebook, false);
    let mut answers = Vec::new();
    for ask in asks {
        match *ask {
            Ask::Keep { at, len } => view.keep(at, len),
            Ask::LookBack { len } => view.look_back(len),
            Ask::Read { at, len } => {
                let promised = at >= view.at_hand();
                let mut buf = vec![0xee; len];
                let got = view.read_at(at, &mut buf).unwrap();
                match got {
                    Got::Bytes(count) => {
                        let from = at.min(image.len() as u64) as usize;
                        let to = from.saturating_add(len).min(image.len());
                        prop_assert_eq!(count, to - from, "{:?}", ask);
                        prop_assert!(buf[..count] == image[from..to], "{:?} has other bytes", ask);
                    }
                    Got::Missing(_) => prop_assert!(!promised && !again, "{:?} was at hand", ask),
                }
                answers.push(got);
            }
        }
    }
    Ok(answers)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 96, ..Default::default() })]

    #[test]
    fn a_stream_has_the_bytes_of_the_image_or_says_that_it_lacks_them(
        asks in asks(),
        (few, many) in (1..300usize, 4000..=65_536usize),
    ) {
        let image = image_with_zeros();
        for again in [false, true] {
            let answers = answered(&image, &[65_536], &asks, again)?;
            prop_assert_eq!(answered(&image, &[few, many], &asks, again)?, answers);
        }
    }
}

#[test]
fn looking_back_brings_nothing_back_that_was_let_go() {
    let image = image_with_zeros();
    for read in [1_100_000, 1_229_000] {
        let asks = [
            Ask::Read { at: 1_940_000, len: 100 },
            Ask::LookBack { len: 8 << 20 },
            Ask::Read { at: read, len: 3000 },
            Ask::Read { at: 1_900_000, len: 3000 },
            Ask::Read { at: 3_700_000, len: 10 },
            Ask::Read { at: 1_900_000, len: 3000 },
        ];
        let (lost, had) = (Got::Missing(Missing::Behind), Got::Bytes(3000));
        let end = Got::Bytes(3);
        for lengths in [&[65_536][..], &[1000, 1, 60_000]] {
            let once = answered(&image, lengths, &asks, false).unwrap();
            assert_eq!(once, [Got::Bytes(100), lost, had, end, had]);
            let twice = answered(&image, lengths, &asks, true).unwrap();
            assert_eq!(twice, [Got::Bytes(100), had, had, end, had]);
        }
    }
}

#[test]
fn a_read_that_reaches_past_what_is_kept_goes_on_in_what_is_held() {
    let image = image_with_zeros();
    let asks = [
        Ask::Keep { at: 1_000_000, len: 244_490 },
        Ask::Read { at: 1_000_000, len: 180_673 },
        Ask::Read { at: 1_027_888, len: 199_773 },
        Ask::Read { at: 1_100_000, len: 200_000 },
    ];
    for lengths in [&[65_536][..], &[1, 4000]] {
        let all = [180_673, 199_773, 200_000].map(Got::Bytes);
        assert_eq!(answered(&image, lengths, &asks, false).unwrap(), all);
    }
}
