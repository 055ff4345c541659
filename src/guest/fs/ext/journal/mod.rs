//! The journal (jbd2), replayed in memory: which blocks it has newer copies of. Nothing is written; whoever reads a block
//! gets the copy.
//!
//! What counts as replayed is what Linux's `fs/jbd2/recovery.c` would replay. Where Linux would refuse to mount, nothing of the journal
//! is used and the state says why.

mod copies;
mod header;
mod log;

pub(super) use copies::Copies;

use super::super::{Trouble, Why};
use super::blocks::Blocks;
use super::inode;
use super::superblock::Journal;
use header::Header;
use log::Log;

/// What became of a journal.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Replayed {
    /// Why not all of it was, as half a sentence.
    pub(super) but: Option<String>,
    /// Whether it says that its file system has errors.
    pub(super) has_errors: bool,
}

/// Replays the journal of a file system that needs it: sets what [`Blocks`] reads through.
///
/// # Errors
/// If the source cannot be read, or a bound was met. A journal that is damaged is no error.
pub(super) fn replay(blocks: &mut Blocks<'_>) -> Result<Replayed, Trouble> {
    let unused = |but: String| Ok(Replayed { but: Some(but), has_errors: false });
    let number = match blocks.superblock.journal {
        Journal::Inode(number) => number,
        Journal::Elsewhere => return unused("its journal is on another device".into()),
        Journal::None => return unused("it needs a journal and has none".into()),
    };
    let replayed = read(blocks, number);
    // Blocks of the journal's own map are behind us, and maps of files may be in it.
    blocks.last_run = None;
    match replayed {
        Ok((copies, replayed)) => {
            blocks.copies = copies;
            Ok(replayed)
        }
        Err(Trouble::Left(Why::Damaged(said) | Why::Unsupported(said))) => {
            unused(format!("its journal cannot be replayed: {said}"))
        }
        Err(trouble) => Err(trouble),
    }
}

fn read(blocks: &mut Blocks<'_>, number: u32) -> Result<(Copies, Replayed), Trouble> {
    let journal = blocks.inode(number)?;
    if journal.known.kind != super::super::Kind::Regular || journal.has(inode::INLINE) {
        return Err(Why::damaged(format!("inode {number} is no journal")));
    }
    let mut first = vec![0; blocks.size()];
    blocks.read_file(&journal, 0, &mut first)?;
    let header = Header::parse(&first, &journal, blocks.superblock.block_size)?;
    let has_errors = header.has_errors;
    if header.start == 0 {
        return Ok((Copies::default(), Replayed { but: None, has_errors }));
    }
    let (copies, but) = Log::new(blocks, journal, header).replay()?;
    Ok((copies, Replayed { but, has_errors }))
}
