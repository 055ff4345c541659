//! Decoding is held against libbz2, on one thread and on several, and however the file is cut.

use std::io::{Read, Write};

use ::bzip2::Compression;
use ::bzip2::bufread::MultiBzDecoder;
use ::bzip2::write::BzEncoder;
use proptest::prelude::*;

use super::super::testing::{decode, mixed};
use super::super::workers::Fate;
use super::scan::Scanner;
use super::*;

fn stream(data: &[u8]) -> Vec<u8> {
    let mut writer = BzEncoder::new(Vec::new(), Compression::fast());
    writer.write_all(data).unwrap();
    writer.finish().unwrap()
}

/// With the longest blocks.
fn best(data: &[u8]) -> Vec<u8> {
    let mut writer = BzEncoder::new(Vec::new(), Compression::best());
    writer.write_all(data).unwrap();
    writer.finish().unwrap()
}

/// Decodes in every way, which has to come to the same.
fn unpack(file: &[u8]) -> (Vec<u8>, Result<Summary, Damage>) {
    let len = file.len().max(1);
    let whole = decode(&mut Bzip2::default(), file, len, 1 << 16);
    // Single bytes of large files take long and show nothing new.
    let small = if whole.0.len() < 4096 { 1 } else { 997 };
    for (threads, input, output) in [
        (1, small, small),
        (2, 3 * small, 100 * small),
        (1, len, small),
        (2, len, 1 << 20),
        (8, len / 3 + 1, 4096),
        (64, len / 2 + 1, 10_007),
    ] {
        let (image, result) = decode(&mut Bzip2::new(&Threads::new(threads)), file, input, output);
        assert_eq!(result, whole.1, "{threads} threads, pieces of {input} and {output}");
        assert!(
            result.is_err() || image == whole.0,
            "{threads} threads, pieces of {input} and {output}"
        );
    }
    whole
}

/// What libbz2 makes of it, if it takes it.
fn expected(file: &[u8]) -> Option<Vec<u8>> {
    let mut image = Vec::new();
    MultiBzDecoder::new(file).read_to_end(&mut image).ok().map(|_| image)
}

#[test]
fn streams_are_joined_and_counted() {
    let file = [stream(b"one"), stream(b""), stream(b"two")].concat();
    let (image, summary) = unpack(&file);
    assert_eq!(image, b"onetwo");
    assert_eq!(summary.unwrap(), Summary { members: 3, trailing_zeros: 0, behind: None });
}

#[test]
fn zero_padding_is_told_from_what_belongs_to_nothing() {
    let one = stream(b"x");
    let file = [&one[..], &[0; 9]].concat();
    let padded = Summary { members: 1, trailing_zeros: 9, behind: None };
    assert_eq!(unpack(&file).1.unwrap(), padded);
    for (zeros, first) in [(1, &b"BZh"[..]), (0, b"junk"), (0, b"Bz"), (0, b"BZx"), (2, b"B")] {
        let file = [&one[..], &vec![0; zeros], first].concat();
        let (image, summary) = unpack(&file);
        let offset = (one.len() + zeros) as u64;
        let behind = Behind { offset, len: first.len() as u64, first: first.to_vec() };
        let expected = Summary { members: 1, trailing_zeros: zeros as u64, behind: Some(behind) };
        assert_eq!((image, summary.unwrap()), (b"x".to_vec(), expected));
    }
    // The next stream may have begun.
    let cut = [&one[..], b"BZ"].concat();
    assert_eq!(unpack(&cut).1.unwrap_err().code, Code::Bzip2Truncated);
}

#[test]
fn every_cut_is_truncation() {
    let file = stream(b"some text, some text, some text");
    for end in 1..file.len() {
        let (_, result) = decode(&mut Bzip2::default(), &file[..end], 5, 9);
        assert_eq!(result.unwrap_err().code, Code::Bzip2Truncated, "cut at {end}");
    }
}

