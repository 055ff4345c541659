use proptest::prelude::*;

use super::super::testing::{decode, mixed, oracle};
use super::*;

fn unpack(file: &[u8]) -> (Vec<u8>, Result<Summary, Damage>) {
    let whole = decode(&mut Xz::default(), file, file.len().max(1), 1 << 16);
    for (input, output) in [(1, 97), (7, 3), (file.len().max(1), 1)] {
        if whole.0.len() > 1 << 16 && output < 50 {
            continue;
        }
        let (image, result) = decode(&mut Xz::default(), file, input, output);
        assert_eq!(result, whole.1, "pieces of {input} and {output}");
        assert!(result.is_err() || image == whole.0);
    }
    whole
}

fn xz(options: &[&str], image: &[u8]) -> Option<Vec<u8>> {
    oracle("xz", &[&["-qc"], options].concat(), image)
}

#[test]
fn what_xz_writes_comes_back() {
    let image = mixed(1 << 20);
    for options in [
        &["-0"][..],
        &["-6", "--check=crc32"],
        &["-9", "--check=sha256"],
        &["-1", "--check=none"],
        &["-1", "--block-size=65536"],
        &["-1", "-T2", "--block-size=100000"],
        &["--lzma2=dict=64MiB,lc=0,lp=2,pb=0"],
    ] {
        let Some(file) = xz(options, &image) else { return };
        let (again, summary) = decode(&mut Xz::default(), &file, 10_000, 70_000);
        assert_eq!(summary.unwrap().members, 1, "{options:?}");
        assert!(again == image, "{options:?}");
    }
    for image in [&[][..], b"x"] {
        let Some(file) = xz(&[], image) else { return };
        let (again, summary) = unpack(&file);
        assert!(again == image && summary.is_ok(), "{summary:?}");
    }
}

#[test]
fn streams_are_joined_over_padding() {
    let (Some(one), Some(two)) = (xz(&[], b"one"), xz(&["--check=sha256"], b"two")) else { return };
    let file = [&one[..], &[0; 8], &two, &[0; 4]].concat();
    let (image, summary) = unpack(&file);
    assert_eq!(image, b"onetwo");
    assert_eq!(summary.unwrap(), Summary { members: 2, trailing_zeros: 4, behind: None });
    for tail in [&[0; 3][..], b"junk", b"\0\0\0\0x", b"\0\xfd"] {
        let file = [&one[..], tail].concat();
        assert_eq!(unpack(&file).1.unwrap_err().code, Code::XzDamaged, "{tail:?}");
    }
}

#[test]
fn large_dictionaries_are_refused_before_anything_is_allocated() {
    let Some(file) = xz(&["--lzma2=dict=65MiB"], b"small") else { return };
    let damage = unpack(&file).1.unwrap_err();
    assert_eq!(damage.code, Code::XzWindowTooLarge);
    assert!(damage.said.contains("100663296"), "{}", damage.said);
}

#[test]
fn other_filters_are_named() {
    let Some(file) = xz(&["--x86", "--lzma2"], b"small") else { return };
    let damage = unpack(&file).1.unwrap_err();
    assert_eq!(damage.code, Code::XzUnsupported);
    assert!(damage.said.contains("0x04, 0x21"), "{}", damage.said);
}

#[test]
fn every_cut_is_truncation() {
    let Some(file) = xz(&["--block-size=6000"], &mixed(20_000)) else { return };
    for end in (0..file.len()).step_by(1 + file.len() / 700) {
        let (_, result) = decode(&mut Xz::default(), &file[..end], 5000, 90_000);
        assert_eq!(result.unwrap_err().code, Code::XzTruncated, "cut at {end}");
    }
}

#[test]
fn no_flipped_bit_goes_unseen() {
    for check in ["--check=crc32", "--check=crc64", "--check=sha256"] {
        let Some(file) = xz(&[check, "--block-size=1000"], &mixed(3000)) else { return };
        for bit in 0..file.len() * 8 {
            let mut file = file.clone();
            file[bit / 8] ^= 1 << (bit % 8);
            let (_, result) = decode(&mut Xz::default(), &file, file.len(), 1 << 16);
            assert!(result.is_err(), "bit {bit}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn hostile_bytes_do_no_harm(
        tail in prop::collection::vec(any::<u8>(), 0..300),
        body in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let _ = unpack(&tail);
        // A valid stream header, and a block header with a valid CRC.
        let mut file = b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46".to_vec();
        let _ = unpack(&[&file[..], &tail].concat());
        let size = (body.len() + 1).div_ceil(4) * 4;
        let mut header = vec![(size / 4) as u8];
        header.extend_from_slice(&body);
        header.resize(size, 0);
        header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
        file.extend_from_slice(&header);
        file.extend_from_slice(&tail);
        let _ = unpack(&file);
    }
}
