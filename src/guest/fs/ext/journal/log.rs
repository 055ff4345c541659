//! The log of a journal: transactions in a ring of blocks. Descriptors say where the copies behind them belong, revocations
//! which blocks older copies must not be written to, and a commit ends a transaction.

use super::super::super::fields::{be16, be32, halves, le16, le32};
use super::super::super::{Trouble, Why};
use super::super::blocks::Blocks;
use super::super::inode::Read;
use super::super::sums::{crc32_be, crc32c};
use super::copies::{Copies, Copy};
use super::header::{Header, MAGIC, Sums};

/// Copies and revocations that are kept at most. mke2fs makes journals of as many blocks for file systems of 128 GiB.
const MOST: usize = 128 << 10;

/// Kinds of blocks.
const DESCRIPTOR: u32 = 1;
const COMMIT: u32 = 2;
const REVOCATION: u32 = 5;

/// Bytes of the header of a block.
const HEADER: usize = 12;

/// Flags of a tag.
const ESCAPED: u16 = 1;
const SAME_UUID: u16 = 2;
const LAST: u16 = 8;

/// The first tag of fast commits, and bytes of what it holds.
const FAST_HEAD: u16 = 9;
const FAST_HEAD_SIZE: u16 = 8;

/// A log that is being read.
pub(super) struct Log<'b, 'd> {
    blocks: &'b mut Blocks<'d>,
    journal: Read,
    header: Header,
    /// The next block, and how many there are until it is where it began.
    next: u32,
    left: u32,
    copies: Vec<Copy>,
    revoked: Vec<(u64, u32)>,
    /// How many of them are of transactions that were committed.
    committed: (usize, usize),
    /// Transactions that were committed.
    order: u32,
    /// When the last one was.
    time: u64,
    /// The sum of the blocks of this transaction.
    sum: u32,
    /// Whether a block of this transaction has a wrong sum.
    is_suspicious: bool,
}

/// Whether the log goes on.
#[derive(PartialEq, Eq)]
enum Goes {
    On,
    NoFurther,
}

impl<'b, 'd> Log<'b, 'd> {
    pub(super) fn new(blocks: &'b mut Blocks<'d>, journal: Read, header: Header) -> Self {
        Log {
            blocks,
            journal,
            header,
            next: header.start,
            left: header.end - header.first,
            copies: Vec::new(),
            revoked: Vec::new(),
            committed: (0, 0),
            order: 0,
            time: 0,
            sum: !0,
            is_suspicious: false,
        }
    }

    /// Reads it to its end: the copies, and why they are not all that there is.
    pub(super) fn replay(mut self) -> Result<(Copies, Option<String>), Trouble> {
        while self.left > 0 {
            let block = self.take()?;
            let bytes = self.blocks.block(block)?;
            let [magic, kind, sequence] = [0, 4, 8].map(|at| be32(&bytes, at));
            if magic != MAGIC || sequence != self.header.sequence.wrapping_add(self.order) {
                break;
            }
            let goes = match kind {
                DESCRIPTOR => self.descriptor(&bytes)?,
                REVOCATION => self.revocation(&bytes)?,
                COMMIT => self.commit(bytes)?,
                _ => Goes::NoFurther,
            };
            if goes == Goes::NoFurther {
                break;
            }
        }
        let but = self.fast_commits()?;
        self.copies.truncate(self.committed.0);
        self.revoked.truncate(self.committed.1);
        let Header { sums, sequence, .. } = self.header;
        let size = self.blocks.size();
        let copies = Copies::new(self.copies, self.revoked, sums, sequence, size);
        // Not the size that the superblock claims: a newer one may be among the copies.
        let end = self.blocks.area.size() / size as u64;
        if let Some(highest) = copies.highest().filter(|&highest| highest >= end) {
            let said = format!("it has a copy of block {highest}, which its volume does not have");
            return Err(Why::damaged(said));
        }
        Ok((copies, but))
    }

    /// Takes the next block of the log, and says where it is.
    fn take(&mut self) -> Result<u64, Trouble> {
        let at = self.next;
        self.left -= 1;
        self.next = if at + 1 == self.header.end { self.header.first } else { at + 1 };
        self.place(at)
    }

    /// Where a block of the journal is.
    fn place(&mut self, at: u32) -> Result<u64, Trouble> {
        let run = self.blocks.run(&self.journal, u64::from(at))?;
        run.place.ok_or_else(|| Why::damaged(format!("its block {at} is nowhere")))
    }

    /// Bytes of a block of tags or revocations that are not its check sum.
    fn used(&self) -> usize {
        self.blocks.size() - if self.header.seed().is_some() { 4 } else { 0 }
    }

