use super::super::testing::decode;
use super::header::{FCOMMENT, FEXTRA, FHCRC, FNAME};
use super::*;
use flate2::{Compression, GzBuilder};
use std::io::Write;

fn member(data: &[u8]) -> Vec<u8> {
    let mut writer = GzBuilder::new().write(Vec::new(), Compression::default());
    writer.write_all(data).unwrap();
    writer.finish().unwrap()
}

/// A member with every optional header field, its header CRC made right.
fn member_with_all_fields(data: &[u8]) -> Vec<u8> {
    let plain = member(data);
    let mut file = plain[..10].to_vec();
    file[3] = FHCRC | FEXTRA | FNAME | FCOMMENT;
    file.extend_from_slice(&[3, 0, b'a', b'b', b'c']);
    file.extend_from_slice(b"name\0comment\0");
    let crc = crc32fast::hash(&file) as u16;
    file.extend_from_slice(&crc.to_le_bytes());
    file.extend_from_slice(&plain[10..]);
    file
}

fn unpack(file: &[u8]) -> (Vec<u8>, Result<Summary, Damage>) {
    let whole = decode(&mut Gzip::default(), file, file.len().max(1), 1 << 16);
    for (input, output) in [(1, 1), (1, 100), (7, 3), (file.len().max(1), 1)] {
        let (image, result) = decode(&mut Gzip::default(), file, input, output);
        assert_eq!(result, whole.1, "pieces of {input} and {output}");
        assert!(result.is_err() || image == whole.0);
    }
    whole
}

fn code(file: &[u8]) -> Code {
    unpack(file).1.unwrap_err().code
}

#[test]
fn members_are_joined_and_counted() {
    let file = [member(b"one"), member(b""), member_with_all_fields(b"two")].concat();
    let (image, summary) = unpack(&file);
    assert_eq!(image, b"onetwo");
    assert_eq!(summary.unwrap(), Summary { members: 3, trailing_zeros: 0, behind: None });
}

#[test]
fn zero_padding_is_told_from_what_belongs_to_nothing() {
    let one = member(b"x");
    let len = one.len() as u64;
    let file = [&one[..], &[0; 300]].concat();
    let padded = Summary { members: 1, trailing_zeros: 300, behind: None };
    assert_eq!(unpack(&file).1.unwrap(), padded);
    let second = member(b"y");
    for (zeros, first) in [
        (2, &b"\x07"[..]),
        (0, b"junk"),
        (0, b"\x1f\x1f\x8b\x08"),
        (0, b"\x1f\x8a\x08"),
        // After padding there is no member.
        (1, &second),
        (0, &[7; 2000]),
    ] {
        let file = [&one[..], &vec![0; zeros], first].concat();
        let (image, summary) = unpack(&file);
        let (offset, kept) = (len + zeros as u64, first.len().min(512));
        let behind = Behind { offset, len: first.len() as u64, first: first[..kept].to_vec() };
        let expected = Summary { members: 1, trailing_zeros: zeros as u64, behind: Some(behind) };
        assert_eq!(summary.unwrap(), expected);
        assert_eq!(image, b"x");
    }
    // What begins as a member is a damaged one, or one that is cut off.
    assert_eq!(code(&[&one[..], &[0x1f]].concat()), Code::GzipTruncated);
    assert_eq!(code(&[member(b"x"), b"\x1f\x8b\x07".to_vec()].concat()), Code::GzipHeaderInvalid);
}

#[test]
fn every_cut_is_truncation() {
    let file = member_with_all_fields(b"some text, some text, some text");
    for end in 1..file.len() {
        let (_, result) = decode(&mut Gzip::default(), &file[..end], 5, 9);
        let damage = result.unwrap_err();
        assert_eq!(damage.code, Code::GzipTruncated, "cut at {end}");
        assert_eq!(damage.offset, end as u64);
    }
}

#[test]
fn every_flipped_bit_of_the_trailer_is_found() {
    let file = member(b"data");
    for bit in 0..64 {
        let mut file = file.clone();
        let at = file.len() - 8 + bit / 8;
        file[at] ^= 1 << (bit % 8);
        let expected = if bit < 32 { Code::GzipCrcMismatch } else { Code::GzipSizeMismatch };
        assert_eq!(code(&file), expected);
    }
}

#[test]
fn bad_headers_are_named() {
    let file = member(b"data");
    for (at, byte) in [(2, 7), (3, 0x20)] {
        let mut file = file.clone();
        file[at] = byte;
        assert_eq!(code(&file), Code::GzipHeaderInvalid);
    }
    let mut file = member_with_all_fields(b"data");
    file[12] ^= 1;
    assert_eq!(code(&file), Code::GzipHeaderInvalid);
}