#[test]
fn no_flipped_bit_changes_the_image_unseen() {
    let data = b"some text, some text, some text";
    let file = stream(data);
    for bit in 0..file.len() * 8 {
        let mut file = file.clone();
        file[bit / 8] ^= 1 << (bit % 8);
        let (image, result) = decode(&mut Bzip2::default(), &file, 5, 9);
        assert!(result.is_err() || image == data, "bit {bit}");
    }
}

/// A file of several blocks, of every kind of content.
fn blocks() -> (Vec<u8>, Vec<u8>) {
    let mut data = mixed(350_000);
    data.extend(vec![0; 700_000]);
    data.extend((0..200_000u32).map(|at| (at / 300) as u8));
    data.extend(mixed(90_001));
    data.extend(vec![7; 300_000]);
    let file = stream(&data);
    (data, file)
}

#[test]
fn blocks_come_out_as_they_went_in() {
    let (data, file) = blocks();
    let (image, summary) = unpack(&file);
    assert!(image == data);
    assert_eq!(summary.unwrap().members, 1);
    let file = [best(&data), stream(b""), stream(b"x"), best(b""), file].concat();
    let (image, summary) = unpack(&file);
    assert!(image == [&data[..], b"x", &data].concat());
    assert_eq!(summary.unwrap().members, 5);
}

#[test]
fn every_length_of_runs_and_of_blocks() {
    for len in
        (0..20).chain(250..270).chain([510, 511, 514, 515, 1019, 4096, 99_999, 100_001, 900_001])
    {
        for (byte, around) in [(0, ""), (0, "x"), (b'x', "x"), (255, "yy")] {
            let data = [around.as_bytes(), &vec![byte; len], around.as_bytes()].concat();
            let image = decode(&mut Bzip2::default(), &stream(&data), 1 << 20, 1 << 20).0;
            assert!(image == data, "{len} times {byte} in {around}");
        }
    }
}

#[test]
fn zeros_are_counted_and_not_written() {
    let parts = [
        &mixed(300_000)[..],
        &vec![0; 5 << 20],
        b"x",
        &vec![0; 1000],
        &vec![9; 1 << 20],
        &vec![0; 80 << 20],
    ];
    let data = parts.concat();
    let file = best(&data);
    for threads in [1, 2] {
        let mut decoder = Bzip2::new(&Threads::new(threads)).sparse();
        let (mut image, mut counted, mut input) = (Vec::new(), 0, &file[..]);
        let mut buf = vec![0; 1 << 16];
        loop {
            let step = decoder.decode(input, &mut buf).unwrap();
            image.extend_from_slice(&buf[..step.made]);
            image.resize(image.len() + step.zeros as usize, 0);
            counted += step.zeros;
            let done = input.is_empty() && step.zeros == 0 && step.made < buf.len();
            input = &input[step.taken..];
            if done {
                break;
            }
        }
        assert!(image == data);
        assert!(counted > 84 << 20, "{counted}");
        assert_eq!(decoder.finish().unwrap().members, 1);
    }
}

/// A writer of bits, to make what no program makes.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    bits: usize,
}

impl Writer {
    fn put(&mut self, value: u64, count: u32) {
        for bit in (0..count).rev() {
            if self.bits.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let last = self.bytes.len() - 1;
            self.bytes[last] |= ((value >> bit & 1) as u8) << (7 - self.bits % 8);
            self.bits += 1;
        }
    }
}

/// A block whose bytes are these, with this origin and these symbols, all of them coded in as many bits.
fn coded(order: &[u8], origin: usize, symbols: &[usize], (randomised, crc): (bool, u32)) -> Writer {
    let mut writer = Writer::default();
    writer.put(BLOCK, 48);
    writer.put(u64::from(crc), 32);
    writer.put(u64::from(randomised), 1);
    writer.put(origin as u64, 24);
    let high = |high: u8| order.iter().any(|byte| byte >> 4 == high);
    (0..16).for_each(|at| writer.put(u64::from(high(at)), 1));
    for at in (0..16).filter(|at| high(*at)) {
        (0..16).for_each(|low| writer.put(u64::from(order.contains(&(at << 4 | low))), 1));
    }
    let groups = symbols.len().div_ceil(50);
    writer.put(2, 3);
    writer.put(groups as u64, 15);
    (0..groups).for_each(|_| writer.put(0, 1));
    let kinds = order.len() + 2;
    let length = usize::BITS - (kinds - 1).leading_zeros();
    for _ in 0..2 {
        writer.put(u64::from(length), 5);
        (0..kinds).for_each(|_| writer.put(0, 1));
    }
    symbols.iter().for_each(|symbol| writer.put(*symbol as u64, length));
    writer
}

