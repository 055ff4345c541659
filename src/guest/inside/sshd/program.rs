//! What the program of the server is, and which words it knows: a version's own keywords and algorithms stand in it.

use super::super::super::fs::{Kind, Trouble};
use super::super::super::tree::{Found, Tree};
use super::super::{Case, shown};
use super::config::Config;
use super::server::Product;
use super::values::Doubt;
use crate::facts::Code;

/// Bytes of a program that tidegate searches; OpenSSH's have about 1 MiB.
const MOST_BYTES: u64 = 16 << 20;

const PIECE: usize = 64 << 10;

/// Judges whether the file in the place of the program is one.
///
/// # Errors
/// If it cannot be read.
pub(super) fn judge_file(case: &mut Case<'_, '_>, product: Product) -> Result<(), Trouble> {
    for path in product.programs() {
        let Some(found) = case.tree.stat(path)? else { continue };
        let why = if found.inode.kind != Kind::Regular {
            "is no regular file"
        } else if !found.inode.is_executable() {
            "is not executable"
        } else if found.inode.size == 0 {
            "is empty"
        } else {
            return Ok(());
        };
        let said = format!("The program of {} {why}, so it cannot start.", product.name());
        case.book.found_at(Code::SshNoServer, &found.path, said);
        return Ok(());
    }
    Ok(())
}

/// Judges what only OpenSSH's own program can tell of its configuration.
///
/// # Errors
/// If it cannot be read.
pub(super) fn judge(case: &mut Case<'_, '_>, config: &Config) -> Result<(), Trouble> {
    let doubts = &config.doubts;
    if doubts.is_empty() {
        return Ok(());
    }
    let words: Vec<Vec<u8>> =
        doubts.iter().map(|(.., doubt)| [doubt.word(), b"\0"].concat()).collect();
    let Some(known) = knows(&mut case.tree, &words)? else { return Ok(()) };
    let unknown = doubts.iter().zip(known).find(|(_, is_known)| !is_known);
    if let Some(((path, line, doubt), _)) = unknown {
        let what = match doubt {
            Doubt::Keyword(word) => format!("its program knows no keyword {}", shown(word)),
            Doubt::Algorithm(word) => format!("its program knows no algorithm {}", shown(word)),
        };
        let said = format!("sshd does not start with this line of its configuration: {what}.");
        case.book.found_in(Code::SshConfigInvalid, path, *line, said);
    }
    Ok(())
}

/// Whether OpenSSH's programs have each of these words; `None` if none of them can be searched whole.
///
/// # Errors
/// If they cannot be read.
pub(super) fn knows(tree: &mut Tree<'_>, words: &[Vec<u8>]) -> Result<Option<Vec<bool>>, Trouble> {
    let mut known: Option<Vec<bool>> = None;
    for path in Product::OpenSsh.programs() {
        let Some(found) = tree.stat(path)?.filter(|found| found.inode.kind == Kind::Regular) else {
            continue;
        };
        let mut head = [0; 4];
        let is_elf = tree.read_at(&found, 0, &mut head)? == 4 && &head == b"\x7fELF";
        if !is_elf || found.inode.size > MOST_BYTES {
            continue;
        }
        let all = known.get_or_insert_with(|| vec![false; words.len()]);
        search(tree, &found, words, all)?;
        if all.iter().all(|known| *known) {
            break;
        }
    }
    Ok(known)
}

/// Notes which words a file has.
fn search(
    tree: &mut Tree<'_>,
    found: &Found,
    words: &[Vec<u8>],
    known: &mut [bool],
) -> Result<(), Trouble> {
    let longest = words.iter().map(Vec::len).max().unwrap_or(0).min(PIECE);
    let mut buf = vec![0; 2 * PIECE];
    let (mut at, mut kept) = (0, 0);
    while at < MOST_BYTES {
        let count = tree.read_at(found, at, &mut buf[kept..kept + PIECE])?;
        let filled = kept + count;
        for (word, known) in words.iter().zip(&mut *known).filter(|(_, known)| !**known) {
            *known = has(&buf[..filled], word);
        }
        if count < PIECE {
            return Ok(());
        }
        at += count as u64;
        kept = longest.min(filled);
        buf.copy_within(filled - kept..filled, 0);
    }
    Ok(())
}

/// Whether bytes have this word in them. It ends where its last two bytes do, which are seldom there.
pub(super) fn has(bytes: &[u8], word: &[u8]) -> bool {
    let Some((&last, before)) = word.split_last() else { return true };
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == last).map(|(at, _)| at);
    ends.into_iter().any(|end| bytes[..end].ends_with(before))
}
