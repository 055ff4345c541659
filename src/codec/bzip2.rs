//! bzip2 by libbz2-rs: streams one after another, block and stream CRC checked by the library.
//!
//! Each decoder of the library clears memory for the largest block that its stream may have, 3.6 MB, which takes longer than
//! to decode a short stream. So a stream that follows a short one is first tried as one of short blocks; if it
//! turns out to be longer, it begins again with what it says itself.

use ::bzip2::{Decompress, Status};

use super::{Behind, Damage, Decoder, Step, Summary};
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
    /// Whether the stream before the current one was short.
    short: bool,
    /// Bytes of the file that were tried and are decoded again, before what comes next.
    again: Queue,
}

enum State {
    /// So many bytes of a stream's `BZh` were seen.
    Magic(usize),
    Stream(Box<Stream>),
    /// After all streams and their padding.
    Behind(Behind),
}

/// A stream that is being decoded.
struct Stream {
    decoder: Decompress,
    /// Bytes that it made.
    made: u64,
    /// Bytes of what it makes that were given out before it began again.
    known: u64,
    /// What was taken of it after its magic, while it is tried as a short one.
    tried: Option<Vec<u8>>,
}

/// Bytes that are taken from the front.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    taken: usize,
}

const MAGIC: &[u8; 3] = b"BZh";

/// The size of blocks that a stream says, for the shortest ones: 100,000 bytes.
const SHORTEST_BLOCKS: u8 = b'1';

/// A stream that makes more is no short one. Its blocks may be longer, and to decode it takes longer than to clear memory.
const SHORT: u64 = 100_000;

/// So much is kept of a stream while it is tried: what makes a short one is not longer.
const MOST_TRIED: usize = 256 << 10;

impl Default for Bzip2 {
    fn default() -> Self {
        Bzip2 {
            state: State::Magic(0),
            at: 0,
            stream_at: 0,
            streams: 0,
            zeros: 0,
            short: false,
            again: Queue::default(),
        }
    }
}

impl Queue {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }
}

impl Stream {
    fn new(tried: bool) -> Self {
        let mut decoder = Decompress::new(false);
        // The magic alone is always right and makes no output.
        let _ = decoder.decompress(MAGIC, &mut []);
        Stream { decoder, made: 0, known: 0, tried: tried.then(Vec::new) }
    }

    /// Decodes; what was taken and made is told whether it went well or not.
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> (usize, usize, Result<Status, ()>) {
        let (in_before, out_before) = (self.decoder.total_in(), self.decoder.total_out());
        let first = self.tried.as_ref().is_some_and(Vec::is_empty);
        let result = match input {
            [b'1'..=b'9', ..] if first => self.decoder.decompress(&[SHORTEST_BLOCKS], &mut []),
            _ => self.decoder.decompress(input, output),
        };
        let taken = (self.decoder.total_in() - in_before) as usize;
        let made = (self.decoder.total_out() - out_before) as usize;
        self.made += made as u64;
        if let Some(tried) = &mut self.tried {
            tried.extend_from_slice(&input[..taken]);
        }
        (taken, made, result.map_err(|_| ()))
    }

    /// Whether a stream that is tried as a short one, and goes on like this, has to begin again.
    fn is_too_long(&self, result: Result<Status, ()>) -> bool {
        match (&self.tried, result) {
            (None, _) | (_, Ok(Status::StreamEnd)) => false,
            (Some(tried), Ok(_)) => self.made > SHORT || tried.len() > MOST_TRIED,
            (Some(_), Err(())) => true,
        }
    }
}

impl Bzip2 {
    fn damage(&self, code: Code, said: impl Into<String>) -> Damage {
        Damage { code, offset: self.at, said: said.into() }
    }

    fn summary(&self, behind: Option<Behind>) -> Summary {
        Summary { members: self.streams, trailing_zeros: self.zeros, behind }
    }

    /// Counts bytes as taken, from those that are decoded again or from the input.
    fn take(&mut self, count: usize, step: &mut Step) {
        self.at += count as u64;
        match self.again.rest().is_empty() {
            true => step.taken += count,
            false => self.again.taken += count,
        }
    }

    /// Lets the stream that was tried begin again, behind its magic.
    fn begin_again(&mut self, tried: Vec<u8>, made: u64) {
        self.at -= tried.len() as u64;
        let bytes = [&tried, self.again.rest()].concat();
        self.again = Queue { bytes, taken: 0 };
        self.state = State::Stream(Box::new(Stream { known: made, ..Stream::new(false) }));
    }
}