/// A block of this data, sorted in the simplest way.
fn sorted(data: &[u8], randomised: bool, crc: u32) -> Writer {
    let len = data.len();
    let mut rows: Vec<usize> = (0..len).collect();
    rows.sort_by_key(|row| [&data[*row..], &data[..*row]].concat());
    let origin = rows.iter().position(|row| *row == 0).unwrap();
    let last: Vec<u8> = rows.iter().map(|row| data[(row + len - 1) % len]).collect();
    let mut order: Vec<u8> = last.clone();
    order.sort_unstable();
    order.dedup();
    let mut symbols = Vec::new();
    let mut recent = order.clone();
    let mut run = 0;
    let flush = |run: &mut usize, symbols: &mut Vec<usize>| {
        while *run > 0 {
            symbols.push(1 - *run % 2);
            *run = (*run - 1) / 2;
        }
    };
    for byte in &last {
        let place = recent.iter().position(|b| b == byte).unwrap();
        if place == 0 {
            run += 1;
            continue;
        }
        flush(&mut run, &mut symbols);
        symbols.push(place + 1);
        recent[..=place].rotate_right(1);
    }
    flush(&mut run, &mut symbols);
    symbols.push(order.len() + 1);
    coded(&order, origin, &symbols, (randomised, crc))
}

/// A stream with the longest blocks of these, whose CRCs are these.
fn handmade(blocks: &[(Writer, u32)]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.put(0x425a_6839, 32);
    let mut combined = 0u32;
    for (block, crc) in blocks {
        (0..block.bits).for_each(|bit| {
            writer.put(u64::from(block.bytes[bit / 8] >> (7 - bit % 8) & 1), 1);
        });
        combined = combined.rotate_left(1) ^ crc;
    }
    writer.put(END, 48);
    writer.put(u64::from(combined), 32);
    writer.bytes
}

fn handmade_stream(data: &[u8], randomised: bool, crc: u32) -> Vec<u8> {
    handmade(&[(sorted(data, randomised, crc), crc)])
}

#[test]
fn randomised_blocks_are_read() {
    // What the block stands for has no runs.
    let data: Vec<u8> =
        (0..3000u32).map(|at| b'a' + (at * at % 7) as u8 + (at % 2) as u8 * 8).collect();
    let mut sorted = data.clone();
    random::restore(&mut sorted);
    assert_ne!(sorted, data);
    let crc = sum::crc(&data).unwrap();
    let file = handmade_stream(&sorted, true, crc);
    assert_eq!(expected(&file).as_deref(), Some(&data[..]));
    assert!(unpack(&file).0 == data);
    let plain = handmade_stream(&data, false, crc);
    assert_eq!(expected(&plain).as_deref(), Some(&data[..]));
    assert!(unpack(&plain).0 == data);
}

#[test]
fn a_block_that_ends_inside_a_run_is_damaged() {
    let file = handmade_stream(b"abcabcdddd", false, 0);
    assert_eq!(expected(&file), None);
    let damage = unpack(&file).1.unwrap_err();
    assert_eq!((damage.code, damage.offset), (Code::Bzip2Damaged, 4));
    assert_eq!(
        damage.said,
        "Block 1 of bzip2 stream 1, which begins at bit 32 of the file, ends inside a run."
    );
}

