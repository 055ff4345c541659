//! gzip (RFC 1952): framing by our own code, because a gate has to tell members, padding and garbage
//! apart and to say where the damage is.

mod ahead;
mod guess;
mod header;
mod parallel;
mod piece;

pub use self::parallel::ParallelGzip;

use self::header::{Header, ID1, ID2};
use super::index::{Index, Marks, State as Place};
use super::inflate::{Fault, Inflate, Next};
use super::{Behind, Damage, Decoder, Step, Summary, repeated};
use crate::facts::Code;

/// Bytes behind the data of a member: CRC and size.
const TRAILER: usize = 8;

/// Unpacks gzip files of any number of members.
pub struct Gzip {
    state: State,
    inflate: Inflate,
    /// What is wrong behind all that was made.
    fault: Option<Fault>,
    /// What is damaged behind all that was given out.
    damage: Option<Damage>,
    /// Whether a block has just ended, or a header, and a block follows.
    between: bool,
    crc: crc32fast::Hasher,
    /// Bytes of the current member that were unpacked.
    made: u64,
    /// Bytes of the file that were taken.
    at: u64,
    members: u64,
    zeros: u64,
    /// Bytes of the image that were unpacked.
    image: u64,
    marks: Option<Marks>,
    /// Whether somebody else does what there is to do between two blocks.
    pauses: bool,
    /// What the member has before the first byte that comes, and the bit in it at which its next block begins.
    before: Option<(Vec<u8>, usize)>,
}

enum State {
    Header(Header),
    Body,
    Trailer(Vec<u8>),
    /// After a member: another one, zero padding, or what belongs to nothing.
    Between,
    /// The first byte of a member, or of what belongs to nothing.
    Mark,
    /// After all members and their padding.
    Behind(Behind),
}

impl Default for Gzip {
    fn default() -> Self {
        Gzip {
            state: State::Header(Header::default()),
            inflate: Inflate::default(),
            fault: None,
            damage: None,
            between: false,
            crc: crc32fast::Hasher::new(),
            made: 0,
            at: 0,
            members: 0,
            zeros: 0,
            image: 0,
            marks: None,
            pauses: false,
            before: None,
        }
    }
}

impl Gzip {
    fn damage(&self, code: Code, said: impl Into<String>) -> Damage {
        Damage { code, offset: self.at, said: said.into() }
    }

    fn summary(&self, behind: Option<Behind>) -> Summary {
        Summary { members: self.members, trailing_zeros: self.zeros, behind }
    }

    /// Counts long runs of zeros instead of writing them ([`Step::zeros`]).
    #[must_use]
    pub fn sparse(mut self) -> Self {
        self.inflate = self.inflate.sparse();
        self
    }

    /// Notes in an index where it can go on.
    #[must_use]
    pub(super) fn marking(mut self, index: Option<&Index>) -> Self {
        if let Some(index) = index {
            self.marks = Some(Marks::new(index));
            self.inflate = self.inflate.by_blocks();
        }
        self
    }

    /// A decoder that goes on with the member at this byte of the file.
    #[must_use]
    pub(super) fn at_member(at: u64) -> Self {
        Gzip { at, ..Gzip::default().sparse() }
    }

    /// A decoder that goes on at a bit of the file where a block begins, behind so much of its member, of which these are the
    /// CRC-32 and the size.
    #[must_use]
    pub(super) fn going_on(before: Vec<u8>, bit: u64, (crc, made): (u32, u64)) -> Self {
        Gzip {
            state: State::Body,
            crc: crc32fast::Hasher::new_with_initial_len(crc, made),
            made,
            at: bit / 8,
            before: Some((before, (bit % 8) as usize)),
            ..Gzip::default().sparse()
        }
    }

    /// Pauses at the end of each block: then [`Gzip::decode`] returns with input and place left.
    fn by_blocks(mut self) -> Self {
        self.inflate = self.inflate.by_blocks();
        self.pauses = true;
        self
    }

