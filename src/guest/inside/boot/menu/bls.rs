//! Entries of the Boot Loader Specification: one file each in `loader/entries`.

use std::cmp::Ordering;

use super::super::super::super::fs::Trouble;
use super::super::super::super::tree::{Found, Text, Tree};
use super::environment::Environment;
use super::words::Words;
use super::{Entry, LONGEST_OPTIONS, MOST_INITRDS, On};

/// Entries that are read.
const MOST_ENTRIES: usize = 128;

/// Bytes of a file of one at most.
const LONGEST: usize = 64 << 10;

/// The entries below a directory, which is called by this path, the newest first: as GRUB's blscfg and systemd-boot order
/// them.
///
/// # Errors
/// If they cannot be read.
pub(super) fn read(
    tree: &mut Tree<'_>,
    called: &[u8],
    root: &Found,
    environment: &Environment,
) -> Result<Vec<Entry>, Trouble> {
    let called = [called.strip_suffix(b"/").unwrap_or(called), b"/loader/entries/"].concat();
    let top = Some(root.node);
    let Some(directory) = tree.within(root.volume, top, "loader/entries")? else {
        return Ok(Vec::new());
    };
    let Some(system) = tree.system(root.volume) else { return Ok(Vec::new()) };
    let names = super::super::names::list(system, directory.node)?;
    let names = names.into_iter().map(|(name, _)| name).filter(|name| name.ends_with(b".conf"));
    let stem = |name: Vec<u8>| name[..name.len() - b".conf".len()].to_vec();
    let mut ordered: Vec<Vec<u8>> = names.map(stem).collect();
    ordered.sort_by(|one, other| newer(one, other));
    let mut entries = Vec::new();
    for id in ordered.into_iter().take(MOST_ENTRIES) {
        let name = [&id[..], b".conf"].concat();
        let Some(found) = tree.within(root.volume, Some(directory.node), &name)? else { continue };
        let path = [&called[..], &name].concat();
        if let Some(text) = tree.text_at(&found, &path, LONGEST)? {
            let on = On::Volume(root.volume);
            entries.push(Entry { on, ..entry(&text, id, environment) });
        }
    }
    Ok(entries)
}

/// An entry of this id.
fn entry(text: &Text, id: Vec<u8>, environment: &Environment) -> Entry {
    let mut entry = Entry { id, path: text.path.clone(), line: 1, ..Entry::default() };
    for (number, line) in text.lines() {
        let line = line.trim_ascii();
        let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
        let value = line[end..].trim_ascii();
        match &line[..end] {
            b"title" => entry.title = value.to_vec(),
            b"linux" => {
                entry.line = number;
                entry.kernel = expanded(value, environment).into_iter().next();
            }
            b"initrd" => {
                let left = MOST_INITRDS.saturating_sub(entry.initrds.len());
                entry.initrds.extend(expanded(value, environment).into_iter().take(left));
            }
            b"options" => {
                if !entry.options.is_empty() {
                    entry.options.push(b' ');
                }
                entry.options.extend(expanded(value, environment).join(&b' '));
                entry.options.truncate(LONGEST_OPTIONS);
            }
            _ => {}
        }
    }
    entry
}

/// The words of a value, with variables of GRUB.
fn expanded(value: &[u8], environment: &Environment) -> Vec<Vec<u8>> {
    if !value.contains(&b'$') {
        let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        return words.map(<[u8]>::to_vec).collect();
    }
    let words = Words::new(value).next(environment).map(|(_, words)| words).unwrap_or_default();
    let texts = words.into_iter().flat_map(|word| {
        let parts = word.text.split(u8::is_ascii_whitespace).map(<[u8]>::to_vec);
        parts.collect::<Vec<_>>()
    });
    texts.filter(|text| !text.is_empty()).collect()
}

/// The order of versions, the newer first: numbers as numbers, letters as letters, a number before letters, `~` before
/// the end.
pub(in super::super) fn newer(one: &[u8], other: &[u8]) -> Ordering {
    compare(other, one)
}

fn compare(mut one: &[u8], mut other: &[u8]) -> Ordering {
    loop {
        let separates = |byte: &u8| !byte.is_ascii_alphanumeric() && !matches!(byte, b'~' | b'^');
        one = &one[one.iter().position(|byte| !separates(byte)).unwrap_or(one.len())..];
        other = &other[other.iter().position(|byte| !separates(byte)).unwrap_or(other.len())..];
        match (one.first(), other.first()) {
            (Some(b'~'), Some(b'~')) => (one, other) = (&one[1..], &other[1..]),
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) if a.is_ascii_digit() != b.is_ascii_digit() => {
                return a.is_ascii_digit().cmp(&b.is_ascii_digit());
            }
            (Some(a), Some(b)) => {
                if *a == b'^' || *b == b'^' {
                    (one, other) = (&one[1..], &other[1..]);
                    continue;
                }
                let digits = a.is_ascii_digit();
                let (first, rest) = run(one, digits);
                let (second, others) = run(other, digits);
                let order = if digits {
                    first.len().cmp(&second.len()).then_with(|| first.cmp(second))
                } else {
                    first.cmp(second)
                };
                if order != Ordering::Equal {
                    return order;
                }
                (one, other) = (rest, others);
            }
        }
    }
}

/// The digits or letters that a text begins with, without zeros before a number, and the rest.
fn run(text: &[u8], digits: bool) -> (&[u8], &[u8]) {
    let is = |byte: &u8| if digits { byte.is_ascii_digit() } else { byte.is_ascii_alphabetic() };
    let end = text.iter().position(|byte| !is(byte)).unwrap_or(text.len());
    let (run, rest) = text.split_at(end);
    let zeros = run.iter().take_while(|&&byte| digits && byte == b'0').count();
    (&run[zeros..], rest)
}
