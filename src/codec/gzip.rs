//! gzip (RFC 1952): framing by our own code, because a gate has to tell members, padding and garbage
//! apart and to say where the damage is.

use super::inflate::{Fault, Inflate, Next};
use super::{Behind, Damage, Decoder, Step, Summary, repeated};
use crate::facts::Code;

/// A header longer than this is no header: names and comments are short. Bounds the header loop.
const LONGEST_HEADER: u64 = 1 << 20;

const ID1: u8 = 0x1f;
const ID2: u8 = 0x8b;
const CM_DEFLATE: u8 = 8;

const FHCRC: u8 = 0x02;
const FEXTRA: u8 = 0x04;
const FNAME: u8 = 0x08;
const FCOMMENT: u8 = 0x10;
const RESERVED: u8 = 0xe0;

/// Unpacks gzip files of any number of members.
pub struct Gzip {
    state: State,
    inflate: Inflate,
    /// What is wrong behind all that was made.
    fault: Option<Fault>,
    crc: crc32fast::Hasher,
    /// Bytes of the current member that were unpacked.
    made: u64,
    /// Bytes of the file that were taken.
    at: u64,
    members: u64,
    zeros: u64,
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
            crc: crc32fast::Hasher::new(),
            made: 0,
            at: 0,
            members: 0,
            zeros: 0,
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

