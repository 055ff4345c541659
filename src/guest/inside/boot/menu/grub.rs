//! grub.cfg: its entries, and which one boots by itself.
//!
//! The script is not run; it is read from top to bottom once. Conditions that compare known values are decided, of others
//! both branches are read. Functions and loops are not followed. That is enough for what grub-mkconfig writes.

use super::super::super::super::tree::Text;
use super::environment::Environment;
use super::words::{Word, Words};
use super::{Entry, LONGEST_OPTIONS, MOST_INITRDS, On, partition};

/// Entries that tidegate reads.
const MOST_ENTRIES: usize = 256;

/// Blocks in one another that are told apart.
const DEEPEST: usize = 64;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Script {
    entries: Vec<Entry>,
    /// Where in the list entries of the Boot Loader Specification belong, if they do.
    pub(super) blscfg: Option<usize>,
    /// What `set default=` said last that is not empty.
    default: Vec<u8>,
    /// The volume that paths are relative to, outside of entries.
    root: On,
    /// Whether it goes on with another script, which is not read.
    pub(super) goes_on: bool,
}

/// How an outer block goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    /// An `if`: whether what is read now is left out, and whether a branch was taken for certain.
    If { skip: bool, done: bool },
    /// A loop.
    Loop,
    /// An entry or a submenu, by its place in the list.
    Entry(usize),
    /// What belongs to an entry that is left out, or to a function.
    Skip,
    /// Braces of no meaning.
    Braces,
}

impl Script {
    /// Reads a script; what it sets stays in the environment.
    pub(super) fn run(text: &Text, environment: &mut Environment) -> Self {
        let mut script = Script::default();
        let mut words = Words::new(&text.bytes);
        let mut blocks: Vec<Block> = Vec::new();
        // What the next `{` opens.
        let mut opens = Block::Braces;
        while let Some((line, command)) = words.next(environment) {
            let mut command = &command[..];
            // Words after which another command begins on the same line.
            while let Some((first, rest)) = command.split_first()
                && ["then", "do", "else"].iter().any(|word| first.is(word))
            {
                if first.is("else") {
                    otherwise(&mut blocks);
                }
                command = rest;
            }
            let Some((first, rest)) = command.split_first() else { continue };
            let skip = blocks
                .iter()
                .any(|block| matches!(block, Block::Skip | Block::If { skip: true, .. }));
            if blocks.len() >= DEEPEST
                && ["if", "for", "while", "until", "{"].iter().any(|word| first.is(word))
            {
                return script;
            }
            if first.is("{") {
                blocks.push(std::mem::replace(&mut opens, Block::Braces));
            } else if first.is("}") {
                if let Some(at) = blocks.iter().rposition(|block| {
                    matches!(block, Block::Entry(_) | Block::Skip | Block::Braces)
                }) {
                    blocks.truncate(at);
                }
            } else if first.is("if") {
                let holds = condition(rest);
                blocks.push(Block::If { skip: holds == Some(false), done: holds == Some(true) });
            } else if first.is("elif") {
                otherwise(&mut blocks);
                if let Some(Block::If { skip, done }) = blocks.last_mut() {
                    let holds = condition(rest);
                    *skip |= holds == Some(false);
                    *done |= !*skip && holds == Some(true);
                }
            } else if first.is("fi") {
                close(&mut blocks, |block| matches!(block, Block::If { .. }));
            } else if ["for", "while", "until"].iter().any(|word| first.is(word)) {
                blocks.push(Block::Loop);
            } else if first.is("done") {
                close(&mut blocks, |block| *block == Block::Loop);
            } else if first.is("function") {
                opens = Block::Skip;
            } else if first.is("menuentry") || first.is("submenu") {
                let parent = blocks.iter().rev().find_map(|block| match block {
                    Block::Entry(at) => Some(*at),
                    _ => None,
                });
                opens = Block::Skip;
                if !skip && script.entries.len() < MOST_ENTRIES {
                    opens = Block::Entry(script.entries.len());
                    let mut entry = titled(rest);
                    entry.on = script.root.clone();
                    entry.parent = parent;
                    entry.is_submenu = first.is("submenu");
                    (entry.path, entry.line) = (text.path.clone(), line);
                    script.entries.push(entry);
                }
            } else if !skip {
                let inside = blocks.iter().rev().find_map(|block| match block {
                    Block::Entry(at) => Some(*at),
                    _ => None,
                });
                let certain = !blocks.iter().any(|block| matches!(block, Block::If { .. }));
                let others = ["configfile", "normal", "source"];
                script.goes_on |= certain && others.iter().any(|other| first.is(other));
                script.command(line, command, inside, environment);
            }
        }
        script
    }

