//! The header of a gzip member (RFC 1952, 2.3).

/// A header longer than this is no header: names and comments are short. Bounds the header loop.
const LONGEST_HEADER: u64 = 1 << 20;

/// A header that may have the longest file name and an extra field.
const SHORT_HEADER: usize = 4 << 10;

pub(super) const ID1: u8 = 0x1f;
pub(super) const ID2: u8 = 0x8b;
const CM_DEFLATE: u8 = 8;

pub(super) const FHCRC: u8 = 0x02;
pub(super) const FEXTRA: u8 = 0x04;
pub(super) const FNAME: u8 = 0x08;
pub(super) const FCOMMENT: u8 = 0x10;
const RESERVED: u8 = 0xe0;

/// The first place in `from..to` at which a member may begin.
pub(super) fn find(input: &[u8], from: usize, to: usize) -> Option<usize> {
    let marks = input.get(from..input.len().min(to + 2))?;
    // Most parts have no such byte, which is seen at once.
    const PART: usize = 64;
    (0..marks.len()).step_by(PART).find_map(|part| {
        let bytes = &marks[part..];
        let first = &bytes[..bytes.len().min(PART)];
        if !first.iter().fold(false, |any, &byte| any | (byte == ID1)) {
            return None;
        }
        let mut windows = bytes[..bytes.len().min(PART + 2)].windows(3);
        windows.position(|mark| matches!(mark, [ID1, ID2, CM_DEFLATE])).map(|at| from + part + at)
    })
}

/// The bit behind the header of the member that begins at this byte, if there is one and it is short.
pub(super) fn body(input: &[u8], at: usize) -> Option<usize> {
    let mut header = Header::default();
    for (byte, &value) in input.iter().enumerate().skip(at).take(SHORT_HEADER) {
        if header.push(value).ok()? {
            return Some((byte + 1) * 8);
        }
    }
    None
}

/// A member's header, taken byte by byte because it may be cut anywhere and be of any length.
#[derive(Default)]
pub(super) struct Header {
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

impl Header {
    /// A header of which the first byte was taken.
    pub(super) fn begun() -> Self {
        let mut header = Header::default();
        // The first byte is right.
        let _ = header.push(ID1);
        header
    }

    /// Takes one byte; true after the last one.
    pub(super) fn push(&mut self, byte: u8) -> Result<bool, String> {
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
