use std::io::Write as _;

use flate2::write::DeflateEncoder;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use proptest::prelude::*;

use super::*;
use crate::codec::testing::mixed;

/// What a decoder makes of a stream: its bytes, and how many of the input it needs, if it is whole.
type Made = (Vec<u8>, Result<usize, Option<Fault>>);

/// Decodes what arrives in pieces of so many bytes.
fn ours(input: &[u8], pieces: usize, sparse: bool) -> Made {
    let mut inflate = Inflate { sparse, ..Inflate::default() };
    let (mut bytes, mut at) = (Vec::new(), 0);
    loop {
        let piece = &input[at..(at + pieces).min(input.len())];
        let mut taken = 0;
        let next = inflate.decode(piece, &mut taken);
        at += taken;
        let made = inflate.made();
        bytes.extend_from_slice(made);
        inflate.take(made.len());
        let zeros = inflate.take_zeros();
        assert!(zeros == 0 || sparse);
        bytes.resize(bytes.len() + zeros as usize, 0);
        match next {
            Err(fault) => return (bytes, Err(Some(fault))),
            Ok(Next::End) => return (bytes, Ok(at)),
            Ok(Next::Input) if piece.is_empty() => return (bytes, Err(None)),
            Ok(_) => {}
        }
    }
}

/// The same by zlib-rs.
fn zlib(input: &[u8]) -> (Vec<u8>, Result<usize, bool>) {
    let mut inflate = Decompress::new(false);
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let (taken, made) = (inflate.total_in(), inflate.total_out());
        let rest = &input[taken as usize..];
        let status = inflate.decompress(rest, &mut buffer, FlushDecompress::None);
        let count = (inflate.total_out() - made) as usize;
        bytes.extend_from_slice(&buffer[..count]);
        match status {
            Err(_) => return (bytes, Err(true)),
            Ok(Status::StreamEnd) => return (bytes, Ok(inflate.total_in() as usize)),
            Ok(_) if inflate.total_in() == taken && count == 0 => return (bytes, Err(false)),
            Ok(_) => {}
        }
    }
}

/// Holds this decoder against zlib-rs, with the input in pieces of several sizes.
fn compare(input: &[u8]) -> Made {
    let (bytes, end) = zlib(input);
    let whole = ours(input, input.len().max(1), true);
    assert_eq!(whole.1.map_err(|fault| fault.is_some()), end);
    match end {
        // zlib may lose what it made before the fault, and may have made less of it.
        Err(_) => assert!(whole.0.starts_with(&bytes) || bytes.starts_with(&whole.0)),
        Ok(_) => assert!(whole.0 == bytes, "other bytes than those of zlib-rs"),
    }
    for (pieces, sparse) in [(1, true), (7, false), (40, true), (4096, false)] {
        let again = ours(input, pieces, sparse);
        assert!(again == whole, "pieces of {pieces} make another result");
    }
    whole
}

fn packed(data: &[u8], level: u32) -> Vec<u8> {
    let mut writer = DeflateEncoder::new(Vec::new(), Compression::new(level));
    writer.write_all(data).unwrap();
    writer.finish().unwrap()
}

/// Mixed data, long runs of zeros and of other bytes, and short periods.
fn sample() -> Vec<u8> {
    let mut data = mixed(70_000);
    for (byte, len) in [(0, 300_000), (7, 300), (0, 70_000), (0, 258 * 3), (255, 100_000)] {
        data.resize(data.len() + len, byte);
        data.extend_from_slice(&mixed(900));
    }
    for period in 1..40 {
        let from = data.len();
        data.extend_from_slice(&mixed(period));
        for at in from..from + 400 {
            data.push(data[at]);
        }
    }
    data
}

#[test]
fn what_zlib_packs_is_unpacked() {
    let data = sample();
    for level in 0..10 {
        let (bytes, end) = compare(&packed(&data, level));
        assert!(bytes == data && end.is_ok());
    }
    for data in [&b""[..], b"a", &[0; 1 << 20], &mixed(1 << 20)] {
        assert!(compare(&packed(data, 6)).0 == data);
    }
}

#[test]
fn blocks_of_every_kind_follow_each_other() {
    // A flush ends the block and adds an empty stored one; short blocks get fixed codes.
    let data = mixed(60_000);
    let mut compress = Compress::new(Compression::default(), false);
    let mut stream = Vec::with_capacity(1 << 20);
    for (n, piece) in data.chunks(900).enumerate() {
        let piece = &piece[..if n % 3 == 0 { 9 } else { piece.len() }];
        let flush = if n % 2 == 0 { FlushCompress::Sync } else { FlushCompress::Full };
        compress.compress_vec(piece, &mut stream, flush).unwrap();
    }
    compress.compress_vec(&[], &mut stream, FlushCompress::Finish).unwrap();
    assert!(compare(&stream).1.is_ok());
}