/// A block goes round in a ring that does not hold all of it.
#[test]
fn a_block_of_several_rings_is_read_as_libbz2_does() {
    for period in [1, 2, 3, 5, 1000, 40_000] {
        let data: Vec<u8> = (0..80_000usize).map(|at| (at % period % 251) as u8).collect();
        let file = best(&data);
        assert!(unpack(&file).0 == data, "{period}");
    }
}

/// What a block's symbols stand for, found in the simplest way.
fn undone(order: &[u8], origin: usize, symbols: &[usize]) -> Vec<u8> {
    let mut recent = order.to_vec();
    let mut last = Vec::new();
    for place in symbols.iter().map(|symbol| symbol - 1) {
        last.push(recent[place]);
        recent[..=place].rotate_right(1);
    }
    let mut rows: Vec<usize> = (0..last.len()).collect();
    rows.sort_by_key(|row| last[*row]);
    let mut row = rows[origin];
    let next = |_: &usize| {
        let byte = last[row];
        row = rows[row];
        byte
    };
    rows.iter().map(next).collect()
}

/// What looks like a block or like the end inside a block costs time and changes nothing.
#[test]
fn a_magic_in_the_data_is_no_block() {
    let order: Vec<u8> = (0..254).collect();
    let mut state = 1u32;
    let mut symbols = || -> Vec<usize> {
        (0..40_000)
            .map(|at| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let magic = if at % 600 < 300 { BLOCK } else { END };
                match at % 100 {
                    at @ 0..6 => (magic >> (40 - 8 * at) & 255) as usize,
                    _ => 2 + (state >> 8) as usize % 253,
                }
            })
            .collect()
    };
    let mut data = Vec::new();
    let mut blocks = Vec::new();
    for origin in [1, 2, 39_999] {
        let mut symbols = symbols();
        let block = undone(&order, origin, &symbols);
        symbols.push(255);
        let crc = sum::crc(&block).unwrap();
        blocks.push((coded(&order, origin, &symbols, (false, crc)), crc));
        data.extend(block);
    }
    let file = handmade(&blocks);
    let mut hints = 0;
    Scanner::default().scan(&file, 0, |_, _| hints += 1);
    assert!(hints > 1000, "{hints}");
    let expected = expected(&file).unwrap();
    let (image, summary) = unpack(&file);
    assert_eq!(summary.unwrap().members, 1);
    assert!(image == expected);
    assert!(image.len() >= data.len());
}

/// Whoever plants blocks in blocks has threads decode a few of them.
#[test]
fn few_planted_blocks_are_decoded() {
    let order: Vec<u8> = (0..254).collect();
    let mut symbols: Vec<usize> = (0..90).map(|at| 2 + at * 7 % 250).collect();
    for (at, symbol) in symbols[20..26].iter_mut().enumerate() {
        *symbol = (BLOCK >> (40 - 8 * at) & 255) as usize;
    }
    let block = undone(&order, 0, &symbols);
    symbols.push(255);
    let crc = sum::crc(&block).unwrap();
    let blocks: Vec<_> =
        (0..400).map(|_| (coded(&order, 0, &symbols, (false, crc)), crc)).collect();
    let file = handmade(&blocks);
    let mut decoder = Bzip2::new(&Threads::new(3));
    let (image, result) = decode(&mut decoder, &file, 1 << 20, 1 << 16);
    assert_eq!(result.unwrap().members, 1);
    assert!(image == expected(&file).unwrap());
    let (planted, most) = decoder.ahead.thrown_away();
    assert!(planted > 0 && planted <= most, "{planted}");
}

#[test]
fn damage_has_its_block_and_its_bit() {
    let (_, file) = blocks();
    let mut starts = Vec::new();
    Scanner::default().scan(&file, 0, |bit, is_block| {
        if is_block && !starts.contains(&bit) {
            starts.push(bit);
        }
    });
    assert!(starts.len() >= 3, "{starts:?}");
    for (number, bit) in starts.iter().enumerate() {
        let mut file = file.clone();
        // Behind the magic: the CRC.
        file[bit / 8 + 8] ^= 0x10;
        let damage = unpack(&file).1.unwrap_err();
        assert_eq!((damage.code, damage.offset), (Code::Bzip2Damaged, *bit as u64 / 8));
        let (block, what) = (number + 1, "does not match its CRC");
        let said = format!(
            "Block {block} of bzip2 stream 1, which begins at bit {bit} of the file, {what}."
        );
        assert_eq!(damage.said, said);
    }
    let mut file = file.clone();
    let last = file.len() - 2;
    file[last] ^= 1;
    let damage = unpack(&file).1.unwrap_err();
    assert!(damage.said.contains("another CRC than that of its blocks"), "{damage:?}");
}

