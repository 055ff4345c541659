//! xz (the .xz file format, 1.2.1): the container by our own code, which keeps memory bounded and says
//! where the damage is; LZMA2 by lzma-rust2.
//!
//! Every check is verified: those of headers, blocks and index, and that the index tells the blocks
//! that were there. Of the filters only LZMA2 is taken, which is all that `xz` uses unless it is told to.

use lzma_rust2::{Action, Lzma2Stream, Status};

use super::xz_check::{Check, Records};
use super::{Damage, Decoder, LARGEST_WINDOW, Step, Summary};
use crate::facts::Code;

const HEADER_MAGIC: &[u8; 6] = b"\xfd7zXZ\0";
const FOOTER_MAGIC: &[u8; 2] = b"YZ";
const HEADER: usize = 12;
const LZMA2: u64 = 0x21;

/// Unpacks xz files of any number of streams.
pub struct Xz {
    /// Bytes of a dictionary at most.
    window: u64,
    state: State,
    /// Bytes of a structure that has not come in full.
    have: Vec<u8>,
    flags: [u8; 2],
    /// What the blocks of this stream were, and what the index says of them.
    blocks: Records,
    /// Bytes of the file that were taken.
    at: u64,
    streams: u64,
    padding: u64,
}

enum State {
    StreamHeader,
    /// The size of a block header, or the mark of an index.
    BlockStart,
    BlockHeader {
        size: usize,
    },
    Data(Box<Block>),
    /// Padding and check after a block.
    BlockEnd {
        block: Box<Block>,
        padding: usize,
    },
    Index(Box<Index>),
    Footer {
        index_size: u64,
    },
    /// After a stream: another one, or zeros.
    Between,
}

struct Block {
    lzma: Lzma2Stream,
    check: Check,
    header: u64,
    /// Sizes that the header states, packed and unpacked.
    packed: Option<u64>,
    size: Option<u64>,
    begin: u64,
}

/// How far the index was read.
struct Index {
    said: Records,
    crc: crc32fast::Hasher,
    /// Bytes of it so far, the mark included.
    size: u64,
    /// Records that it announces, once that is read.
    count: Option<u64>,
    unpadded: Option<u64>,
    number: Number,
    /// Padding and CRC, after the records.
    tail: bool,
}

impl Default for Xz {
    fn default() -> Self {
        Xz::within(LARGEST_WINDOW)
    }
}

impl Xz {
    /// Grants dictionaries of so many bytes, and at most [`LARGEST_WINDOW`].
    #[must_use]
    pub fn within(window: u64) -> Self {
        Xz {
            window: window.min(LARGEST_WINDOW),
            state: State::StreamHeader,
            have: Vec::new(),
            flags: [0; 2],
            blocks: Records::default(),
            at: 0,
            streams: 0,
            padding: 0,
        }
    }

    fn damage(&self, code: Code, said: impl Into<String>) -> Damage {
        Damage { code, offset: self.at, said: said.into() }
    }

    fn damaged(&self, said: impl Into<String>) -> Damage {
        self.damage(Code::XzDamaged, said)
    }

    /// Collects a structure of `size` bytes; true when it is there. `size` is 1028 at most.
    fn collect(&mut self, size: usize, input: &[u8], step: &mut Step) -> bool {
        super::collect(&mut self.have, &mut self.at, size, input, step)
    }

    fn stream_header(&mut self) -> Result<(), Damage> {
        let header = std::mem::take(&mut self.have);
        let (body, crc) = header.split_at(HEADER - 4);
        if &body[..6] != HEADER_MAGIC {
            return Err(self.damaged("An xz stream does not begin with its magic bytes."));
        }
        if !is_crc(&body[6..], crc) {
            return Err(self.damaged("The CRC-32 of an xz stream header does not match."));
        }
        let flags = [body[6], body[7]];
        if Check::of(flags).is_none() {
            return Err(self.damage(
                Code::XzUnsupported,
                format!(
                    "The xz stream has flags {:02x} {:02x}, which are not known.",
                    flags[0], flags[1]
                ),
            ));
        }
        self.flags = flags;
        self.blocks = Records::default();
        self.state = State::BlockStart;
        Ok(())
    }