impl Decoder for Bzip2 {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Damage> {
        let mut step = Step { taken: 0, made: 0 };
        let mut known = Vec::new();
        loop {
            let bytes = match self.again.rest() {
                [] => &input[step.taken..],
                rest => rest,
            };
            match &mut self.state {
                State::Stream(stream) => {
                    let is_known = stream.known > 0;
                    let into = match is_known {
                        true => {
                            known.resize(stream.known as usize, 0);
                            &mut known[..]
                        }
                        false => &mut output[step.made..],
                    };
                    let most = if stream.tried.is_some() { SHORT as usize + 1 } else { into.len() };
                    let room = into.len().min(most);
                    let (taken, made, result) = stream.decode(bytes, &mut into[..room]);
                    match is_known {
                        true => stream.known -= made as u64,
                        false => step.made += made,
                    }
                    let begins_again = stream.is_too_long(result);
                    let (short, tried) = (stream.made <= SHORT, stream.made);
                    let held = if begins_again { stream.tried.take() } else { None };
                    self.take(taken, &mut step);
                    match (result, held) {
                        (_, Some(held)) => self.begin_again(held, tried),
                        (Ok(Status::StreamEnd), None) => {
                            self.streams += 1;
                            self.short = short;
                            self.state = State::Magic(0);
                        }
                        (Ok(_), None) if (taken, made) == (0, 0) => return Ok(step),
                        (Ok(_), None) => {}
                        (Err(()), None) => {
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
                    let Some(&byte) = bytes.first() else { return Ok(step) };
                    if byte == MAGIC[*seen] && self.zeros == 0 {
                        if *seen == 0 {
                            self.stream_at = self.at;
                        }
                        *seen += 1;
                        if *seen == MAGIC.len() {
                            self.state = State::Stream(Box::new(Stream::new(self.short)));
                        }
                    } else if byte == 0 && *seen == 0 && self.streams > 0 {
                        self.zeros += 1;
                    } else if self.streams > 0 {
                        let mut behind = Behind::at(self.at - *seen as u64);
                        behind.take(&MAGIC[..*seen]);
                        self.state = State::Behind(behind);
                        continue;
                    } else {
                        return Err(self.damage(
                            Code::Bzip2Damaged,
                            "The file does not begin with a bzip2 stream.",
                        ));
                    }
                    self.take(1, &mut step);
                }
                State::Behind(_) if bytes.is_empty() => return Ok(step),
                State::Behind(behind) => {
                    behind.take(bytes);
                    let count = bytes.len();
                    self.take(count, &mut step);
                }
            }
        }
    }

    fn finish(&mut self) -> Result<Summary, Damage> {
        match &self.state {
            State::Magic(0) if self.streams > 0 => Ok(self.summary(None)),
            State::Behind(behind) => Ok(self.summary(Some(behind.clone()))),
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
    use super::super::testing::{decode, mixed};
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
        assert_eq!(summary.unwrap(), Summary { members: 3, trailing_zeros: 0, behind: None });
    }

    #[test]
    fn long_streams_among_short_ones() {
        let best = |data: &[u8]| {
            let mut writer = BzEncoder::new(Vec::new(), Compression::best());
            writer.write_all(data).unwrap();
            writer.finish().unwrap()
        };
        // Of more than a short block; of short blocks, but many; of so many bytes in a short block; just short.
        let noise = mixed(400_000);
        let parts = [
            (b"x".to_vec(), best(b"x")),
            (noise.clone(), best(&noise)),
            (b"y".to_vec(), best(b"y")),
            (noise.clone(), stream(&noise)),
            (Vec::new(), best(b"")),
            (vec![7; 3 << 20], best(&vec![7; 3 << 20])),
            (Vec::new(), best(b"")),
            (noise[..99_000].to_vec(), best(&noise[..99_000])),
            (b"z".to_vec(), best(b"z")),
        ];
        let image: Vec<u8> = parts.iter().flat_map(|(data, _)| data.clone()).collect();
        let file: Vec<u8> = parts.iter().flat_map(|(_, file)| file.clone()).collect();
        for (input, output) in
            [(file.len(), image.len() + 1), (1, 70_001), (999, 1 << 20), (file.len(), 10_000)]
        {
            let (found, result) = decode(&mut Bzip2::default(), &file, input, output);
            assert_eq!(result.unwrap(), Summary { members: 9, trailing_zeros: 0, behind: None });
            assert!(found == image, "pieces of {input} and {output}");
        }
    }

    #[test]
    fn damage_is_the_same_behind_a_short_stream() {
        let damaged = stream(&mixed(300_000));
        let short = stream(b"x");
        for at in [3, 4, 12, 60, 5_000, damaged.len() / 2, damaged.len() - 3] {
            let mut damaged = damaged.clone();
            damaged[at] ^= 0x40;
            let alone = decode(&mut Bzip2::default(), &damaged, 1 << 20, 1 << 16).1.unwrap_err();
            for input in [1 << 20, 777] {
                let file = [&short[..], &damaged].concat();
                let (_, result) = decode(&mut Bzip2::default(), &file, input, 1 << 16);
                let behind = result.unwrap_err();
                assert_eq!((behind.code, behind.offset), (alone.code, short.len() as u64), "{at}");
            }
        }
        for end in [4, 5, 5_000, damaged.len() - 1] {
            let file = [&short[..], &damaged[..end]].concat();
            let (_, result) = decode(&mut Bzip2::default(), &file, 777, 1 << 16);
            let cut = result.unwrap_err();
            assert_eq!((cut.code, cut.offset), (Code::Bzip2Truncated, file.len() as u64));
        }
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
            let expected =
                Summary { members: 1, trailing_zeros: zeros as u64, behind: Some(behind) };
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
}
