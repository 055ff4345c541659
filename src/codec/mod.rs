//! How a file is packed: recognising it, unpacking what DigitalOcean takes (gzip, bzip2) and what can be
//! repacked for it (xz, zstd, tar), and packing as gzip.
//!
//! Decoders do no I/O: they turn some input into some output and say what is damaged, with the byte
//! offset in the file. The room knows nothing of disk formats or of the verdict.

#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "no part of the API that is kept"
)]

mod behind;
mod bzip2;
mod encode;
mod gzip;
mod index;
mod inflate;
mod sniff;
mod tar;
mod tar_header;
mod tar_sparse;
mod weak;
mod workers;
mod xz;
mod xz_check;
mod zip;
mod zstd;

pub use self::behind::Behind;
pub use self::bzip2::{Bzip2, Threads};
pub use self::encode::{EncodeError, Encoded, Encoding, encode};
pub use self::gzip::{Gzip, ParallelGzip};
pub use self::index::{Index, Point, effort};
pub use self::sniff::{PACKINGS, Packing, packing_name, sniff, would_unpack};
pub use self::tar::{Tar, TarItem, TarMember};
pub use self::xz::Xz;
pub use self::zstd::Zstd;
pub use zip::{ZIP_TAIL, zip_end, zip_members};

#[cfg(test)]
pub(crate) use self::workers::Fate;
pub(crate) use self::workers::Workers;

use crate::facts::Code;

/// The largest dictionary of xz and window of Zstandard that is granted, in bytes: what `xz -9` and
/// `zstd --long=26` ask for. A decoder holds as much in memory.
pub const LARGEST_WINDOW: u64 = 64 << 20;

/// Zeros are counted instead of written from so many on ([`Step::zeros`]).
pub const LEAST_ZEROS: u64 = 64 << 10;

/// Unpacks one file, fed in pieces of any length.
pub trait Decoder: Send {
    /// Unpacks from `input` into `output` until one of them is used up. With output left over, all
    /// of the input was taken.
    ///
    /// # Errors
    /// What is damaged. Output produced before the damage was found may be lost; nothing can be
    /// decoded after it.
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Damage>;

    /// The file has ended. To be called once after a [`Decoder::decode`] without input left output
    /// over.
    ///
    /// # Errors
    /// If the packed stream is not complete.
    fn finish(&mut self) -> Result<Summary, Damage>;

    /// Gets by with less memory from now on, as others need it.
    fn save_memory(&mut self) {}
}

/// What one call of [`Decoder::decode`] did, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the input that were taken.
    pub taken: usize,
    /// Bytes of the output that were written.
    pub made: usize,
    /// Zero bytes that follow these and were not written, of decoders that count long runs of them
    /// ([`Bzip2::sparse`]). There may be input left then, and place in the output.
    pub zeros: u64,
}

/// What is known of a packed file that was read to its end without damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// gzip members, bzip2 or xz streams, or Zstandard frames.
    pub members: u64,
    /// Zero bytes after the last of them.
    pub trailing_zeros: u64,
    /// What follows all of these and belongs to nothing (gzip and bzip2).
    pub behind: Option<Behind>,
}

/// The CRC-32 of `len` bytes of this value.
fn repeated(byte: u8, len: u64) -> crc32fast::Hasher {
    let mut power = crc32fast::Hasher::new();
    power.update(&[byte]);
    let mut sum = crc32fast::Hasher::new();
    for bit in 0..u64::BITS - len.leading_zeros() {
        if len >> bit & 1 == 1 {
            sum.combine(&power);
        }
        let same = power.clone();
        power.combine(&same);
    }
    sum
}

/// Collects a structure of `size` bytes, which the caller bounds; true when it is there. `at` goes along.
fn collect(have: &mut Vec<u8>, at: &mut u64, size: usize, input: &[u8], step: &mut Step) -> bool {
    let want = size.saturating_sub(have.len());
    let rest = &input[step.taken..];
    let piece = &rest[..want.min(rest.len())];
    have.extend_from_slice(piece);
    step.taken += piece.len();
    *at += piece.len() as u64;
    have.len() == size
}

/// Why a packed file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// What is wrong.
    pub code: Code,
    /// Byte offset in the file at which it was noticed.
    pub offset: u64,
    /// One sentence with the values found.
    pub said: String,
}

#[cfg(test)]
pub(crate) mod testing {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    /// What a program makes of `input` on its standard input; `None` if the program is not there.
    #[allow(clippy::print_stdout)] // nobody should miss that a test was left out
    pub(crate) fn oracle(program: &str, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(_) => {
                assert!(std::env::var_os("CI").is_none(), "{program} is missing");
                println!("SKIPPED: there is no {program} to hold this against");
                return None;
            }
        };
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(input).unwrap());
            child.wait_with_output().unwrap()
        });
        assert!(output.status.success(), "{program} {arguments:?}");
        Some(output.stdout)
    }

    /// Bytes that pack a little: words, noise and zeros.
    pub(crate) fn mixed(len: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut bytes = Vec::with_capacity(len + 64);
        while bytes.len() < len {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            match state % 5 {
                0 => bytes.extend_from_slice(&state.to_le_bytes()),
                1 => bytes.extend_from_slice(&[0; 48]),
                _ => bytes.extend_from_slice(format!("sector {} ", state % 1000).as_bytes()),
            }
        }
        bytes.truncate(len);
        bytes
    }

    /// A header block of a tar archive with its check sum.
    pub(crate) fn header(name: &str, flag: u8, size: u64) -> Vec<u8> {
        let mut block = vec![0; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        block[156] = flag;
        block[257..265].copy_from_slice(b"ustar\x0000");
        sum(&mut block);
        block
    }

    /// Makes the check sum right.
    pub(crate) fn sum(block: &mut [u8]) {
        block[148..156].fill(b' ');
        let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    }

    /// A member of a tar archive with its data, padded.
    pub(crate) fn member(name: &str, flag: u8, data: &[u8]) -> Vec<u8> {
        let mut bytes = header(name, flag, data.len() as u64);
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }

    /// An archive of these members.
    pub(crate) fn archive(members: &[Vec<u8>]) -> Vec<u8> {
        [&members.concat()[..], &[0; 2 * 512]].concat()
    }

    /// Decodes a whole file that arrives in pieces of `input` bytes, into buffers of `output` bytes.
    pub(crate) fn decode(
        decoder: &mut dyn Decoder,
        file: &[u8],
        input: usize,
        output: usize,
    ) -> (Vec<u8>, Result<Summary, Damage>) {
        let mut image = Vec::new();
        let mut buf = vec![0; output];
        for mut piece in file.chunks(input).chain([&[][..]]) {
            loop {
                match decoder.decode(piece, &mut buf) {
                    Ok(step) => {
                        image.extend_from_slice(&buf[..step.made]);
                        image.resize(image.len() + step.zeros as usize, 0);
                        piece = &piece[step.taken..];
                        if step.made < buf.len() && step.zeros == 0 {
                            assert!(piece.is_empty(), "input was left with room for output");
                            break;
                        }
                    }
                    Err(damage) => return (image, Err(damage)),
                }
            }
        }
        (image, decoder.finish())
    }
}