#[test]
fn threads_that_panic_or_starve_hang_nobody() {
    let (_, file) = blocks();
    let mut damaged = file.clone();
    damaged[file.len() / 3 * 2] ^= 4;
    for file in [file, damaged] {
        let alone = decode(&mut Bzip2::default(), &file, 1 << 20, 1 << 16);
        for (threads, fate) in Fate::ALL {
            let mut decoder = Bzip2::new(&Threads::new(4));
            decoder.ahead.doom(threads, fate);
            let (image, result) = decode(&mut decoder, &file, 1 << 20, 1 << 16);
            assert_eq!(result, alone.1, "{threads} {fate:?}");
            assert!(result.is_err() || image == alone.0, "{threads} {fate:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Cut, flipped, doubled: the same bytes as libbz2 or the same refusal, on one thread and on several.
    #[test]
    fn whatever_libbz2_does(
        len in 0usize..250_000,
        seed in any::<u8>(),
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), 0u8..8), 0..3),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
        (input, output) in (1usize..200_000, 1usize..200_000),
        planted in 0usize..40,
    ) {
        let mut data = mixed(len);
        for (at, byte) in data.iter_mut().enumerate() {
            if at / 1000 % 7 == usize::from(seed) % 7 { *byte = seed; }
        }
        // Behind the streams: heads of blocks and of the end, at bits of every kind.
        let plant = [&BLOCK.to_be_bytes()[2..], &[seed], &(END << 3).to_be_bytes()[1..]].concat();
        let mut file = [stream(&data), stream(&data[..len / 3]), plant.repeat(planted)].concat();
        for (at, bit) in flips {
            let at = at.index(file.len());
            file[at] ^= 1 << bit;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        let (image, result) = decode(&mut Bzip2::default(), &file, 1 << 20, 1 << 20);
        // Single bytes of what is long take long and show nothing new.
        let least = 1 + image.len().max(file.len()) / 5000;
        for threads in [1, 2, 8, 64] {
            let mut decoder = Bzip2::new(&Threads::new(threads));
            let several = decode(&mut decoder, &file, input.max(least), output.max(least));
            prop_assert_eq!(&several.1, &result, "{} threads", threads);
            prop_assert!(result.is_err() || several.0 == image, "{} threads", threads);
        }
        // Behind the packed data libbz2's reader looks for another stream.
        let end = match &result {
            Ok(summary) => match &summary.behind { Some(behind) => behind.offset as usize, None => file.len() },
            Err(_) => file.len(),
        };
        let expected = expected(&file[..end]);
        match result {
            Ok(_) => prop_assert!(expected.as_deref() == Some(&image[..])),
            Err(damage) => prop_assert!(expected.is_none() || file.is_empty(), "{:?}", damage),
        }
    }
}

/// Also after one that was left in the middle of its blocks.
#[test]
fn a_decoder_goes_on_with_what_the_last_one_left() {
    let (data, file) = blocks();
    let threads = Threads::new(2);
    for end in [file.len(), file.len() / 2, 0, file.len()] {
        let mut decoder = Bzip2::new(&threads);
        let (image, result) = decode(&mut decoder, &file[..end], end.max(1), 1 << 16);
        assert!(result.is_err() || image == data);
        assert_eq!(result.is_ok(), end == file.len());
        drop(decoder);
        let left = threads.take().unwrap();
        assert!(left.workers.is_some() && !left.spent.is_empty(), "{end}");
        threads.leave(left);
    }
}