#[test]
fn a_match_at_the_end_of_the_buffer_is_whole() {
    let noise = mixed(ROOM);
    for before in ROOM - 268..ROOM - 250 {
        for literals in 1..9 {
            for period in [1, 3, 8] {
                let literals = literals.max(period);
                // A block of its own: so many literals, and then what repeats them.
                let mut data = noise[..before - literals].to_vec();
                data.extend((0..literals).map(|byte| byte as u8 + 200));
                for at in before - period..before + 1000 {
                    data.push(data[at]);
                }
                let mut compress = Compress::new(Compression::default(), false);
                let mut stream = Vec::with_capacity(1 << 20);
                let (first, second) = data.split_at(before - literals);
                compress.compress_vec(first, &mut stream, FlushCompress::Full).unwrap();
                compress.compress_vec(second, &mut stream, FlushCompress::Finish).unwrap();
                stream.extend_from_slice(&[0; 64]);
                let (bytes, end) = ours(&stream, stream.len(), false);
                assert!(bytes == data && end.is_ok(), "{before} bytes, {literals}, {period}");
            }
        }
    }
}

#[test]
fn what_follows_a_stream_is_left() {
    let stream = packed(&mixed(5000), 6);
    let end = stream.len();
    let file = [&stream[..], &[0xff; 40]].concat();
    assert_eq!(compare(&file).1, Ok(end));
}

#[test]
fn a_stream_that_is_cut_wants_more() {
    let stream = packed(&sample()[60_000..130_000], 6);
    for end in (0..stream.len()).step_by(61) {
        assert_eq!(compare(&stream[..end]).1, Err(None), "cut at {end}");
    }
}

#[test]
fn each_fault_has_its_name() {
    // Bits of a stream, the first one lowest.
    let bits = |fields: &[(u32, u32)]| {
        let (mut bytes, mut at) = (vec![0u8; 64], 0);
        for &(value, count) in fields {
            for bit in 0..count {
                bytes[at / 8] |= ((value >> bit & 1) << (at % 8)) as u8;
                at += 1;
            }
        }
        bytes
    };
    let block = (0b100 | 1, 3);
    // 18 is one bit (0), as are lengths of one bit (1): by the order of the code lengths' code.
    let order = |lengths: &[(usize, u32)]| {
        let mut fields = vec![(0, 3); 19];
        for &(symbol, length) in lengths {
            let place = ORDER.iter().position(|&at| usize::from(at) == symbol).unwrap();
            fields[place] = (length, 3);
        }
        fields
    };
    let dynamic = |lengths: &[(usize, u32)], rest: &[(u32, u32)]| {
        let counts = [block, (0, 5), (0, 5), (15, 4)];
        bits(&[&counts[..], &order(lengths), rest].concat())
    };
    let zeros = |count: u32| [(1, 1), (count - 11, 7)];
    // 1 is the code 0 and 18 is the code 1. 256 codes are not there; 256 and the only distance have one bit.
    let end_only = [&zeros(138)[..], &zeros(118), &[(0, 1)]].concat();
    let three = [&[(0, 1), (0, 1)], &zeros(138)[..], &zeros(116), &[(0, 1), (0, 1)]].concat();
    // 18 is the code 0, 1 is 10 and 2 is 11.
    let one_of_two_bits = [(0, 1), (127, 7), (0, 1), (107, 7), (0b01, 2), (0b11, 2)];
    let cases = [
        (Fault::Kind, bits(&[(7, 3)])),
        (Fault::Stored, bits(&[(1, 3), (0, 5), (5, 16), (5, 16)])),
        (Fault::Codes, bits(&[block, (30, 5), (0, 5), (0, 4)])),
        (Fault::Lengths, dynamic(&[(1, 2), (18, 1)], &[])),
        (Fault::NothingToRepeat, dynamic(&[(1, 1), (16, 1)], &[(1, 1)])),
        (Fault::TooMany, dynamic(&[(1, 1), (18, 1)], &[zeros(138), zeros(138)].concat())),
        (Fault::Endless, dynamic(&[(1, 1), (18, 1)], &[&zeros(138)[..], &zeros(120)].concat())),
        (Fault::LiteralCode, dynamic(&[(1, 1), (18, 1)], &three)),
        (Fault::DistanceCode, dynamic(&[(1, 2), (2, 2), (18, 1)], &one_of_two_bits)),
        (Fault::Distance, bits(&[(3, 3), (0b1000000, 7), (0b01111, 5)])),
        (Fault::Literal, bits(&[(3, 3), (0b01100011, 8)])),
        (Fault::TooFar, bits(&[(3, 3), (0b1000000, 7), (0, 5)])),
    ];
    let empty = dynamic(&[(1, 1), (18, 1)], &[&end_only[..], &[(0, 1), (0, 1)]].concat());
    assert!(compare(&empty).1.is_ok());
    for (fault, stream) in cases {
        assert_eq!(compare(&stream).1, Err(Some(fault)), "{fault:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damage_is_seen_as_zlib_sees_it(
        from in 0usize..200_000,
        len in 1usize..6000,
        level in 0u32..10,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let data = sample();
        let from = from % data.len();
        let mut stream = packed(&data[from..(from + len).min(data.len())], level);
        for (place, value) in flips {
            let place = place.index(stream.len());
            stream[place] ^= value;
        }
        let _ = compare(&stream);
    }

    #[test]
    fn noise_is_seen_as_zlib_sees_it(mut noise in proptest::collection::vec(any::<u8>(), 1..400), kind in 0u8..3) {
        noise[0] = noise[0] & !7 | kind << 1;
        let _ = compare(&noise);
    }
}
