//! Packing as gzip against `pigz -p2`: the same file, in turns, each on two threads at level 6. The
//! ratio of each pair is what counts, as machines are busy; the median of all pairs is printed.
//!
//! `cargo bench --bench encode -- [FILE]`; without a file one is made of text, noise and zeros.

#![allow(clippy::print_stdout)] // the figures are for people

use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tidegate::bytes::Pool;
use tidegate::codec::{Encoding, encode};
use tidegate::source::{Read as _, Source};

const PAIRS: usize = 7;
const MIB: usize = 1 << 20;
const SIZE: usize = 256 * MIB;

fn main() {
    let dir = tempfile::tempdir().expect("a directory for the image");
    // Cargo adds `--bench`.
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let path = match &given {
        Some(path) => Path::new(path).to_owned(),
        None => {
            let path = dir.path().join("disk.raw");
            std::fs::write(&path, image()).expect("room for the image");
            path
        }
    };
    let size = std::fs::metadata(&path).expect("the image is there").len();
    let mut ratios = Vec::new();
    let (mut made, mut made_by_pigz) = (0, 0);
    for pair in 0..=PAIRS {
        let (ours, bytes) = ours(&path);
        let Some((theirs, bytes_by_pigz)) = pigz(&path) else {
            println!("there is no pigz to compare with; {size} bytes took {ours:?}");
            return;
        };
        (made, made_by_pigz) = (bytes, bytes_by_pigz);
        // The first pair warms up.
        if pair > 0 {
            let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
            println!("pair {pair}: {ours:.2?}, pigz {theirs:.2?}, ratio {ratio:.2}");
            ratios.push(ratio);
        }
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "{size} bytes: time {:.2} of pigz -p2 (median of {PAIRS} pairs), size {:.3} of it",
        ratios[PAIRS / 2],
        made as f64 / made_by_pigz as f64
    );
}

/// Time and bytes of our encoder.
fn ours(path: &Path) -> (Duration, u64) {
    let start = Instant::now();
    let source = Source::open(path.as_os_str()).expect("the image is there");
    let Source::File(file) = &source else { panic!("the image is a regular file") };
    let (mut reader, mut pool) = (file.reader(), Pool::new(3, MIB));
    let segments =
        std::iter::from_fn(move || reader.next(&mut pool).expect("the image can be read"));
    let encoding = Encoding { level: 6, threads: 2 };
    let encoded =
        encode(segments, encoding, &mut |_| ControlFlow::Continue(())).expect("it is wanted");
    (start.elapsed(), encoded.made)
}

/// Time and bytes of pigz, if it is there.
fn pigz(path: &Path) -> Option<(Duration, u64)> {
    let start = Instant::now();
    let mut child = Command::new("pigz")
        .args(["-p2", "-6", "-c"])
        .arg(path)
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut output = child.stdout.take()?;
    let bytes = std::io::copy(&mut output, &mut std::io::sink()).ok()?;
    child.wait().ok()?;
    Some((start.elapsed(), bytes))
}

/// Of four MiB two are text, one is noise, one is empty.
fn image() -> Vec<u8> {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let words = ["error", "warning", "disk", "partition", "the", "of", "image", "0x00", "\n", "a"];
    let mut image = Vec::with_capacity(SIZE + MIB);
    while image.len() < SIZE {
        let end = image.len() + MIB;
        match image.len() / MIB % 4 {
            0 | 2 => {
                while image.len() < end {
                    image.extend_from_slice(words[next() as usize % words.len()].as_bytes());
                    image.extend_from_slice(format!(" {:x} ", next() % 4096).as_bytes());
                }
            }
            1 => {
                while image.len() < end {
                    image.extend_from_slice(&next().to_le_bytes());
                }
            }
            _ => image.resize(end, 0),
        }
        image.resize(end, 0);
    }
    image
}
