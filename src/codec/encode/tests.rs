use std::sync::mpsc::channel;

use proptest::prelude::*;

use super::*;
use crate::bytes::Pool;
use crate::codec::testing::{decode, oracle};
use crate::codec::{Gzip, Summary};

/// A run of a test's input.
#[derive(Clone, Debug)]
enum Run {
    Zeros(u64),
    Text(usize, u8),
    Noise(usize, u64),
}

impl Run {
    fn bytes(&self) -> Vec<u8> {
        match *self {
            Run::Zeros(len) => vec![0; len as usize],
            Run::Text(len, seed) => {
                (0..len).map(|at| b"the disk image "[(at + usize::from(seed)) % 15]).collect()
            }
            Run::Noise(len, seed) => {
                let mut state = seed | 1;
                let mut next = || {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    state as u8
                };
                (0..len).map(|_| next()).collect()
            }
        }
    }

    fn segment(&self) -> Segment {
        match self {
            Run::Zeros(len) => Segment::Zeros(*len),
            _ => data(&self.bytes()),
        }
    }
}

fn data(bytes: &[u8]) -> Segment {
    let mut chunk = Pool::new(1, bytes.len()).take();
    chunk.space().copy_from_slice(bytes);
    chunk.grow(bytes.len());
    Segment::Data(std::sync::Arc::new(chunk))
}

fn runs() -> impl Strategy<Value = Vec<Run>> {
    let longest = 3 * BLOCK / 2;
    let run = prop_oneof![
        (0..4 * BLOCK as u64).prop_map(Run::Zeros),
        (0..longest, any::<u8>()).prop_map(|(len, seed)| Run::Text(len, seed)),
        (0..longest, any::<u64>()).prop_map(|(len, seed)| Run::Noise(len, seed)),
        (0..WINDOW, any::<u8>()).prop_map(|(len, seed)| Run::Text(len, seed)),
    ];
    prop::collection::vec(run, 0..8)
}

fn encoded(segments: Vec<Segment>, encoding: Encoding) -> (Vec<u8>, Encoded) {
    let mut file = Vec::new();
    let encoded = encode(segments, encoding, &mut |bytes| {
        file.extend_from_slice(bytes);
        ControlFlow::Continue(())
    });
    (file, encoded.unwrap())
}

fn of(level: u32, threads: usize) -> Encoding {
    Encoding { level, threads }
}

fn through(program: &[&str], file: &[u8]) -> Option<Vec<u8>> {
    oracle(program[0], &program[1..], file)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_mix_comes_back(runs in runs(), level in 1u32..=9, threads in 1usize..4) {
        let image: Vec<u8> = runs.iter().flat_map(Run::bytes).collect();
        let (file, said) =
            encoded(runs.iter().map(Run::segment).collect(), of(level, threads));
        prop_assert_eq!(said.taken, image.len() as u64);
        prop_assert_eq!(said.made, file.len() as u64);
        prop_assert_eq!(said.crc, crc32fast::hash(&image));
        let (again, summary) = decode(&mut Gzip::default(), &file, 100_000, 1 << 20);
        prop_assert_eq!(summary.unwrap(), Summary { members: 1, trailing_zeros: 0, behind: None });
        prop_assert!(again == image);
        let size = u32::from_le_bytes(file[file.len() - 4..].try_into().unwrap());
        prop_assert_eq!(size, image.len() as u32);
        if let Some(unpacked) = through(&["gzip", "-dc"], &file) {
            prop_assert!(unpacked == image);
        }
    }

    #[test]
    fn neither_threads_nor_segments_change_the_file(runs in runs(), at in 1usize..100_000) {
        let image: Vec<u8> = runs.iter().flat_map(Run::bytes).collect();
        let (file, _) = encoded(runs.iter().map(Run::segment).collect(), of(1, 1));
        let pieces = image.chunks(at.max(1 + image.len() / 50)).map(data).collect();
        prop_assert!(encoded(pieces, of(1, 3)).0 == file);
    }
}

#[test]
fn other_programs_read_it() {
    let runs = [
        Run::Text(5 * BLOCK / 2, 3),
        Run::Zeros(10 * BLOCK as u64 + 5),
        Run::Noise(BLOCK + 1, 7),
        Run::Zeros(1),
    ];
    let image: Vec<u8> = runs.iter().flat_map(Run::bytes).collect();
    let (file, _) = encoded(runs.iter().map(Run::segment).collect(), Encoding::default());
    through(&["gzip", "-t"], &file);
    if let Some(unpacked) = through(&["pigz", "-dc"], &file) {
        assert!(unpacked == image);
    }
}

#[test]
fn nothing_is_a_member_too() {
    let (file, said) = encoded(Vec::new(), Encoding::default());
    assert_eq!(said, Encoded { taken: 0, made: 20, crc: 0 });
    let (image, summary) = decode(&mut Gzip::default(), &file, 7, 7);
    assert!(image.is_empty() && summary.is_ok());
    through(&["gzip", "-t"], &file);
}

#[test]
fn endless_zeros_cost_next_to_nothing() {
    let start = std::time::Instant::now();
    let mut pieces = 0u64;
    let said = encode([Segment::Zeros(20 << 30)], of(6, 2), &mut |_| {
        pieces += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(said.taken, 20 << 30);
    assert!(said.made < said.taken / 900, "{}", said.made);
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    assert!(pieces > 20_000);
}

#[test]
fn it_ends_when_nobody_listens() {
    // The channel never closes: only the output can end it.
    let (sender, segments) = channel();
    for seed in 0..8 {
        sender.send(Run::Noise(BLOCK, seed).segment()).unwrap();
    }
    let mut left = 2;
    let result = encode(segments, of(6, 2), &mut |_| {
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(result, Err(EncodeError::Cancelled));
    drop(sender);
}

#[test]
fn what_is_in_flight_is_bounded() {
    // The output lags behind the input by the blocks in flight, never more.
    let given = std::cell::Cell::new(0u64);
    let segments = (0..64).map(|seed| {
        given.set(given.get() + BLOCK as u64);
        Run::Noise(BLOCK, seed).segment()
    });
    let (mut made, mut most) = (0u64, 0);
    encode(segments, of(1, 2), &mut |bytes| {
        made += bytes.len() as u64;
        most = most.max(given.get().saturating_sub(made));
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(most <= 7 * BLOCK as u64, "{most}");
}
