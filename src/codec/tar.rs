//! tar archives, read forward: ustar, pax and GNU headers.
//!
//! It says which members there are and hands out their bytes. What is in them is not its business, and
//! nothing they name is ever opened.

use super::Damage;
use super::tar_header::{Header, Kind, Records};
use crate::bytes::Hostile;
use crate::facts::Code;

const BLOCK: usize = 512;

/// Bytes of an extended header at most: names are short, and all of it is held in memory.
const LONGEST_EXTENSION: u64 = 64 << 10;

/// Reads one archive, fed in pieces of any length.
#[derive(Default)]
pub struct Tar {
    state: State,
    /// Bytes of a header that has not come in full.
    have: Vec<u8>,
    /// What extended headers say of the next member.
    next: Records,
    /// Bytes of the archive that were taken.
    at: u64,
}

#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Header,
    /// An extended header's own data.
    Extension {
        kind: Kind,
        size: u64,
    },
    /// The data of a member that is no regular file.
    Skipped {
        left: u64,
    },
    /// The data of a regular file.
    Data {
        left: u64,
        padding: u64,
    },
    Padding {
        left: u64,
    },
    /// After the first block of zeros: nothing but zeros may follow.
    Zeros,
}

/// What came next in an archive.
#[derive(Debug, PartialEq, Eq)]
pub enum TarItem<'i> {
    /// All of the input was taken, and nothing came of it.
    Nothing,
    /// A regular file begins; its data follows.
    File(TarMember),
    /// So many bytes of the file's data.
    Data(&'i [u8]),
    /// The file's data has ended.
    FileEnd,
}

/// A regular file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TarMember {
    /// Its name with its folders.
    pub name: Hostile,
    /// Bytes of its data.
    pub size: u64,
}

impl Tar {
    fn damage(&self, code: Code, said: impl Into<String>) -> Damage {
        Damage { code, offset: self.at, said: said.into() }
    }

    fn take(&mut self, input: &mut &[u8], most: u64) -> u64 {
        let count = most.min(input.len() as u64);
        // At most the length of the input.
        *input = &input[count as usize..];
        self.at += count;
        count
    }