    fn block_header(&mut self, size: usize) -> Result<(), Damage> {
        let header = std::mem::take(&mut self.have);
        let (body, crc) = header.split_at(size - 4);
        if !is_crc(body, crc) {
            return Err(self.damaged("The CRC-32 of an xz block header does not match."));
        }
        let Some(fields) = Fields::read(&body[1..]) else {
            return Err(self.damaged("An xz block header has invalid values."));
        };
        let dictionary = match fields.filters.as_slice() {
            [(LZMA2, properties)] => dictionary(properties),
            filters => {
                let ids: Vec<String> = filters.iter().map(|(id, _)| format!("{id:#04x}")).collect();
                return Err(self.damage(
                    Code::XzUnsupported,
                    format!(
                        "The xz block uses the filters {}; only LZMA2 (0x21) is unpacked.",
                        ids.join(", ")
                    ),
                ));
            }
        };
        let Some(dictionary) = dictionary else {
            return Err(self.damaged("An xz block header has an invalid dictionary size."));
        };
        if dictionary > self.window {
            return Err(self.damage(
                Code::XzWindowTooLarge,
                format!(
                    "The xz block wants a dictionary of {dictionary} bytes; {} are granted.",
                    self.window
                ),
            ));
        }
        // Just held against the limit, so it fits.
        let lzma = Lzma2Stream::new(dictionary as u32);
        let check = Check::of(self.flags).unwrap_or_default();
        self.state = State::Data(Box::new(Block {
            lzma,
            check,
            header: size as u64,
            packed: fields.packed,
            size: fields.size,
            begin: self.at,
        }));
        Ok(())
    }

    /// A block's data, its last byte included.
    fn data(&mut self, input: &[u8], output: &mut [u8], step: &mut Step) -> Result<bool, Damage> {
        let State::Data(block) = &mut self.state else { return Ok(false) };
        let (from, into) = (&input[step.taken..], &mut output[step.made..]);
        let (taken_before, made_before) = (block.lzma.total_in(), block.lzma.total_out());
        let result = block.lzma.process(from, into, Action::Run);
        let taken = (block.lzma.total_in() - taken_before) as usize;
        let made = (block.lzma.total_out() - made_before) as usize;
        block.check.update(&into[..made.min(into.len())]);
        step.taken += taken;
        step.made += made;
        self.at += taken as u64;
        let (packed, size) = (block.lzma.total_in(), block.lzma.total_out());
        let over = block.packed.is_some_and(|most| packed > most)
            || block.size.is_some_and(|most| size > most);
        let begin = block.begin;
        let ended = match result {
            Ok(result) if !over => result.status == Status::StreamEnd,
            // The decoder looks ahead, and which of both is noticed first depends on how the file is cut.
            _ => {
                return Err(Damage {
                    code: Code::XzDamaged,
                    offset: begin,
                    said: format!(
                        "The LZMA2 data that begins at byte {begin} is damaged or longer than its header says."
                    ),
                });
            }
        };
        if !ended {
            return Ok((taken, made) != (0, 0));
        }
        if block.packed.is_some_and(|want| packed != want)
            || block.size.is_some_and(|want| size != want)
        {
            return Err(self.damaged("An xz block is shorter than its header says."));
        }
        let state = std::mem::replace(&mut self.state, State::BlockStart);
        if let State::Data(block) = state {
            let padding = (4 - packed % 4) as usize % 4;
            self.state = State::BlockEnd { block, padding };
        }
        Ok(true)
    }

    fn block_end(&mut self, padding: usize) -> Result<(), Damage> {
        let tail = std::mem::take(&mut self.have);
        let State::BlockEnd { block, .. } = std::mem::replace(&mut self.state, State::BlockStart)
        else {
            return Ok(());
        };
        if tail[..padding].iter().any(|&byte| byte != 0) {
            return Err(self.damaged("The padding of an xz block is not zero."));
        }
        let packed = block.lzma.total_in();
        let size = block.lzma.total_out();
        let stored = &tail[padding..];
        self.blocks.add(block.header + packed + stored.len() as u64, size);
        let name = block.check.name();
        if !block.check.matches(stored) {
            return Err(self.damaged(format!("The {name} of an xz block does not match.")));
        }
        Ok(())
    }

