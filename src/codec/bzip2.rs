//! bzip2 by libbz2-rs: streams one after another, block and stream CRC checked by the library.

use ::bzip2::{Decompress, Status};

use super::{Damage, Decoder, Step, Summary};
use crate::facts::Code;

/// Unpacks bzip2 files of any number of streams.
pub struct Bzip2 {
    state: State,
    /// Bytes of the file that were taken.
    at: u64,
    /// Where the current stream begins. The library may look ahead before it complains, by as much as
    /// it was given, so this is the only place of damage that does not depend on how the file is cut.
    stream_at: u64,
    streams: u64,
    zeros: u64,
}

enum State {
    /// So many bytes of a stream's `BZh` were seen.
    Magic(usize),
    Stream(Box<Decompress>),
}

const MAGIC: &[u8; 3] = b"BZh";

impl Default for Bzip2 {
    fn default() -> Self {
        Bzip2 { state: State::Magic(0), at: 0, stream_at: 0, streams: 0, zeros: 0 }
    }
}

impl Bzip2 {
    fn damage(&self, code: Code, said: impl Into<String>) -> Damage {
        Damage { code, offset: self.at, said: said.into() }
    }

    /// A stream's decoder that has been told the magic already.
    fn stream() -> Decompress {
        let mut stream = Decompress::new(false);
        // The magic alone is always right and makes no output.
        let _ = stream.decompress(MAGIC, &mut []);
        stream
    }
}

impl Decoder for Bzip2 {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Damage> {
        let mut step = Step { taken: 0, made: 0 };
        loop {
            match &mut self.state {
                State::Stream(stream) => {
                    let (in_before, out_before) = (stream.total_in(), stream.total_out());
                    let result = stream.decompress(&input[step.taken..], &mut output[step.made..]);
                    let taken = (stream.total_in() - in_before) as usize;
                    let made = (stream.total_out() - out_before) as usize;
                    step.taken += taken;
                    step.made += made;
                    self.at += taken as u64;
                    match result {
                        Ok(Status::StreamEnd) => {
                            self.streams += 1;
                            self.state = State::Magic(0);
                        }
                        Ok(_) if (taken, made) == (0, 0) => return Ok(step),
                        Ok(_) => {}
                        Err(_) => {
                            let (stream, offset) = (self.streams + 1, self.stream_at);
                            let said = format!(
                                "bzip2 stream {stream}, which begins at byte {offset}, is damaged: a block is invalid or a CRC does not match."
                            );
                            return Err(Damage { code: Code::Bzip2Damaged, offset, said });
                        }
                    }
                    if step.made == output.len() {
                        return Ok(step);
                    }
                }
                State::Magic(seen) => {
                    let Some(&byte) = input.get(step.taken) else { return Ok(step) };
                    if byte == MAGIC[*seen] && self.zeros == 0 {
                        if *seen == 0 {
                            self.stream_at = self.at;
                        }
                        *seen += 1;
                        if *seen == MAGIC.len() {
                            self.state = State::Stream(Box::new(Self::stream()));
                        }
                    } else if byte == 0 && *seen == 0 && self.streams > 0 {
                        self.zeros += 1;
                    } else {
                        return Err(self.damage(
                            Code::Bzip2TrailingGarbage,
                            "After the last bzip2 stream there are bytes that belong to nothing.",
                        ));
                    }
                    step.taken += 1;
                    self.at += 1;
                }
            }
        }
    }

    fn finish(&mut self) -> Result<Summary, Damage> {
        match &self.state {
            State::Magic(0) if self.streams > 0 => {
                Ok(Summary { members: self.streams, trailing_zeros: self.zeros })
            }
            _ => {
                let stream = self.streams + 1;
                Err(self.damage(
                    Code::Bzip2Truncated,
                    format!("The file ends inside bzip2 stream {stream}."),
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::decode;
    use super::*;
    use ::bzip2::{Compression, write::BzEncoder};
    use std::io::Write;

    fn stream(data: &[u8]) -> Vec<u8> {
        let mut writer = BzEncoder::new(Vec::new(), Compression::fast());
        writer.write_all(data).unwrap();
        writer.finish().unwrap()
    }

    fn unpack(file: &[u8]) -> (Vec<u8>, Result<Summary, Damage>) {
        let whole = decode(&mut Bzip2::default(), file, file.len().max(1), 1 << 16);
        for (input, output) in [(1, 1), (3, 100), (file.len().max(1), 1)] {
            let (image, result) = decode(&mut Bzip2::default(), file, input, output);
            assert_eq!(result, whole.1, "pieces of {input} and {output}");
            assert!(result.is_err() || image == whole.0);
        }
        whole
    }

    #[test]
    fn streams_are_joined_and_counted() {
        let file = [stream(b"one"), stream(b""), stream(b"two")].concat();
        let (image, summary) = unpack(&file);
        assert_eq!(image, b"onetwo");
        assert_eq!(summary.unwrap(), Summary { members: 3, trailing_zeros: 0 });
    }

    #[test]
    fn zero_padding_is_told_from_garbage() {
        let file = [stream(b"x"), vec![0; 9]].concat();
        assert_eq!(unpack(&file).1.unwrap(), Summary { members: 1, trailing_zeros: 9 });
        for tail in [&b"\0BZh"[..], b"junk", b"Bz"] {
            let file = [stream(b"x"), tail.to_vec()].concat();
            assert_eq!(unpack(&file).1.unwrap_err().code, Code::Bzip2TrailingGarbage);
        }
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
}