    /// Notes that a block begins at this bit of the file, behind all that was decoded.
    fn mark(&mut self, bit: u64) {
        if let Some(marks) = &mut self.marks {
            let (inflate, crc, made) = (&self.inflate, &self.crc, self.made);
            let crc = || Place::Gzip { crc: crc.clone().finalize(), made };
            marks.see(bit, self.image, inflate.history(), crc);
        }
    }

    /// The bit of the file at which the next block begins, if none is being decoded and all before it was given out.
    fn next_block(&self) -> Option<u64> {
        let all = self.between && self.inflate.made().is_empty();
        all.then(|| self.at * 8 - u64::from(self.inflate.spare()))
    }

    /// The last 32 KiB of the member, or all of it.
    fn before(&self) -> &[u8] {
        self.inflate.history()
    }

    /// The next block is decoded here.
    fn go_on(&mut self) {
        self.between = false;
    }

    /// Counts bytes of the member.
    fn count(&mut self, bytes: &[u8]) {
        self.crc.update(bytes);
        self.made += bytes.len() as u64;
        self.image += bytes.len() as u64;
    }

    /// Passes blocks that somebody else has decoded and of which all bytes were counted, up to the one that begins at bit `to` of
    /// the file, which is that `bit` of the input. The last 32 KiB come before it.
    fn skip(&mut self, to: u64, before: &[u8], input: &[u8], bit: usize) {
        self.inflate.begin(before, input, bit);
        self.at = to.div_ceil(8);
        self.between = true;
    }

    /// The same to the end of the member's data, at bit `to` of the file.
    fn skip_rest(&mut self, to: u64) {
        self.state = State::Trailer(Vec::with_capacity(TRAILER));
        self.at = to.div_ceil(8);
        self.between = false;
    }

    /// Gives out what was decoded; whether there is place for more.
    fn write(&mut self, output: &mut [u8], step: &mut Step) -> bool {
        let made = self.inflate.made();
        let count = made.len().min(output.len() - step.made);
        let space = &mut output[step.made..step.made + count];
        space.copy_from_slice(&made[..count]);
        self.crc.update(space);
        self.inflate.take(count);
        self.made += count as u64;
        self.image += count as u64;
        step.made += count;
        if self.inflate.made().is_empty() {
            step.zeros = self.inflate.take_zeros();
            if step.zeros > 0 {
                self.crc.combine(&repeated(0, step.zeros));
                self.made += step.zeros;
                self.image += step.zeros;
            }
        }
        step.zeros == 0 && step.made < output.len()
    }

    /// Decodes on, if all that was decoded is given out; whether there is more to give out.
    fn body(&mut self, input: &[u8], step: &mut Step) -> Result<bool, Damage> {
        if let Some(fault) = self.fault {
            let member = self.members + 1;
            return Err(self.damage(
                Code::GzipDamaged,
                format!(
                    "The compressed data of member {member} is not valid deflate data: {fault}."
                ),
            ));
        }
        if self.inflate.is_done() {
            self.state = State::Trailer(Vec::with_capacity(TRAILER));
            return Ok(true);
        }
        let mut taken = 0;
        let result = self.inflate.decode(&input[step.taken..], &mut taken);
        step.taken += taken;
        self.at += taken as u64;
        match result {
            Ok(Next::Input) => Ok(!self.inflate.made().is_empty()),
            Ok(Next::Output | Next::End) => Ok(true),
            Ok(Next::Block) => {
                self.between = true;
                Ok(true)
            }
            Err(fault) => {
                self.fault = Some(fault);
                // Where the bits that mean nothing begin.
                self.at -= u64::from(self.inflate.spare().div_ceil(8));
                Ok(true)
            }
        }
    }

    fn trailer(&mut self, stored: &[u8; TRAILER]) -> Result<(), Damage> {
        let [c0, c1, c2, c3, s0, s1, s2, s3] = *stored;
        let crc = u32::from_le_bytes([c0, c1, c2, c3]);
        let size = u32::from_le_bytes([s0, s1, s2, s3]);
        let found = std::mem::take(&mut self.crc).finalize();
        let member = self.members + 1;
        if crc != found {
            return Err(self.damage(
                Code::GzipCrcMismatch,
                format!("Member {member} says CRC-32 {crc:08x}, its data has {found:08x}."),
            ));
        }
        // RFC 1952: ISIZE is the size modulo 2^32.
        if size != self.made as u32 {
            let made = self.made;
            return Err(self.damage(
                Code::GzipSizeMismatch,
                format!(
                    "Member {member} says size {size} (modulo 2^32), its data has {made} bytes."
                ),
            ));
        }
        self.members += 1;
        self.made = 0;
        self.inflate.reset();
        self.state = State::Between;
        Ok(())
    }

