//! What an initramfs may be packed with and nothing else here unpacks: LZ4's old format, and LZMA alone.

use lzma_rust2::{Action, LzmaStream, Status};

use crate::codec::{Damage, Decoder, Step, Summary};
use crate::facts::Code;

/// Bytes that a match of LZ4 reaches back at most.
const WINDOW: usize = 64 << 10;

/// Bytes of a block of LZ4's old format, packed: what 8 MiB become at most (LZ4_COMPRESSBOUND).
const LARGEST_BLOCK: u32 = (8 << 20) + (8 << 20) / 255 + 16;

/// The mark of LZ4's old format, which may come again between blocks.
pub(super) const LZ4: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];

fn damage(offset: u64, said: &str) -> Damage {
    Damage { code: Code::BootInitramfsDamaged, offset, said: said.to_owned() }
}

/// Unpacks LZ4's old format (`lz4 -l`): a mark, then blocks with their length before them, each by itself.
pub(super) struct Lz4 {
    state: State,
    /// Bytes of a number that has not come in full.
    number: u32,
    digits: u32,
    /// Bytes of the block that are left.
    block: u32,
    /// Of the sequence, what its token says.
    literals: u64,
    matched: u64,
    /// What came last, and where in it the next byte belongs.
    window: Vec<u8>,
    next: usize,
    /// Bytes of this block that were made.
    made: u64,
    at: u64,
    blocks: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The length of a block, or the mark.
    Length,
    Token,
    MoreLiterals,
    Literals,
    Offset,
    MoreMatched,
    /// Copying from so far back.
    Copy(usize),
}

impl Default for Lz4 {
    fn default() -> Self {
        Lz4 {
            state: State::Length,
            number: 0,
            digits: 0,
            block: 0,
            literals: 0,
            matched: 0,
            window: vec![0; WINDOW],
            next: 0,
            made: 0,
            at: 0,
            blocks: 0,
        }
    }
}

impl Lz4 {
    fn put(&mut self, byte: u8, output: &mut [u8], step: &mut Step) {
        self.window[self.next] = byte;
        self.next = (self.next + 1) % WINDOW;
        self.made += 1;
        output[step.made] = byte;
        step.made += 1;
    }

    /// A byte of a number of `size` bytes; the number, when it is there.
    fn little(&mut self, byte: u8, size: u32) -> Option<u32> {
        self.number |= u32::from(byte) << (8 * self.digits);
        self.digits += 1;
        if self.digits < size {
            return None;
        }
        self.digits = 0;
        Some(std::mem::take(&mut self.number))
    }

    /// Literals are there in full.
    fn after_literals(&mut self) {
        // The last sequence of a block has no match.
        self.state = if self.block == 0 { State::Length } else { State::Offset };
    }

    /// What is done with one byte of the input.
    fn byte(&mut self, byte: u8) -> Result<(), Damage> {
        if self.state != State::Length {
            let Some(left) = self.block.checked_sub(1) else {
                return Err(damage(self.at, "An LZ4 block ends within a sequence."));
            };
            self.block = left;
        }
        match self.state {
            State::Length => {
                let Some(length) = self.little(byte, 4) else { return Ok(()) };
                // Zeros fill it up before another archive.
                if length == u32::from_le_bytes(LZ4) || length == 0 {
                    return Ok(());
                }
                if length > LARGEST_BLOCK {
                    return Err(damage(self.at, "The length of an LZ4 block is not valid."));
                }
                (self.block, self.made, self.state) = (length, 0, State::Token);
                self.blocks += 1;
            }
            State::Token => {
                (self.literals, self.matched) = (u64::from(byte >> 4), u64::from(byte & 15) + 4);
                match self.literals {
                    15 => self.state = State::MoreLiterals,
                    0 => self.after_literals(),
                    _ => self.state = State::Literals,
                }
            }
            State::MoreLiterals => {
                self.literals += u64::from(byte);
                if byte != 255 {
                    self.state = State::Literals;
                }
            }
            State::Offset => {
                let Some(offset) = self.little(byte, 2) else { return Ok(()) };
                if offset == 0 || u64::from(offset) > self.made {
                    return Err(damage(
                        self.at,
                        "A match of an LZ4 block begins before the block.",
                    ));
                }
                self.state = State::Copy(offset as usize);
                // 15 in the token, and more to come.
                if self.matched == 19 {
                    self.state = State::MoreMatched;
                    self.number = offset;
                }
            }
            State::MoreMatched => {
                self.matched += u64::from(byte);
                if byte != 255 {
                    self.state = State::Copy(std::mem::take(&mut self.number) as usize);
                }
            }
            State::Literals | State::Copy(_) => {}
        }
        Ok(())
    }
}

impl Decoder for Lz4 {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Damage> {
        let mut step = Step { taken: 0, made: 0, zeros: 0 };
        loop {
            match self.state {
                State::Copy(offset) => {
                    while self.matched > 0 {
                        if step.made == output.len() {
                            return Ok(step);
                        }
                        let byte = self.window[(self.next + WINDOW - offset) % WINDOW];
                        self.put(byte, output, &mut step);
                        self.matched -= 1;
                    }
                    self.state = if self.block == 0 { State::Length } else { State::Token };
                }
                State::Literals => {
                    while self.literals > 0 {
                        if step.made == output.len() || step.taken == input.len() {
                            return Ok(step);
                        }
                        let Some(left) = self.block.checked_sub(1) else {
                            return Err(damage(self.at, "An LZ4 block ends within its literals."));
                        };
                        self.block = left;
                        self.put(input[step.taken], output, &mut step);
                        step.taken += 1;
                        self.at += 1;
                        self.literals -= 1;
                    }
                    self.after_literals();
                }
                _ => {
                    let Some(&byte) = input.get(step.taken) else { return Ok(step) };
                    self.byte(byte)?;
                    step.taken += 1;
                    self.at += 1;
                }
            }
        }
    }

