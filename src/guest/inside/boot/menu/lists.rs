//! Menus that are plain lists: those of SYSLINUX and of GRUB Legacy.

use super::super::super::super::tree::Text;
use super::{Entry, MOST_INITRDS, On};

/// Entries that tidegate reads.
const MOST_ENTRIES: usize = 1024;

/// A keyword, in lower case, and the rest of the line.
fn keyword(line: &[u8]) -> (Vec<u8>, &[u8]) {
    let line = line.trim_ascii();
    let end = line.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'=');
    let end = end.unwrap_or(line.len());
    let rest = line[end..].trim_ascii();
    (line[..end].to_ascii_lowercase(), rest.strip_prefix(b"=").unwrap_or(rest).trim_ascii())
}

/// The entry of an extlinux.conf or syslinux.cfg that boots by itself.
pub(super) fn syslinux(text: &Text) -> Option<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let (mut default, mut in_menu) = (None, None);
    for (number, line) in text.lines() {
        let line = line.trim_ascii();
        let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
        let (word, value) = (line[..end].to_ascii_lowercase(), line[end..].trim_ascii());
        let is_full = entries.len() >= MOST_ENTRIES;
        match (&word[..], entries.last_mut()) {
            (b"default", _) => default = Some((number, value.to_vec())),
            (b"ui", _) => {}
            (b"label", _) if !is_full => entries.push(Entry {
                title: value.to_vec(),
                id: value.to_vec(),
                path: text.path.clone(),
                line: number,
                ..Entry::default()
            }),
            (b"menu", Some(entry)) => {
                let (word, rest) = keyword(value);
                if word == b"default" {
                    in_menu = Some(entry.id.clone());
                } else if word == b"label" {
                    entry.title = rest.iter().copied().filter(|&byte| byte != b'^').collect();
                }
            }
            (b"kernel" | b"linux", Some(entry)) => {
                entry.line = number;
                let is_module = value.ends_with(b".c32") || value.ends_with(b".com");
                entry.kernel = (!is_module && !value.is_empty()).then(|| value.to_vec());
            }
            (b"initrd", Some(entry)) => entry.initrds = files(value),
            (b"append", Some(entry)) => append(entry, value),
            _ => {}
        }
    }
    let is_called = |name: &[u8]| entries.iter().find(|entry| entry.id.eq_ignore_ascii_case(name));
    if let Some(entry) = in_menu.as_deref().and_then(is_called) {
        return Some(entry.clone());
    }
    // `default` names a label, or is a command line by itself: `vesamenu.c32`, or a kernel.
    let named = default.as_ref().and_then(|(_, value)| {
        is_called(value)
            .or_else(|| is_called(value.split(u8::is_ascii_whitespace).next().unwrap_or_default()))
    });
    if let Some(entry) = named {
        return Some(entry.clone());
    }
    if let Some((line, value)) = default.filter(|_| entries.is_empty()) {
        let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
        let mut entry = Entry { path: text.path.clone(), line, ..Entry::default() };
        entry.kernel =
            (!value.is_empty() && !value[..end].ends_with(b".c32")).then(|| value[..end].to_vec());
        append(&mut entry, &value[end..]);
        return Some(entry);
    }
    entries.into_iter().next()
}

/// Files with commas between them.
fn files(value: &[u8]) -> Vec<Vec<u8>> {
    let files = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    files.filter(|file| !file.is_empty()).take(MOST_INITRDS).map(<[u8]>::to_vec).collect()
}

/// What is given to a kernel, of which `initrd=` is for the loader.
fn append(entry: &mut Entry, value: &[u8]) {
    let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let mut options: Vec<&[u8]> = Vec::new();
    for word in words {
        match word.strip_prefix(b"initrd=") {
            Some(named) if entry.initrds.is_empty() => entry.initrds = files(named),
            Some(_) => {}
            None => options.push(word),
        }
    }
    entry.options = options.join(&b' ');
    // A dash alone means that nothing is appended.
    if entry.options == b"-" {
        entry.options.clear();
    }
}

/// The entry of a menu.lst that boots by itself.
pub(super) fn legacy(text: &Text) -> Option<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut default = 0usize;
    let mut root = On::Menu;
    for (number, line) in text.lines() {
        let (word, value) = keyword(line);
        let is_full = entries.len() >= MOST_ENTRIES;
        match (&word[..], entries.last_mut()) {
            (b"default", None) => {
                let number = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
                default = number.unwrap_or(0);
            }
            (b"root" | b"rootnoverify", None) => root = drive(value),
            (b"title", _) if !is_full => entries.push(Entry {
                title: value.to_vec(),
                path: text.path.clone(),
                line: number,
                on: root.clone(),
                ..Entry::default()
            }),
            (b"root" | b"rootnoverify", Some(entry)) => entry.on = drive(value),
            (b"uuid", Some(entry)) => entry.on = On::Uuid(value.to_vec()),
            (b"kernel", Some(entry)) => {
                entry.line = number;
                let mut words = value
                    .split(u8::is_ascii_whitespace)
                    .filter(|word| !word.is_empty() && !word.starts_with(b"--"));
                entry.kernel = words.next().map(<[u8]>::to_vec);
                entry.options = words.collect::<Vec<_>>().join(&b' ');
            }
            (b"initrd", Some(entry)) => {
                let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
                entry.initrds = words.take(MOST_INITRDS).map(<[u8]>::to_vec).collect();
            }
            _ => {}
        }
    }
    let at = if default < entries.len() { default } else { 0 };
    (at < entries.len()).then(|| entries.swap_remove(at))
}

/// What `(hd0,0)` means: the first partition, as it counts from 0.
fn drive(value: &[u8]) -> On {
    let inner = value.strip_prefix(b"(").unwrap_or(value);
    let inner = inner.split(|&byte| byte == b')').next().unwrap_or_default();
    match super::partition(inner) {
        Some(On::Partition(number)) => On::Partition(number.saturating_add(1)),
        _ => On::Menu,
    }
}