    /// Holds the sum at the end of a block of tags or revocations against it. Old blocks that a new journal happens to
    /// lie over have wrong sums too, so that only a commit tells what it means.
    fn check_tail(&mut self, bytes: &[u8]) {
        if let Some(seed) = self.header.seed() {
            let (covered, tail) = bytes.split_at(bytes.len() - 4);
            self.is_suspicious |= crc32c(crc32c(seed, covered), &[0; 4]) != be32(tail, 0);
        }
    }

    /// Copies that follow each other, and where they belong.
    fn descriptor(&mut self, bytes: &[u8]) -> Result<Goes, Trouble> {
        self.check_tail(bytes);
        if self.header.sums == Sums::Commits {
            self.sum = crc32_be(self.sum, bytes);
        }
        let (size, end) = (self.header.tag_size(), self.used());
        let mut at = HEADER;
        while at + size <= end {
            let tag = &bytes[at..at + size];
            let flags = be16(tag, 6);
            if self.left == 0 {
                return Ok(Goes::NoFurther);
            }
            let place = self.take()?;
            if self.header.sums == Sums::Commits {
                let copy = self.blocks.block(place)?;
                self.sum = crc32_be(self.sum, &copy);
            }
            let high = if self.header.has_64_bits { be32(tag, 8) } else { 0 };
            self.copies.push(Copy {
                block: halves(be32(tag, 0), high),
                place,
                order: self.order,
                sum: match self.header.sums {
                    Sums::V3(_) => be32(tag, 12),
                    Sums::V2(_) => u32::from(be16(tag, 4)),
                    Sums::None | Sums::Commits => 0,
                },
                is_escaped: flags & ESCAPED != 0,
            });
            bounded(self.copies.len())?;
            at += size + if flags & SAME_UUID == 0 { 16 } else { 0 };
            if flags & LAST != 0 {
                break;
            }
        }
        self.blocks.area.spend(1)?;
        Ok(Goes::On)
    }

    fn revocation(&mut self, bytes: &[u8]) -> Result<Goes, Trouble> {
        self.check_tail(bytes);
        let end = be32(bytes, HEADER) as usize;
        if end > self.used() {
            // As with sums: of a transaction without a commit it does not matter.
            self.is_suspicious = true;
            return Ok(Goes::On);
        }
        let size = if self.header.has_64_bits { 8 } else { 4 };
        for number in bytes.get(HEADER + 4..end).unwrap_or_default().chunks_exact(size) {
            let block = match size {
                8 => halves(be32(number, 4), be32(number, 0)),
                _ => u64::from(be32(number, 0)),
            };
            self.revoked.push((block, self.order));
            bounded(self.revoked.len())?;
        }
        Ok(Goes::On)
    }

    fn commit(&mut self, mut bytes: Vec<u8>) -> Result<Goes, Trouble> {
        let time = halves(be32(&bytes, 52), be32(&bytes, 48));
        let wanted = be32(&bytes, 16);
        let is_right = match self.header.sums {
            Sums::None => true,
            Sums::Commits => {
                let kind = (bytes[12], bytes[13]);
                kind == (1, 4) && self.sum == wanted || kind == (0, 0) && wanted == 0
            }
            Sums::V2(seed) | Sums::V3(seed) => {
                bytes[16..20].fill(0);
                crc32c(seed, &bytes) == wanted
            }
        };
        if self.is_suspicious || !is_right {
            // A transaction that is older than those before it is of an earlier round of the ring, and with commits that do
            // not wait for their copies one that lacks some is the last.
            if time < self.time || !self.is_suspicious && self.header.is_async {
                return Ok(Goes::NoFurther);
            }
            let sequence = self.header.sequence.wrapping_add(self.order);
            return Err(Why::damaged(format!("a check sum of transaction {sequence} is wrong")));
        }
        (self.time, self.sum) = (time, !0);
        self.order += 1;
        self.committed = (self.copies.len(), self.revoked.len());
        Ok(Goes::On)
    }

    /// Whether fast commits follow, which are not replayed here.
    fn fast_commits(&mut self) -> Result<Option<String>, Trouble> {
        if !self.header.has_fast_commits {
            return Ok(None);
        }
        let place = self.place(self.header.end)?;
        let bytes = self.blocks.block(place)?;
        let is_head = le16(&bytes, 0) == FAST_HEAD && le16(&bytes, 2) == FAST_HEAD_SIZE;
        let sequence = self.header.sequence.wrapping_add(self.order);
        let follows = is_head && le32(&bytes, 8) == sequence;
        Ok(follows.then(|| "its journal ends with fast commits, which are not replayed".to_owned()))
    }
}

fn bounded(count: usize) -> Result<(), Trouble> {
    if count > MOST {
        return Err(Why::unsupported(format!(
            "it has copies or revocations of more than {MOST} blocks"
        )));
    }
    Ok(())
}