    fn command(
        &mut self,
        line: u32,
        command: &[Word],
        inside: Option<usize>,
        environment: &mut Environment,
    ) {
        let Some((first, rest)) = command.split_first() else { return };
        let entry = inside.and_then(|at| self.entries.get_mut(at));
        // `name=value` alone is as `set name=value`.
        let is_set = first.is("set");
        if let Some((name, value)) = assigned(if is_set { rest } else { command }) {
            match (name, entry) {
                (b"root", Some(entry)) => entry.on = partition(value).unwrap_or_default(),
                (b"root", None) => self.root = partition(value).unwrap_or_default(),
                (b"default", None) if !value.is_empty() => self.default = value.to_vec(),
                _ => {}
            }
            return environment.set(name, value);
        }
        match (&first.text[..], entry) {
            (b"search" | b"search.fs_uuid" | b"search.fs_label" | b"search.file", entry) => {
                let on = entry.map_or(&mut self.root, |entry| &mut entry.on);
                if let Some(found) = searched(command) {
                    *on = found;
                }
            }
            (b"linux" | b"linux16" | b"linuxefi", Some(entry)) => {
                entry.line = line;
                // Where a variable that is not known stood, there is no path.
                let path =
                    rest.first().filter(|word| matches!(word.text.first(), Some(b'/' | b'(')));
                entry.kernel = path.map(|word| word.text.clone());
                entry.options = joined(rest.get(1..).unwrap_or_default());
                entry.options.truncate(LONGEST_OPTIONS);
            }
            (b"initrd" | b"initrd16" | b"initrdefi", Some(entry)) => {
                let files = rest.iter().map(|word| word.text.clone());
                entry.initrds = files.take(MOST_INITRDS).collect();
            }
            (b"blscfg", None) => self.blscfg = Some(self.entries.len()),
            _ => {}
        }
    }

    /// Puts entries of the Boot Loader Specification where they belong.
    pub(super) fn insert(&mut self, at: usize, entries: Vec<Entry>) {
        let count = entries.len();
        for entry in &mut self.entries {
            if let Some(parent) = entry.parent.as_mut().filter(|parent| **parent >= at) {
                *parent += count;
            }
        }
        self.entries.splice(at.min(self.entries.len())..at.min(self.entries.len()), entries);
    }

    /// The entry that boots by itself.
    pub(super) fn chosen(&self) -> Option<Entry> {
        let mut level = None;
        let mut chosen = None;
        for part in parts(&self.default).into_iter().take_while(|part| !part.is_empty()) {
            let of_level = || {
                let entries = self.entries.iter().enumerate();
                entries.filter(move |(_, entry)| entry.parent == level)
            };
            let number = std::str::from_utf8(&part).ok().and_then(|part| part.parse().ok());
            let found = number
                .and_then(|number: usize| of_level().nth(number))
                .or_else(|| of_level().find(|(_, entry)| entry.title == part || entry.id == part));
            let Some((at, entry)) = found else { break };
            chosen = Some(at);
            if !entry.is_submenu {
                break;
            }
            level = Some(at);
        }
        // What is not found is the first one, and of a submenu its first one.
        let first_of = |level| self.entries.iter().position(|entry| entry.parent == level);
        let mut at = chosen.or_else(|| first_of(None))?;
        while self.entries.get(at).is_some_and(|entry| entry.is_submenu) {
            at = first_of(Some(at))?;
        }
        self.entries.get(at).cloned()
    }
}

/// The branch after the one that was read last.
fn otherwise(blocks: &mut [Block]) {
    let last = blocks.iter_mut().rev().find(|block| matches!(block, Block::If { .. }));
    if let Some(Block::If { skip, done }) = last {
        *skip = *done;
    }
}

