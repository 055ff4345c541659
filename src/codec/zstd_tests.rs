use proptest::prelude::*;

use super::super::testing::{decode, mixed, oracle};
use super::*;

fn unpack(file: &[u8]) -> (Vec<u8>, Result<Summary, Damage>) {
    let whole = decode(&mut Zstd::default(), file, file.len().max(1), 1 << 16);
    for (input, output) in [(1, 97), (7, 3), (file.len().max(1), 1)] {
        if whole.0.len() > 1 << 16 && output < 50 {
            continue;
        }
        let (image, result) = decode(&mut Zstd::default(), file, input, output);
        assert_eq!(result, whole.1, "pieces of {input} and {output}");
        assert!(result.is_err() || image == whole.0);
    }
    whole
}

/// A frame of one raw block, with this window descriptor.
fn raw_frame(window: u8, data: &[u8]) -> Vec<u8> {
    let header = (data.len() << 3 | 1).to_le_bytes();
    [&MAGIC.to_le_bytes()[..], &[0, window], &header[..3], data].concat()
}

/// A skippable frame.
fn skipped(data: &[u8]) -> Vec<u8> {
    [&0x184d_2a5au32.to_le_bytes()[..], &(data.len() as u32).to_le_bytes(), data].concat()
}

#[test]
fn frames_are_joined_and_others_skipped() {
    let file = [skipped(b"abc"), raw_frame(0, b"one"), skipped(b""), raw_frame(0, b"two")].concat();
    let (image, summary) = unpack(&file);
    assert_eq!(image, b"onetwo");
    assert_eq!(summary.unwrap(), Summary { members: 2, trailing_zeros: 0, behind: None });
}

#[test]
fn what_zstd_writes_comes_back() {
    let image = mixed(1 << 20);
    for options in [&["-1"][..], &["-19", "--no-check"], &["--long=26"], &["-3", "--single-thread"]]
    {
        let Some(file) = oracle("zstd", &[&["-qc"], options].concat(), &image) else { return };
        let (again, summary) = decode(&mut Zstd::default(), &file, 10_000, 70_000);
        assert_eq!(summary.unwrap().members, 1, "{options:?}");
        assert!(again == image, "{options:?}");
    }
}

#[test]
fn large_windows_are_refused_before_anything_is_allocated() {
    // 2^(10+16) is 64 MiB; one eighth more is not granted.
    assert!(unpack(&raw_frame(16 << 3, b"x")).1.is_ok());
    for window in [16 << 3 | 1, 17 << 3, 31 << 3 | 7] {
        let damage = unpack(&raw_frame(window, b"x")).1.unwrap_err();
        assert_eq!(damage.code, Code::ZstdWindowTooLarge);
    }
    let single = [&MAGIC.to_le_bytes()[..], &[0xe0], &[0xff; 8], &[1, 0, 0]].concat();
    assert_eq!(unpack(&single).1.unwrap_err().code, Code::ZstdWindowTooLarge);
    let image = vec![7; 200 << 20];
    if let Some(file) = oracle("zstd", &["-qc", "-1", "--long=27"], &image) {
        let (_, result) = decode(&mut Zstd::default(), &file, 1 << 16, 1 << 16);
        assert_eq!(result.unwrap_err().code, Code::ZstdWindowTooLarge);
    }
}

#[test]
fn a_dictionary_is_named() {
    let file = [&MAGIC.to_le_bytes()[..], &[1, 0, 7], &[1, 0, 0]].concat();
    let damage = unpack(&file).1.unwrap_err();
    assert_eq!(damage.code, Code::ZstdUnsupported);
    assert!(damage.said.contains("dictionary 7"), "{}", damage.said);
}

#[test]
fn every_cut_is_truncation() {
    let Some(file) = oracle("zstd", &["-qc"], &mixed(20_000)) else { return };
    for end in (0..file.len()).step_by(1 + file.len() / 400) {
        let (_, result) = decode(&mut Zstd::default(), &file[..end], 5000, 90_000);
        assert_eq!(result.unwrap_err().code, Code::ZstdTruncated, "cut at {end}");
    }
}

#[test]
fn no_flipped_bit_changes_the_image_unseen() {
    let image = mixed(3000);
    let Some(file) = oracle("zstd", &["-qc", "--check"], &image) else { return };
    for bit in 0..file.len() * 8 {
        let mut file = file.clone();
        file[bit / 8] ^= 1 << (bit % 8);
        let (found, result) = decode(&mut Zstd::default(), &file, file.len(), 1 << 16);
        // The bit that says whether there is a check sum may turn it into garbage, and is an error.
        assert!(result.is_err() || found == image, "bit {bit}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn hostile_bytes_do_no_harm(mut file in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = unpack(&file);
        file.splice(0..0, MAGIC.to_le_bytes());
        let _ = unpack(&file);
    }
}