    fn finish(&mut self) -> Result<Summary, Damage> {
        if self.state != State::Length || self.number != 0 {
            return Err(damage(self.at, "The LZ4 data ends within a block."));
        }
        Ok(Summary { members: self.blocks, trailing_zeros: 0, behind: None })
    }
}

/// Unpacks LZMA alone (`xz --format=lzma`).
pub(super) struct Lzma {
    stream: LzmaStream,
    ended: bool,
    at: u64,
}

impl Lzma {
    /// Grants a dictionary of so many bytes.
    pub(super) fn within(window: u64) -> Self {
        // Probabilities take up to some hundred KiB more.
        let most = u32::try_from(window / 1024).unwrap_or(u32::MAX).saturating_add(4096);
        Lzma { stream: LzmaStream::new_mem_limit(most, None), ended: false, at: 0 }
    }
}

impl Decoder for Lzma {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Damage> {
        let mut step = Step { taken: 0, made: 0, zeros: 0 };
        while !self.ended && step.made < output.len() {
            let from = &input[step.taken..];
            let result = self.stream.process(from, &mut output[step.made..], Action::Run);
            let Ok(result) = result else {
                return Err(damage(self.at, "The LZMA data is damaged."));
            };
            step.taken += result.bytes_consumed;
            step.made += result.bytes_produced;
            self.at += result.bytes_consumed as u64;
            self.ended = result.status == Status::StreamEnd;
            if result.bytes_consumed == 0 && result.bytes_produced == 0 {
                break;
            }
        }
        if self.ended {
            // What follows is another archive, or nothing.
            self.at += (input.len() - step.taken) as u64;
            step.taken = input.len();
        }
        Ok(step)
    }

    fn finish(&mut self) -> Result<Summary, Damage> {
        if !self.ended {
            return Err(damage(self.at, "The LZMA data ends too early."));
        }
        Ok(Summary { members: 1, trailing_zeros: 0, behind: None })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What comes out, in pieces of these sizes.
    fn unpacked(
        decoder: &mut dyn Decoder,
        input: &[u8],
        piece: usize,
        room: usize,
    ) -> Option<Vec<u8>> {
        let (mut all, mut output) = (Vec::new(), vec![0; room]);
        for mut input in input.chunks(piece) {
            loop {
                let step = decoder.decode(input, &mut output).ok()?;
                all.extend(&output[..step.made]);
                input = &input[step.taken..];
                if step.made < room {
                    assert!(input.is_empty());
                    break;
                }
            }
        }
        decoder.finish().ok()?;
        Some(all)
    }

    /// A block of literals, a match, and literals.
    fn packed() -> Vec<u8> {
        let block = b"\x4fabcd\x04\x00\x05\x50vwxyz";
        let mut bytes = LZ4.to_vec();
        bytes.extend((block.len() as u32).to_le_bytes());
        bytes.extend(block);
        bytes
    }

    #[test]
    fn blocks_of_lz4() {
        let expected = [&b"abcd"[..], &b"abcd".repeat(6), b"vwxyz"].concat();
        for (piece, room) in [(1, 1), (3, 2), (100, 100)] {
            assert_eq!(unpacked(&mut Lz4::default(), &packed(), piece, room).unwrap(), expected);
        }
        let twice = [packed(), packed()].concat();
        let both = [&expected[..], &expected].concat();
        assert_eq!(unpacked(&mut Lz4::default(), &twice, 5, 5).unwrap(), both);
    }

    #[test]
    fn damage_in_lz4() {
        let unpacks = |bytes: &[u8]| unpacked(&mut Lz4::default(), bytes, 7, 7).is_some();
        for len in 5..packed().len() {
            assert!(!unpacks(&packed()[..len]), "{len}");
        }
        let mut far = packed();
        far[13] = 5;
        assert!(!unpacks(&far));
        let mut long = packed();
        long[4] = 4;
        assert!(!unpacks(&long));
    }

    proptest! {
        #[test]
        fn any_bytes_end_the_same_in_any_pieces(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            changes in proptest::collection::vec((4usize..20, any::<u8>()), 0..3),
            piece in 1usize..50,
            room in 1usize..50,
            sound in any::<bool>(),
        ) {
            let mut input = if sound { packed() } else { LZ4.to_vec() };
            for (at, byte) in changes {
                if let Some(place) = input.get_mut(at) {
                    *place = byte;
                }
            }
            if !sound {
                input.extend((bytes.len() as u32).to_le_bytes());
                input.extend(bytes);
            }
            let whole = unpacked(&mut Lz4::default(), &input, usize::MAX, 1 << 16);
            prop_assert_eq!(unpacked(&mut Lz4::default(), &input, piece, room), whole);
            let _ = unpacked(&mut Lzma::within(1 << 20), &input, piece, room);
        }
    }
}