/// The innermost block of this kind ends, with all in it.
fn close(blocks: &mut Vec<Block>, is: impl Fn(&Block) -> bool) {
    if let Some(at) = blocks.iter().rposition(is) {
        blocks.truncate(at);
    }
}

/// Whether the condition of an `if` holds; `None` if it depends on what is not known here.
fn condition(words: &[Word]) -> Option<bool> {
    let text = |at: usize| words.get(at).map(|word: &Word| &word.text[..]);
    if !matches!(text(0), Some(b"[" | b"test")) {
        return None;
    }
    let end = words.iter().position(|word| word.is("]")).unwrap_or(words.len());
    let inner: Vec<&[u8]> = words[1.min(end)..end].iter().map(|word| &word.text[..]).collect();
    match inner[..] {
        [] => Some(false),
        [b"-n", value] => Some(!value.is_empty()),
        [b"-z", value] => Some(value.is_empty()),
        [b"-n"] => Some(false),
        [b"-z"] => Some(true),
        [b"-s" | b"-f" | b"-e" | b"-d", _] => None,
        [value] => Some(!value.is_empty()),
        [one, b"=" | b"==", other] => Some(one == other),
        [one, b"!=", other] => Some(one != other),
        _ => None,
    }
}

/// `name=value`.
fn assigned(words: &[Word]) -> Option<(&[u8], &[u8])> {
    let word = &words.first()?.text;
    let at = word.iter().position(|&byte| byte == b'=')?;
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    (at > 0 && word[..at].iter().all(is_name)).then(|| (&word[..at], &word[at + 1..]))
}

/// Words with one blank between them.
fn joined(words: &[Word]) -> Vec<u8> {
    let words: Vec<&[u8]> = words.iter().map(|word| &word.text[..]).collect();
    words.join(&b' ')
}

/// An entry of this title and id; `$menuentry_id_option` is `--id`, but not before GRUB 2.00.
fn titled(words: &[Word]) -> Entry {
    let mut entry = Entry::default();
    let mut words = words.iter();
    entry.title = words.next().map(|word| word.text.clone()).unwrap_or_default();
    while let Some(word) = words.next() {
        match &word.text[..] {
            b"--class" | b"--users" | b"--hotkey" => {
                words.next();
            }
            b"--id" => entry.id = words.next().map(|word| word.text.clone()).unwrap_or_default(),
            b"--unrestricted" => {}
            other if other.starts_with(b"--id=") => entry.id = other[5..].to_vec(),
            // The variable that stands for --id may not be known here.
            other if entry.id.is_empty() => entry.id = other.to_vec(),
            _ => {}
        }
    }
    entry
}

/// What a `search` looks for, unless it keeps it in another variable than `root`.
fn searched(command: &[Word]) -> Option<On> {
    let mut kind: fn(Vec<u8>) -> On = match &command.first()?.text[..] {
        b"search.fs_uuid" => On::Uuid,
        b"search.fs_label" => On::Label,
        _ => On::File,
    };
    let mut value = None;
    for word in &command[1..] {
        match &word.text[..] {
            b"--fs-uuid" | b"-u" => kind = On::Uuid,
            b"--label" | b"--fs-label" | b"-l" => kind = On::Label,
            b"--file" | b"-f" => kind = On::File,
            b"--set=root" | b"--set" | b"-s" => {}
            other if other.starts_with(b"--set=") => return None,
            other if other.starts_with(b"-") => {}
            b"root" if value.is_some() => {}
            other => value = Some(other.to_vec()),
        }
    }
    // `--set root UUID`, too: the last word is what is looked for.
    value.map(kind)
}

/// The parts of the name of an entry in submenus, `submenu>entry`; a doubled sign is one of the name.
fn parts(name: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let mut bytes = name.iter().peekable();
    while let Some(&byte) = bytes.next() {
        if byte == b'>' && bytes.peek() != Some(&&b'>') {
            parts.push(Vec::new());
            continue;
        }
        if byte == b'>' {
            bytes.next();
        }
        if let Some(part) = parts.last_mut() {
            part.push(byte);
        }
    }
    parts.truncate(16);
    parts
}