    /// One byte of the index; true after the last one.
    fn index(&mut self, byte: u8) -> Result<(), Damage> {
        let State::Index(index) = &mut self.state else { return Ok(()) };
        index.size += 1;
        if !index.tail {
            index.crc.update(&[byte]);
            let wrong = match index.number.push(byte) {
                Err(()) => true,
                Ok(None) => false,
                Ok(Some(number)) => match (index.count, index.unpadded.take()) {
                    (None, _) => {
                        index.count = Some(number);
                        number != self.blocks.count()
                    }
                    (Some(_), None) => {
                        index.unpadded = Some(number);
                        false
                    }
                    (Some(_), Some(unpadded)) => {
                        index.said.add(unpadded, number);
                        false
                    }
                },
            };
            if wrong {
                return Err(self.damaged("The xz index does not match the blocks."));
            }
            let read = index.unpadded.is_none() && index.number.is_new();
            index.tail = read && index.count == Some(index.said.count());
            return Ok(());
        }
        self.have.push(byte);
        let padding = index.size - self.have.len() as u64;
        let padding = (4 - padding % 4) as usize % 4;
        if self.have.len() < padding + 4 {
            return Ok(());
        }
        let tail = std::mem::take(&mut self.have);
        index.crc.update(&tail[..padding]);
        let crc = index.crc.clone().finalize().to_le_bytes();
        let same = index.said == self.blocks;
        let index_size = index.size;
        if tail[..padding].iter().any(|&byte| byte != 0) || tail[padding..] != crc {
            return Err(self.damaged("The CRC-32 of an xz index does not match."));
        }
        if !same {
            return Err(self.damaged("The xz index does not match the blocks."));
        }
        self.state = State::Footer { index_size };
        Ok(())
    }

    fn footer(&mut self, index_size: u64) -> Result<(), Damage> {
        let footer = std::mem::take(&mut self.have);
        let (crc, body) = footer.split_at(4);
        let backward = u32::from_le_bytes([body[0], body[1], body[2], body[3]]);
        let index = (u64::from(backward) + 1) * 4;
        if &body[6..] != FOOTER_MAGIC || !is_crc(&body[..6], crc) {
            return Err(self.damaged("An xz stream footer is damaged."));
        }
        if index != index_size || body[4..6] != self.flags {
            return Err(self.damaged("An xz stream footer does not match its stream."));
        }
        self.streams += 1;
        self.padding = 0;
        self.state = State::Between;
        Ok(())
    }
}

impl Decoder for Xz {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Damage> {
        let mut step = Step { taken: 0, made: 0, zeros: 0 };
        loop {
            match &self.state {
                State::Data(_) => {
                    let moved = self.data(input, output, &mut step)?;
                    if step.made == output.len() || !moved {
                        return Ok(step);
                    }
                }
                State::StreamHeader => match self.collect(HEADER, input, &mut step) {
                    true => self.stream_header()?,
                    false => return Ok(step),
                },
                State::BlockStart => {
                    let Some(&byte) = input.get(step.taken) else { return Ok(step) };
                    if byte == 0 {
                        step.taken += 1;
                        self.at += 1;
                        self.state = State::Index(Box::new(Index::begun()));
                    } else {
                        self.state = State::BlockHeader { size: (usize::from(byte) + 1) * 4 };
                    }
                }
                &State::BlockHeader { size } => match self.collect(size, input, &mut step) {
                    true => self.block_header(size)?,
                    false => return Ok(step),
                },
                State::BlockEnd { block, padding } => {
                    let padding = *padding;
                    let size = padding + block.check.size();
                    match self.collect(size, input, &mut step) {
                        true => self.block_end(padding)?,
                        false => return Ok(step),
                    }
                }
                State::Index(_) => {
                    let Some(&byte) = input.get(step.taken) else { return Ok(step) };
                    step.taken += 1;
                    self.at += 1;
                    self.index(byte)?;
                }
                &State::Footer { index_size } => match self.collect(HEADER, input, &mut step) {
                    true => self.footer(index_size)?,
                    false => return Ok(step),
                },
                State::Between => {
                    let Some(&byte) = input.get(step.taken) else { return Ok(step) };
                    if byte == HEADER_MAGIC[0] && self.padding.is_multiple_of(4) {
                        self.state = State::StreamHeader;
                    } else if byte == 0 {
                        step.taken += 1;
                        self.at += 1;
                        self.padding += 1;
                    } else {
                        return Err(self.damaged(
                            "After the last xz stream there are bytes that belong to nothing.",
                        ));
                    }
                }
            }
        }
    }

