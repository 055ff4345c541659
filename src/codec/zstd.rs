//! Zstandard (RFC 8878): frames one after another by our own code, which says where the damage is and
//! holds windows against a bound; blocks by ruzstd.

use std::io::Read as _;

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::{Damage, Decoder, LARGEST_WINDOW, Step, Summary};
use crate::facts::Code;

const MAGIC: u32 = 0xfd2f_b528;

/// Bytes of a block at most, packed and unpacked (RFC 8878, 3.1.1.2).
const LARGEST_BLOCK: usize = 128 << 10;

const BLOCK_HEADER: usize = 3;
const CHECKSUM: usize = 4;

/// Unpacks Zstandard files of any number of frames.
pub struct Zstd {
    /// Bytes of a window at most.
    window: u64,
    state: State,
    /// Bytes of a structure that has not come in full.
    have: Vec<u8>,
    decoder: FrameDecoder,
    /// Bytes of the file that were taken.
    at: u64,
    frames: u64,
    /// What the frame says of its size, and what it has been so far.
    claimed: Option<u64>,
    made: u64,
    checksum: bool,
}

enum State {
    /// A magic and what follows it at once: a frame's descriptor, or the size of what is skipped.
    Magic,
    FrameHeader {
        size: usize,
    },
    BlockHeader,
    Block {
        size: usize,
        last: bool,
    },
    /// What a block has made goes out.
    Drain {
        last: bool,
    },
    Skip {
        left: u64,
    },
}

impl Default for Zstd {
    fn default() -> Self {
        Zstd::within(LARGEST_WINDOW)
    }
}

impl Zstd {
    /// Grants windows of so many bytes, and at most [`LARGEST_WINDOW`].
    #[must_use]
    pub fn within(window: u64) -> Self {
        let window = window.min(LARGEST_WINDOW);
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(window);
        Zstd {
            window,
            state: State::Magic,
            have: Vec::new(),
            decoder,
            at: 0,
            frames: 0,
            claimed: None,
            made: 0,
            checksum: false,
        }
    }

    fn damage(&self, code: Code, said: impl Into<String>) -> Damage {
        Damage { code, offset: self.at, said: said.into() }
    }

    fn damaged(&self, said: impl Into<String>) -> Damage {
        self.damage(Code::ZstdDamaged, said)
    }

    /// Collects a structure of `size` bytes, a block at most; true when it is there.
    fn collect(&mut self, size: usize, input: &[u8], step: &mut Step) -> bool {
        super::collect(&mut self.have, &mut self.at, size, input, step)
    }

    /// Five bytes tell what kind of frame it is.
    fn magic(&mut self) -> Result<(), Damage> {
        let [m0, m1, m2, m3, descriptor] = self.have[..] else { return Ok(()) };
        let magic = u32::from_le_bytes([m0, m1, m2, m3]);
        if is_skippable(magic) {
            // Four bytes of size, of which one is there.
            self.state = State::FrameHeader { size: 8 };
            return Ok(());
        }
        if magic != MAGIC {
            let said = match self.frames {
                0 => "A Zstandard frame does not begin with its magic bytes.",
                _ => "After a Zstandard frame there are bytes that belong to nothing.",
            };
            return Err(self.damaged(said));
        }
        if descriptor & 0x08 != 0 {
            return Err(self.damaged("A Zstandard frame header has its reserved bit set."));
        }
        self.state = State::FrameHeader { size: 5 + Header::of(descriptor).size() };
        Ok(())
    }

    fn frame_header(&mut self) -> Result<(), Damage> {
        let header = std::mem::take(&mut self.have);
        let [m0, m1, m2, m3, descriptor, ref rest @ ..] = header[..] else { return Ok(()) };
        if is_skippable(u32::from_le_bytes([m0, m1, m2, m3])) {
            let left = little(&header[4..8]);
            self.state = State::Skip { left };
            return Ok(());
        }
        let frame = Frame::read(&Header::of(descriptor), rest);
        self.claimed = frame.content;
        if let Some((code, said)) = frame.refusal(self.window) {
            return Err(self.damage(code, said));
        }
        if self.decoder.init(&header[..]).is_err() {
            return Err(self.damaged("A Zstandard frame header has invalid values."));
        }
        self.made = 0;
        self.checksum = descriptor & 0x04 != 0;
        self.state = State::BlockHeader;
        Ok(())
    }

    /// The header stays in front of its block.
    fn block_header(&mut self) -> Result<(), Damage> {
        let header = little(&self.have) as usize;
        let (last, kind, size) = (header & 1 == 1, header >> 1 & 3, header >> 3);
        if kind == 3 || size > LARGEST_BLOCK {
            return Err(self.damaged("A Zstandard block header has invalid values."));
        }
        let body = if kind == 1 { 1 } else { size };
        let tail = if last && self.checksum { CHECKSUM } else { 0 };
        self.state = State::Block { size: BLOCK_HEADER + body + tail, last };
        Ok(())
    }

    fn block(&mut self, last: bool) -> Result<(), Damage> {
        let begin = self.at - self.have.len() as u64;
        let decoded =
            self.decoder.decode_blocks(&self.have[..], BlockDecodingStrategy::UptoBlocks(1));
        self.have.clear();
        if decoded.is_err() {
            return Err(Damage {
                code: Code::ZstdDamaged,
                offset: begin,
                said: "A Zstandard block is damaged.".into(),
            });
        }
        self.state = State::Drain { last };
        Ok(())
    }