    fn go(&mut self, input: &[u8], output: &mut [u8], step: &mut Step) -> Result<(), Damage> {
        loop {
            if let State::Body = self.state {
                if let Some((before, bit)) = self.before.take_if(|_| input.len() > step.taken) {
                    let taken = self.inflate.begin(&before, &input[step.taken..], bit);
                    step.taken += taken;
                    self.at += taken as u64;
                }
                // Also without input: there may be output that did not fit before.
                if !self.write(output, step) {
                    return Ok(());
                }
                if let Some(bit) = self.next_block().filter(|_| !self.pauses) {
                    self.mark(bit);
                    self.go_on();
                }
                if self.between || !self.body(input, step)? {
                    return Ok(());
                }
                continue;
            }
            let Some(&byte) = input.get(step.taken) else { return Ok(()) };
            match &mut self.state {
                // Handled above.
                State::Body => continue,
                State::Header(header) => match header.push(byte) {
                    Ok(false) => {}
                    Ok(true) => {
                        self.state = State::Body;
                        self.between = self.pauses;
                    }
                    Err(said) => return Err(self.damage(Code::GzipHeaderInvalid, said)),
                },
                State::Trailer(stored) => {
                    stored.push(byte);
                    if let Ok(stored) = <[u8; TRAILER]>::try_from(stored.as_slice()) {
                        self.trailer(&stored)?;
                    }
                }
                State::Between if byte == 0 => self.zeros += 1,
                State::Between if byte == ID1 && self.zeros == 0 => self.state = State::Mark,
                State::Between => {
                    self.state = State::Behind(Behind::at(self.at));
                    continue;
                }
                State::Mark => {
                    // Taken as the first byte of a header now, or of what is behind.
                    let at = self.at - 1;
                    self.state = match byte {
                        ID2 => State::Header(Header::begun()),
                        _ => State::Behind(begun(at)),
                    };
                    if let (State::Header(_), Some(marks)) = (&self.state, &mut self.marks) {
                        marks.see(at * 8, self.image, &[], || Place::Member);
                    }
                    continue;
                }
                State::Behind(behind) => {
                    let rest = &input[step.taken..];
                    behind.take(rest);
                    step.taken += rest.len();
                    self.at += rest.len() as u64;
                    return Ok(());
                }
            }
            step.taken += 1;
            self.at += 1;
        }
    }
}

impl Decoder for Gzip {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Damage> {
        let mut step = Step { taken: 0, made: 0, zeros: 0 };
        if self.damage.is_none() {
            self.damage = self.go(input, output, &mut step).err();
        }
        match &self.damage {
            // What was decoded before the damage comes first; nothing more is taken.
            Some(_) if step.made > 0 => Ok(Step { taken: input.len(), ..step }),
            Some(damage) => Err(damage.clone()),
            None => Ok(step),
        }
    }

    fn finish(&mut self) -> Result<Summary, Damage> {
        if let Some(damage) = &self.damage {
            return Err(damage.clone());
        }
        let member = self.members + 1;
        let missing = match &self.state {
            State::Between => return Ok(self.summary(None)),
            State::Behind(behind) => return Ok(self.summary(Some(behind.clone()))),
            // A member may have begun here, and then the disk would be short.
            State::Mark | State::Header(_) => "header",
            State::Body => "compressed data",
            State::Trailer(_) => "check sum",
        };
        Err(self.damage(
            Code::GzipTruncated,
            format!("The file ends inside the {missing} of gzip member {member}."),
        ))
    }
}

/// What is behind and begins as a member does, by its first byte.
fn begun(at: u64) -> Behind {
    let mut behind = Behind::at(at);
    behind.take(&[ID1]);
    behind
}

#[cfg(test)]
mod tests;