    /// What comes next. `input` is moved on by what was taken of it.
    ///
    /// # Errors
    /// What is damaged or cannot be read; nothing can be read after it.
    pub fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<TarItem<'i>, Damage> {
        loop {
            match self.state {
                State::Data { left: 0, padding } => {
                    self.state = State::Padding { left: padding };
                    return Ok(TarItem::FileEnd);
                }
                State::Skipped { left: 0 } | State::Padding { left: 0 } => {
                    self.state = State::Header;
                }
                _ if input.is_empty() => return Ok(TarItem::Nothing),
                State::Data { left, padding } => {
                    let before = *input;
                    let count = self.take(input, left);
                    self.state = State::Data { left: left - count, padding };
                    return Ok(TarItem::Data(&before[..count as usize]));
                }
                State::Skipped { left } => {
                    self.state = State::Skipped { left: left - self.take(input, left) };
                }
                State::Padding { left } => {
                    self.state = State::Padding { left: left - self.take(input, left) };
                }
                State::Extension { kind, size } => {
                    if self.collect(input, size) {
                        let text = std::mem::take(&mut self.have);
                        self.extension(kind, &text)?;
                        self.state = State::Padding { left: padding(size) };
                    }
                }
                State::Header => {
                    if self.collect(input, BLOCK as u64)
                        && let Some(member) = self.header()?
                    {
                        return Ok(TarItem::File(member));
                    }
                }
                State::Zeros => {
                    if let Some(at) = input.iter().position(|&byte| byte != 0) {
                        self.at += at as u64;
                        return Err(self.damage(
                            Code::TarDamaged,
                            "After the end mark of the tar archive there are bytes that belong to nothing.",
                        ));
                    }
                    self.take(input, u64::MAX);
                }
            }
        }
    }

    /// The archive has ended.
    ///
    /// # Errors
    /// If it is not complete.
    pub fn finish(&self) -> Result<(), Damage> {
        match self.state {
            State::Zeros => Ok(()),
            State::Header if self.have.is_empty() => Err(self.damage(
                Code::TarTruncated,
                "The tar archive ends without its end mark; members may be missing.",
            )),
            _ => Err(self.damage(Code::TarTruncated, "The tar archive ends inside a member.")),
        }
    }

    /// Collects so many bytes, [`LONGEST_EXTENSION`] at most; true when they are there.
    fn collect(&mut self, input: &mut &[u8], size: u64) -> bool {
        let before = *input;
        let count = self.take(input, size.saturating_sub(self.have.len() as u64));
        self.have.extend_from_slice(&before[..count as usize]);
        self.have.len() as u64 >= size
    }

    /// A header block; a regular file that begins with it.
    fn header(&mut self) -> Result<Option<TarMember>, Damage> {
        let block = std::mem::take(&mut self.have);
        let offset = self.at - BLOCK as u64;
        if block.iter().all(|&byte| byte == 0) {
            self.state = State::Zeros;
            return Ok(None);
        }
        let wrong = |said: &str| Damage { code: Code::TarDamaged, offset, said: said.into() };
        let header = Header::read(&block).map_err(wrong)?;
        let refused = |said: String| Damage { code: Code::TarUnsupported, offset, said };
        if header.kind.is_extension() {
            if header.size > LONGEST_EXTENSION {
                return Err(refused(format!(
                    "An extended header of the tar archive has {} bytes; {LONGEST_EXTENSION} are read.",
                    header.size
                )));
            }
            self.state = State::Extension { kind: header.kind, size: header.size };
            return Ok(None);
        }
        let said = std::mem::take(&mut self.next);
        let name = Hostile::new(said.path.as_deref().unwrap_or(&header.name));
        let size = said.size.unwrap_or(header.size);
        if size > LARGEST {
            return Err(wrong("A tar header has a size that no file has."));
        }
        if said.sparse || header.kind == Kind::Sparse {
            return Err(refused(format!("The archive's member {name} is stored sparsely.")));
        }
        match header.kind {
            Kind::File => {
                self.state = State::Data { left: size, padding: padding(size) };
                Ok(Some(TarMember { name, size }))
            }
            Kind::Link if size > 0 => {
                Err(refused(format!("The archive's member {name} is a link with data of its own.")))
            }
            Kind::Link => {
                self.state = State::Header;
                Ok(None)
            }
            Kind::Other => {
                self.state = State::Skipped { left: size + padding(size) };
                Ok(None)
            }
            _ => Err(refused(format!(
                "The archive's member {name} is of a kind that is not read: a part of a larger file, or one that is not known."
            ))),
        }
    }

    /// What an extended header says.
    fn extension(&mut self, kind: Kind, text: &[u8]) -> Result<(), Damage> {
        let wrong = match kind {
            Kind::LongName => {
                let name = text.split(|&byte| byte == 0).next().unwrap_or_default();
                self.next.path = Some(name.to_vec());
                false
            }
            Kind::Pax => self.next.read(text).is_none(),
            // What holds for all members is of interest only if it changes where they are.
            Kind::PaxGlobal => {
                let mut global = Records::default();
                let wrong = global.read(text).is_none();
                if global.size.is_some() || global.path.is_some() || global.sparse {
                    return Err(self.damage(
                        Code::TarUnsupported,
                        "A global header of the tar archive sets names, sizes or holes.",
                    ));
                }
                wrong
            }
            _ => false,
        };
        match wrong {
            true => Err(self.damage(
                Code::TarDamaged,
                "An extended header of the tar archive has invalid records.",
            )),
            false => Ok(()),
        }
    }
}

/// Bytes of a member at most, so that sums of a few of them do not overflow.
const LARGEST: u64 = 1 << 60;

/// Bytes up to the next block.
fn padding(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}

#[cfg(test)]
#[path = "tar_tests.rs"]
mod tests;