    /// After the last byte of a frame has gone out.
    fn frame_end(&mut self) -> Result<(), Damage> {
        if self.claimed.is_some_and(|claimed| claimed != self.made) {
            return Err(self.damaged("A Zstandard frame has another size than its header says."));
        }
        let stored = self.decoder.get_checksum_from_data();
        if self.checksum && stored != self.decoder.get_calculated_checksum() {
            return Err(self.damaged("The check sum of a Zstandard frame does not match."));
        }
        self.frames += 1;
        self.state = State::Magic;
        Ok(())
    }
}

impl Decoder for Zstd {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Damage> {
        let mut step = Step { taken: 0, made: 0, zeros: 0 };
        loop {
            match self.state {
                State::Magic => match self.collect(5, input, &mut step) {
                    true => self.magic()?,
                    false => return Ok(step),
                },
                State::FrameHeader { size } => match self.collect(size, input, &mut step) {
                    true => self.frame_header()?,
                    false => return Ok(step),
                },
                State::BlockHeader => match self.collect(BLOCK_HEADER, input, &mut step) {
                    true => self.block_header()?,
                    false => return Ok(step),
                },
                State::Block { size, last } => match self.collect(size, input, &mut step) {
                    true => self.block(last)?,
                    false => return Ok(step),
                },
                State::Drain { last } => {
                    let made = match self.decoder.read(&mut output[step.made..]) {
                        Ok(made) => made,
                        Err(_) => return Err(self.damaged("A Zstandard block is damaged.")),
                    };
                    step.made += made;
                    self.made += made as u64;
                    if step.made == output.len() {
                        return Ok(step);
                    }
                    match last {
                        true => self.frame_end()?,
                        false => self.state = State::BlockHeader,
                    }
                }
                State::Skip { left } => {
                    let count = left.min((input.len() - step.taken) as u64);
                    step.taken += count as usize;
                    self.at += count;
                    self.state = State::Skip { left: left - count };
                    if left > count {
                        return Ok(step);
                    }
                    self.state = State::Magic;
                }
            }
        }
    }

    fn finish(&mut self) -> Result<Summary, Damage> {
        match self.state {
            State::Magic if self.have.is_empty() && self.frames > 0 => {
                Ok(Summary { members: self.frames, trailing_zeros: 0, behind: None })
            }
            _ => {
                let frame = self.frames + 1;
                Err(self.damage(
                    Code::ZstdTruncated,
                    format!("The file ends inside Zstandard frame {frame}."),
                ))
            }
        }
    }
}

/// RFC 8878, 3.1.2.
fn is_skippable(magic: u32) -> bool {
    magic & !0xf == 0x184d_2a50
}

/// Bytes of the fields after a frame's descriptor (RFC 8878, 3.1.1.1).
struct Header {
    window: usize,
    dictionary: usize,
    content: usize,
}

impl Header {
    fn of(descriptor: u8) -> Self {
        let single = descriptor & 0x20 != 0;
        Header {
            window: usize::from(!single),
            dictionary: [0, 1, 2, 4][usize::from(descriptor & 3)],
            content: match descriptor >> 6 {
                0 => usize::from(single),
                bits => 1 << bits,
            },
        }
    }

    fn size(&self) -> usize {
        self.window + self.dictionary + self.content
    }
}

/// What a frame's header says, and what it wants of who unpacks it.
struct Frame {
    window: u64,
    dictionary: u64,
    /// Bytes of its content, if it says so.
    content: Option<u64>,
}

impl Frame {
    /// From the fields after the descriptor, of which there are as many as it says.
    fn read(parts: &Header, fields: &[u8]) -> Self {
        let (window, rest) = fields.split_at(parts.window);
        let (dictionary, content) = rest.split_at(parts.dictionary);
        let content = match parts.content {
            0 => None,
            2 => Some(little(content) + 256),
            _ => Some(little(content)),
        };
        let window = match window {
            [byte] => {
                let base = 1u64 << (10 + (byte >> 3));
                base + base / 8 * u64::from(byte & 7)
            }
            // A single segment: all of the content is the window.
            _ => content.unwrap_or_default(),
        };
        Frame { window, dictionary: little(dictionary), content }
    }

    /// Why it is not unpacked by who grants a window of so many bytes, if it is not.
    fn refusal(&self, granted: u64) -> Option<(Code, String)> {
        let Frame { window, dictionary: id, .. } = self;
        if *id != 0 {
            let said =
                format!("The Zstandard frame needs dictionary {id}, which is not in the file.");
            return Some((Code::ZstdUnsupported, said));
        }
        (*window > granted).then(|| {
            let said = format!(
                "The Zstandard frame wants a window of {window} bytes; {granted} are granted."
            );
            (Code::ZstdWindowTooLarge, said)
        })
    }
}

/// Why the frame that a file begins with is not unpacked, as far as its header says and all of that is there.
pub(super) fn refusal(head: &[u8]) -> Option<Code> {
    let (descriptor, rest) = head.get(4..)?.split_first()?;
    let parts = Header::of(*descriptor);
    let fields = rest.get(..parts.size())?;
    Frame::read(&parts, fields).refusal(LARGEST_WINDOW).map(|(code, _)| code)
}

/// A little-endian number of up to eight bytes.
fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
#[path = "zstd_tests.rs"]
mod tests;
