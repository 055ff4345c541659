//! tar archives, read forward: ustar, pax and GNU headers, members with holes included.
//!
//! It says which members there are and hands out their bytes. What is in them is not its business, and
//! nothing they name is ever opened.

use super::Damage;
use super::tar_header::{Header, Kind, Records};
use super::tar_sparse::{Fault, Map, Part};
use crate::bytes::Hostile;
use crate::facts::Code;

const BLOCK: usize = 512;

/// Bytes of an extended header at most: names are short, and all of it is held in memory.
const LONGEST_EXTENSION: u64 = 64 << 10;

/// The same of pax records, which may list the holes of a member.
const LONGEST_RECORDS: u64 = 1 << 20;

/// Bytes of a block of GNU tar that list pieces; the next one says whether another block follows.
const ENTRIES: usize = 504;

/// Reads one archive, fed in pieces of any length.
#[derive(Default)]
pub struct Tar {
    state: State,
    /// Bytes of a header that has not come in full.
    have: Vec<u8>,
    /// What extended headers say of the next member.
    next: Records,
    /// A member with holes, of which the map is being read, or the data.
    holes: Option<Holes>,
    /// Bytes of the archive that were taken.
    at: u64,
}

/// A member with holes.
struct Holes {
    name: Hostile,
    /// Bytes of it that are stored, with a map that stands before its data.
    stored: u64,
    map: Map,
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
    /// More of the map of a member with holes, in blocks of GNU tar.
    MoreMap,
    /// The map of a member with holes, in its data.
    TextMap,
    /// What fills up that map.
    MapPadding {
        left: u64,
    },
    /// Between pieces and holes of a member.
    Between,
    /// The data of a piece of a member.
    Piece {
        left: u64,
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
    /// So many zero bytes of the file's data, which are not stored.
    Hole(u64),
    /// The file's data has ended.
    FileEnd,
}

/// A regular file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TarMember {
    /// Its name with its folders.
    pub name: Hostile,
    /// Bytes of its data, holes included.
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
                State::MapPadding { left: 0 } => return self.member().map(TarItem::File),
                State::Piece { left: 0 } => self.state = State::Between,
                State::Between => {
                    if let Some(item) = self.part() {
                        return Ok(item);
                    }
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
                State::Piece { left } => {
                    let before = *input;
                    let count = self.take(input, left);
                    self.state = State::Piece { left: left - count };
                    return Ok(TarItem::Data(&before[..count as usize]));
                }
                State::MapPadding { left } => {
                    self.state = State::MapPadding { left: left - self.take(input, left) };
                }
                State::MoreMap => {
                    if self.collect(input, BLOCK as u64) {
                        self.more_map()?;
                    }
                }
                State::TextMap => self.text_map(input)?,
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
            let longest = match header.kind {
                Kind::Pax => LONGEST_RECORDS,
                _ => LONGEST_EXTENSION,
            };
            if header.size > longest {
                return Err(refused(format!(
                    "An extended header of the tar archive has {} bytes; {longest} are read.",
                    header.size
                )));
            }
            self.state = State::Extension { kind: header.kind, size: header.size };
            return Ok(None);
        }
        let said = std::mem::take(&mut self.next);
        let name = said.sparse_name.as_deref().or(said.path.as_deref()).unwrap_or(&header.name);
        let name = Hostile::new(name);
        let size = said.size.unwrap_or(header.size);
        if size > LARGEST {
            return Err(wrong("A tar header has a size that no file has."));
        }
        let holes = match (said.sparse, header.kind) {
            (None, Kind::Sparse) => Some(header.holes().map(|(sparse, more)| {
                self.state = if more { State::MoreMap } else { State::MapPadding { left: 0 } };
                Map::Known(sparse)
            })),
            (Some(records), Kind::File) => Some(records.map(size).inspect(|map| {
                self.state = match map {
                    Map::Known(_) => State::MapPadding { left: 0 },
                    Map::Text(_) => State::TextMap,
                };
            })),
            (Some(_), _) => Some(Err(Fault::Unsupported("is stored sparsely in an unknown way"))),
            (None, _) => None,
        };
        match holes {
            Some(Ok(map)) => {
                self.holes = Some(Holes { name, stored: size, map });
                return Ok(None);
            }
            Some(Err(fault)) => return Err(faulty(&name, offset, fault)),
            None => {}
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

    /// More of the map of a member with holes.
    fn more_map(&mut self) -> Result<(), Damage> {
        let block = std::mem::take(&mut self.have);
        let offset = self.at - BLOCK as u64;
        let (entries, rest) = block.split_at(ENTRIES.min(block.len()));
        let extended = rest.first().copied().unwrap_or_default();
        if let Some(Holes { name, map: Map::Known(sparse), .. }) = &mut self.holes {
            let more = sparse.add_entries(entries, extended);
            if !more.map_err(|fault| faulty(name, offset, fault))? {
                self.state = State::MapPadding { left: 0 };
            }
        }
        Ok(())
    }

    /// Bytes of the map that stands before a member's data.
    fn text_map(&mut self, input: &mut &[u8]) -> Result<(), Damage> {
        let at = self.at;
        let Some(Holes { name, map: Map::Text(text), .. }) = &mut self.holes else { return Ok(()) };
        let before = text.taken();
        let taken = text.take(input);
        // The byte that was refused counts as taken.
        let offset = at + (text.taken() - before).saturating_sub(1);
        let (count, done) = taken.map_err(|fault| faulty(name, offset, fault))?;
        if done {
            self.state = State::MapPadding { left: text.padding() };
        }
        self.take(input, count as u64);
        Ok(())
    }

    /// The member with holes of which the map is known now.
    fn member(&mut self) -> Result<TarMember, Damage> {
        let at = self.at;
        let Some(Holes { name, stored, map }) = self.holes.take() else {
            return Err(self.damage(Code::TarDamaged, "A tar header has no member."));
        };
        let closed = match map {
            Map::Known(sparse) => sparse.close(stored).map(|()| (sparse, stored)),
            Map::Text(text) => text.close(stored),
        };
        let (sparse, stored) = closed.map_err(|fault| faulty(&name, at, fault))?;
        let size = sparse.size();
        self.holes = Some(Holes { name: name.clone(), stored, map: Map::Known(sparse) });
        self.state = State::Between;
        match size > LARGEST {
            true => Err(self.damage(Code::TarDamaged, "A tar header has a size that no file has.")),
            false => Ok(TarMember { name, size }),
        }
    }

    /// What comes next of a member with holes; `None` if it is data.
    fn part(&mut self) -> Option<TarItem<'static>> {
        let (part, stored) = match &mut self.holes {
            Some(Holes { map: Map::Known(sparse), stored, .. }) => (sparse.part(), *stored),
            _ => (None, 0),
        };
        match part {
            Some(Part::Hole(len)) => Some(TarItem::Hole(len)),
            Some(Part::Data(left)) => {
                self.state = State::Piece { left };
                None
            }
            None => {
                self.holes = None;
                self.state = State::Padding { left: padding(stored) };
                Some(TarItem::FileEnd)
            }
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
                if global.size.is_some() || global.path.is_some() || global.is_sparse() {
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

fn faulty(name: &Hostile, offset: u64, fault: Fault) -> Damage {
    let (code, said) = match fault {
        Fault::Damaged(said) => (Code::TarDamaged, said),
        Fault::Unsupported(said) => (Code::TarUnsupported, said),
    };
    Damage { code, offset, said: format!("The archive's member {name} {said}.") }
}

/// Bytes up to the next block.
fn padding(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}

#[cfg(test)]
#[path = "tar_tests.rs"]
mod tests;