    fn finish(&mut self) -> Result<Summary, Damage> {
        match &self.state {
            State::Between if self.padding.is_multiple_of(4) => {
                Ok(Summary { members: self.streams, trailing_zeros: self.padding, behind: None })
            }
            State::Between => {
                Err(self.damaged("The padding after an xz stream is not a multiple of four bytes."))
            }
            _ => {
                let stream = self.streams + 1;
                Err(self
                    .damage(Code::XzTruncated, format!("The file ends inside xz stream {stream}.")))
            }
        }
    }
}

impl Index {
    /// After the mark.
    fn begun() -> Self {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&[0]);
        Index {
            said: Records::default(),
            crc,
            size: 1,
            count: None,
            unpadded: None,
            number: Number::default(),
            tail: false,
        }
    }
}

fn is_crc(bytes: &[u8], stored: &[u8]) -> bool {
    crc32fast::hash(bytes).to_le_bytes() == stored
}

/// Bytes of the dictionary that these properties of LZMA2 ask for (5.3.1).
fn dictionary(properties: &[u8]) -> Option<u64> {
    match properties {
        [40] => Some(u64::from(u32::MAX)),
        [bits @ 0..40] => Some((2 | u64::from(bits & 1)) << (bits / 2 + 11)),
        _ => None,
    }
}

/// A multibyte integer (1.2), taken byte by byte.
#[derive(Default)]
struct Number {
    value: u64,
    bytes: u32,
}

impl Number {
    fn push(&mut self, byte: u8) -> Result<Option<u64>, ()> {
        // Nine bytes of seven bits at most, the last of them not zero unless it is the only one.
        if self.bytes >= 9 || byte == 0 && self.bytes > 0 {
            return Err(());
        }
        self.value |= u64::from(byte & 0x7f) << (7 * self.bytes);
        self.bytes += 1;
        if byte & 0x80 != 0 {
            return Ok(None);
        }
        Ok(Some(std::mem::take(self).value))
    }

    fn is_new(&self) -> bool {
        self.bytes == 0
    }
}

/// What a block header says (3.1).
struct Fields {
    packed: Option<u64>,
    size: Option<u64>,
    /// Filters with their properties, four at most.
    filters: Vec<(u64, Vec<u8>)>,
}

impl Fields {
    /// From the flags to the padding.
    fn read(mut body: &[u8]) -> Option<Self> {
        let (&flags, rest) = body.split_first()?;
        body = rest;
        if flags & 0x3c != 0 {
            return None;
        }
        let mut fields = Fields { packed: None, size: None, filters: Vec::new() };
        if flags & 0x40 != 0 {
            fields.packed = Some(number(&mut body)?);
        }
        if flags & 0x80 != 0 {
            fields.size = Some(number(&mut body)?);
        }
        for _ in 0..=flags & 3 {
            let id = number(&mut body)?;
            let len = usize::try_from(number(&mut body)?).ok()?;
            let (properties, rest) = body.split_at_checked(len)?;
            fields.filters.push((id, properties.to_vec()));
            body = rest;
        }
        body.iter().all(|&byte| byte == 0).then_some(fields)
    }
}

fn number(body: &mut &[u8]) -> Option<u64> {
    let mut number = Number::default();
    loop {
        let (&byte, rest) = body.split_first()?;
        *body = rest;
        if let Some(value) = number.push(byte).ok()? {
            return Some(value);
        }
    }
}

#[cfg(test)]
#[path = "xz_tests.rs"]
mod tests;