    /// Gives out what was decoded; whether there is place for more.
    fn write(&mut self, output: &mut [u8], step: &mut Step) -> bool {
        let made = self.inflate.made();
        let count = made.len().min(output.len() - step.made);
        let space = &mut output[step.made..step.made + count];
        space.copy_from_slice(&made[..count]);
        self.crc.update(space);
        self.inflate.take(count);
        self.made += count as u64;
        step.made += count;
        if self.inflate.made().is_empty() {
            step.zeros = self.inflate.take_zeros();
            if step.zeros > 0 {
                self.crc.combine(&repeated(0, step.zeros));
                self.made += step.zeros;
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
            self.state = State::Trailer(Vec::with_capacity(8));
            return Ok(true);
        }
        let mut taken = 0;
        let result = self.inflate.decode(&input[step.taken..], &mut taken);
        step.taken += taken;
        self.at += taken as u64;
        match result {
            Ok(Next::Input) => Ok(!self.inflate.made().is_empty()),
            Ok(Next::Output | Next::End) => Ok(true),
            Err(fault) => {
                self.fault = Some(fault);
                // Where the bits that mean nothing begin.
                self.at -= u64::from(self.inflate.spare().div_ceil(8));
                Ok(true)
            }
        }
    }

    fn trailer(&mut self, stored: &[u8; 8]) -> Result<(), Damage> {
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
}

impl Decoder for Gzip {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Damage> {
        let mut step = Step { taken: 0, made: 0, zeros: 0 };
        loop {
            if let State::Body = self.state {
                // Also without input: there may be output that did not fit before.
                if !self.write(output, &mut step) || !self.body(input, &mut step)? {
                    return Ok(step);
                }
                continue;
            }
            let Some(&byte) = input.get(step.taken) else { return Ok(step) };
            match &mut self.state {
                State::Body => {}
                State::Header(header) => match header.push(byte) {
                    Ok(false) => {}
                    Ok(true) => self.state = State::Body,
                    Err(said) => return Err(self.damage(Code::GzipHeaderInvalid, said)),
                },
                State::Trailer(stored) => {
                    stored.push(byte);
                    if let Ok(stored) = <[u8; 8]>::try_from(stored.as_slice()) {
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
                    continue;
                }
                State::Behind(behind) => {
                    let rest = &input[step.taken..];
                    behind.take(rest);
                    step.taken += rest.len();
                    self.at += rest.len() as u64;
                    return Ok(step);
                }
            }
            step.taken += 1;
            self.at += 1;
        }
    }

    fn finish(&mut self) -> Result<Summary, Damage> {
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

/// A member's header, taken byte by byte because it may be cut anywhere and be of any length.
#[derive(Default)]
struct Header {
    at: u64,
    flags: u8,
    field: Field,
    crc: crc32fast::Hasher,
}

#[derive(Default, Clone, Copy)]
enum Field {
    #[default]
    Fixed,
    ExtraLen {
        low: Option<u8>,
    },
    Extra {
        left: u16,
    },
    Name,
    Comment,
    Crc {
        low: Option<u8>,
    },
}

/// What is behind and begins as a member does, by its first byte.
fn begun(at: u64) -> Behind {
    let mut behind = Behind::at(at);
    behind.take(&[ID1]);
    behind
}

impl Header {
    /// A header of which the first byte was taken.
    fn begun() -> Self {
        let mut header = Header::default();
        // The first byte is right.
        let _ = header.push(ID1);
        header
    }

    /// Takes one byte; true after the last one.
    fn push(&mut self, byte: u8) -> Result<bool, String> {
        let at = self.at;
        self.at += 1;
        if self.at > LONGEST_HEADER {
            return Err(format!("The gzip header is longer than {LONGEST_HEADER} bytes."));
        }
        if !matches!(self.field, Field::Crc { .. }) {
            self.crc.update(&[byte]);
        }
        match &mut self.field {
            Field::Fixed => {
                match at {
                    0 if byte != ID1 => {
                        return Err("A gzip member does not begin with 1f 8b.".into());
                    }
                    1 if byte != ID2 => {
                        return Err("A gzip member does not begin with 1f 8b.".into());
                    }
                    2 if byte != CM_DEFLATE => {
                        return Err(format!(
                            "The gzip compression method is {byte}, not 8 (deflate)."
                        ));
                    }
                    3 if byte & RESERVED != 0 => {
                        return Err(format!("Reserved gzip header flags are set ({byte:#04x})."));
                    }
                    3 => self.flags = byte,
                    9 => return Ok(self.after(0)),
                    _ => {}
                }
                Ok(false)
            }
            Field::ExtraLen { low: low @ None } => {
                *low = Some(byte);
                Ok(false)
            }
            Field::ExtraLen { low: Some(low) } => {
                let left = u16::from_le_bytes([*low, byte]);
                if left == 0 {
                    return Ok(self.after(FEXTRA));
                }
                self.field = Field::Extra { left };
                Ok(false)
            }
            Field::Extra { left: 1 } => Ok(self.after(FEXTRA)),
            Field::Extra { left } => {
                *left -= 1;
                Ok(false)
            }
            Field::Name => Ok(byte == 0 && self.after(FNAME)),
            Field::Comment => Ok(byte == 0 && self.after(FCOMMENT)),
            Field::Crc { low: low @ None } => {
                *low = Some(byte);
                Ok(false)
            }
            Field::Crc { low: Some(low) } => {
                let stored = u16::from_le_bytes([*low, byte]);
                // RFC 1952: the two least significant bytes of the CRC-32 of the header so far.
                let found = std::mem::take(&mut self.crc).finalize() as u16;
                if stored == found {
                    return Ok(true);
                }
                Err(format!("The gzip header says CRC-16 {stored:04x}, it has {found:04x}."))
            }
        }
    }

    /// Goes on to the next field that the flags announce; true if there is none. Fields come in the
    /// order extra, name, comment, CRC.
    fn after(&mut self, done: u8) -> bool {
        let next = [
            (FEXTRA, Field::ExtraLen { low: None }),
            (FNAME, Field::Name),
            (FCOMMENT, Field::Comment),
            (FHCRC, Field::Crc { low: None }),
        ];
        let from = next.iter().position(|(flag, _)| *flag == done).map_or(0, |at| at + 1);
        match next[from..].iter().find(|(flag, _)| self.flags & flag != 0) {
            Some((_, field)) => {
                self.field = *field;
                false
            }
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::decode;
    use super::*;
    use flate2::{Compression, GzBuilder};
    use std::io::Write;

    fn member(data: &[u8]) -> Vec<u8> {
        let mut writer = GzBuilder::new().write(Vec::new(), Compression::default());
        writer.write_all(data).unwrap();
        writer.finish().unwrap()
    }

    /// A member with every optional header field, its header CRC made right.
    fn member_with_all_fields(data: &[u8]) -> Vec<u8> {
        let plain = member(data);
        let mut file = plain[..10].to_vec();
        file[3] = FHCRC | FEXTRA | FNAME | FCOMMENT;
        file.extend_from_slice(&[3, 0, b'a', b'b', b'c']);
        file.extend_from_slice(b"name\0comment\0");
        let crc = crc32fast::hash(&file) as u16;
        file.extend_from_slice(&crc.to_le_bytes());
        file.extend_from_slice(&plain[10..]);
        file
    }

    fn unpack(file: &[u8]) -> (Vec<u8>, Result<Summary, Damage>) {
        let whole = decode(&mut Gzip::default(), file, file.len().max(1), 1 << 16);
        for (input, output) in [(1, 1), (1, 100), (7, 3), (file.len().max(1), 1)] {
            let (image, result) = decode(&mut Gzip::default(), file, input, output);
            assert_eq!(result, whole.1, "pieces of {input} and {output}");
            assert!(result.is_err() || image == whole.0);
        }
        whole
    }

    fn code(file: &[u8]) -> Code {
        unpack(file).1.unwrap_err().code
    }

    #[test]
    fn members_are_joined_and_counted() {
        let file = [member(b"one"), member(b""), member_with_all_fields(b"two")].concat();
        let (image, summary) = unpack(&file);
        assert_eq!(image, b"onetwo");
        assert_eq!(summary.unwrap(), Summary { members: 3, trailing_zeros: 0, behind: None });
    }

    #[test]
    fn zero_padding_is_told_from_what_belongs_to_nothing() {
        let one = member(b"x");
        let len = one.len() as u64;
        let file = [&one[..], &[0; 300]].concat();
        let padded = Summary { members: 1, trailing_zeros: 300, behind: None };
        assert_eq!(unpack(&file).1.unwrap(), padded);
        let second = member(b"y");
        for (zeros, first) in [
            (2, &b"\x07"[..]),
            (0, b"junk"),
            (0, b"\x1f\x1f\x8b\x08"),
            (0, b"\x1f\x8a\x08"),
            // After padding there is no member.
            (1, &second),
            (0, &[7; 2000]),
        ] {
            let file = [&one[..], &vec![0; zeros], first].concat();
            let (image, summary) = unpack(&file);
            let (offset, kept) = (len + zeros as u64, first.len().min(512));
            let behind = Behind { offset, len: first.len() as u64, first: first[..kept].to_vec() };
            let expected =
                Summary { members: 1, trailing_zeros: zeros as u64, behind: Some(behind) };
            assert_eq!(summary.unwrap(), expected);
            assert_eq!(image, b"x");
        }
        // What begins as a member is a damaged one, or one that is cut off.
        assert_eq!(code(&[&one[..], &[0x1f]].concat()), Code::GzipTruncated);
        assert_eq!(
            code(&[member(b"x"), b"\x1f\x8b\x07".to_vec()].concat()),
            Code::GzipHeaderInvalid
        );
    }

    #[test]
    fn every_cut_is_truncation() {
        let file = member_with_all_fields(b"some text, some text, some text");
        for end in 1..file.len() {
            let (_, result) = decode(&mut Gzip::default(), &file[..end], 5, 9);
            let damage = result.unwrap_err();
            assert_eq!(damage.code, Code::GzipTruncated, "cut at {end}");
            assert_eq!(damage.offset, end as u64);
        }
    }

    #[test]
    fn every_flipped_bit_of_the_trailer_is_found() {
        let file = member(b"data");
        for bit in 0..64 {
            let mut file = file.clone();
            let at = file.len() - 8 + bit / 8;
            file[at] ^= 1 << (bit % 8);
            let expected = if bit < 32 { Code::GzipCrcMismatch } else { Code::GzipSizeMismatch };
            assert_eq!(code(&file), expected);
        }
    }

    #[test]
    fn bad_headers_are_named() {
        let file = member(b"data");
        for (at, byte) in [(2, 7), (3, 0x20)] {
            let mut file = file.clone();
            file[at] = byte;
            assert_eq!(code(&file), Code::GzipHeaderInvalid);
        }
        let mut file = member_with_all_fields(b"data");
        file[12] ^= 1;
        assert_eq!(code(&file), Code::GzipHeaderInvalid);
    }
}
