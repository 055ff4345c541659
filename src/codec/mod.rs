//! How a file is packed: recognising it, and unpacking gzip and bzip2.
//!
//! Decoders do no I/O: they turn some input into some output and say what is damaged, with the byte
//! offset in the file. The room knows nothing of disk formats or of the verdict.

mod bzip2;
mod gzip;
mod sniff;

pub use self::bzip2::Bzip2;
pub use self::gzip::Gzip;
pub use self::sniff::{Packing, sniff};

use crate::facts::Code;

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
}

/// What one call of [`Decoder::decode`] did, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the input that were taken.
    pub taken: usize,
    /// Bytes of the output that were written.
    pub made: usize,
}

/// What is known of a packed file that was read to its end without damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// gzip members or bzip2 streams.
    pub members: u64,
    /// Zero bytes after the last of them.
    pub trailing_zeros: u64,
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
    use super::*;

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
                        piece = &piece[step.taken..];
                        if step.made < buf.len() {
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
