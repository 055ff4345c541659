//! ifupdown, and what took its file over: Debian's, ifupdown2, ifupdown-ng, that of Busybox.

use super::super::super::fs::Trouble;
use super::super::super::tree::Tree;
use super::super::patterns::has_wildcard;
use super::nic::{Fit, Nic, whole};
use super::text::{MOST, matches, too_many, words};
use super::{Gives, MOST_INTERFACES, Way};

/// What it calls itself in messages.
pub(super) const NAME: &str = "ifupdown";

/// Its file.
const FILE: &[u8] = b"/etc/network/interfaces";

/// Files that include each other, at most, one in another and in all.
const DEEPEST: usize = 8;
const MOST_FILES: usize = 256;

/// A line of the file with its place.
struct Line {
    path: std::rc::Rc<[u8]>,
    line: u32,
    words: Vec<Vec<u8>>,
}

/// An interface of the file.
struct Interface {
    name: Vec<u8>,
    path: Vec<u8>,
    line: u32,
    gives: Gives,
    /// A MAC address that the interface is given.
    mac: Option<Vec<u8>>,
}

/// What it does for the interface.
///
/// # Errors
/// If its files cannot be read.
pub(super) fn ways(tree: &mut Tree<'_>, nic: &Nic) -> Result<Vec<Way>, Trouble> {
    let mut lines = Vec::new();
    let mut files = 0;
    read(tree, FILE, 0, &mut files, &mut lines)?;
    let mut automatic: Vec<Vec<u8>> = Vec::new();
    let mut interfaces: Vec<Interface> = Vec::new();
    for line in lines {
        let word = |at: usize| line.words.get(at).map_or(&b""[..], |word| word);
        match word(0) {
            b"auto" | b"allow-auto" | b"allow-hotplug" => {
                automatic.extend_from_slice(&line.words[1..])
            }
            b"iface" => interfaces.push(Interface {
                name: word(1).to_vec(),
                path: line.path.to_vec(),
                line: line.line,
                gives: match (word(2), word(3)) {
                    (b"inet", b"dhcp") => Gives::Dhcp,
                    (b"inet", b"static") => Gives::Static,
                    (b"inet6", b"auto" | b"dhcp" | b"static") => Gives::SixOnly,
                    _ => Gives::Nothing,
                },
                mac: None,
            }),
            b"hwaddress" => {
                if let Some(interface) = interfaces.last_mut() {
                    interface.mac = line.words.last().cloned();
                }
            }
            // So ifupdown-ng and ifupdown2 say it.
            b"use" if word(1) == b"dhcp" => give(&mut interfaces, Gives::Dhcp),
            b"address" if !word(1).contains(&b':') => give(&mut interfaces, Gives::Static),
            _ => {}
        }
        if automatic.len() > MOST_INTERFACES || interfaces.len() > MOST_INTERFACES {
            return Err(too_many());
        }
    }
    let mut ways = Vec::new();
    for interface in interfaces {
        let is_automatic = |pattern: &Vec<u8>| {
            let pattern = pattern.strip_prefix(b"/").unwrap_or(pattern);
            matches(pattern, &interface.name) || pattern == interface.name
        };
        let fit = match nic.named(&interface.name) {
            Fit::Yes if interface.mac.is_some() => Fit::Mac(interface.mac.unwrap_or_default()),
            other => other,
        };
        // A pattern in auto brings up whatever it matches, by the stanza of its name.
        if fit == Fit::No
            || interface.gives == Gives::Nothing
            || !automatic.iter().any(is_automatic)
        {
            continue;
        }
        ways.push(Way {
            by: NAME,
            path: interface.path,
            line: interface.line,
            fit,
            whom: interface.name,
            gives: interface.gives,
            wants_client: interface.gives == Gives::Dhcp,
        });
    }
    Ok(ways)
}

/// The interfaces that its files name, whether they start by themselves or not.
///
/// # Errors
/// If its files cannot be read.
pub(super) fn names(tree: &mut Tree<'_>) -> Result<Vec<Vec<u8>>, Trouble> {
    let mut lines = Vec::new();
    read(tree, FILE, 0, &mut 0, &mut lines)?;
    let named = lines.into_iter().filter(|line| line.words[0] == b"iface");
    Ok(named.filter_map(|line| line.words.into_iter().nth(1)).collect())
}

/// What the last interface gives, if nothing better was said.
fn give(interfaces: &mut [Interface], gives: Gives) {
    if let Some(interface) = interfaces.last_mut()
        && interface.gives == Gives::Nothing
    {
        interface.gives = gives;
    }
}

/// The lines of a file and of what it includes, in their order.
fn read(
    tree: &mut Tree<'_>,
    path: &[u8],
    depth: usize,
    files: &mut usize,
    lines: &mut Vec<Line>,
) -> Result<(), Trouble> {
    let Some(text) = whole(tree, path)? else { return Ok(()) };
    *files += 1;
    if depth > DEEPEST || *files > MOST_FILES {
        return Err(too_many());
    }
    let shared: std::rc::Rc<[u8]> = path.into();
    let directory = match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => &path[..at],
        None => b"",
    };
    let mut before: Vec<Vec<u8>> = Vec::new();
    for (line, bytes) in text.lines() {
        let bytes = bytes.trim_ascii();
        if bytes.starts_with(b"#") {
            continue;
        }
        let part = bytes.strip_suffix(b"\\").unwrap_or(bytes);
        before.extend(words(part).map(<[u8]>::to_vec));
        if part.len() < bytes.len() || before.is_empty() {
            continue;
        }
        let words = std::mem::take(&mut before);
        match (&words[0][..], words.get(1)) {
            (b"source", Some(_)) => {
                for pattern in &words[1..] {
                    for path in expanded(tree, &beside(directory, pattern))? {
                        read(tree, &path, depth + 1, files, lines)?;
                    }
                }
            }
            (b"source-directory", Some(pattern)) => {
                let pattern = [&beside(directory, pattern)[..], b"/*"].concat();
                for path in expanded(tree, &pattern)? {
                    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
                    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
                    if name.iter().all(plain) {
                        read(tree, &path, depth + 1, files, lines)?;
                    }
                }
            }
            _ => {
                if lines.len() == MOST {
                    return Err(too_many());
                }
                lines.push(Line { path: shared.clone(), line, words });
            }
        }
    }
    Ok(())
}

/// A path that is relative to the directory of the file that has it.
fn beside(directory: &[u8], path: &[u8]) -> Vec<u8> {
    match path.first() {
        Some(b'/') => path.to_vec(),
        _ => [directory, b"/", path].concat(),
    }
}

/// The paths that a pattern stands for; patterns in the last component only, as in all files that are known.
fn expanded(tree: &mut Tree<'_>, pattern: &[u8]) -> Result<Vec<Vec<u8>>, Trouble> {
    if !has_wildcard(pattern) {
        return Ok(vec![pattern.to_vec()]);
    }
    let at = pattern.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    let (directory, last) = (&pattern[..at], &pattern[at + 1..]);
    let names = tree.names(directory, "")?.into_iter();
    let is_meant = |name: &Vec<u8>| matches(last, name) && !name.starts_with(b".");
    Ok(names.filter(is_meant).map(|name| [directory, b"/", &name[..]].concat()).collect())
}

#[cfg(test)]
mod tests {
    use super::super::super::super::fs::memory::Memory;
    use super::super::super::super::tree::testing::tree;
    use super::*;

    fn found(memory: Memory) -> Vec<(String, u32, Fit, Gives)> {
        let ways = ways(&mut tree(vec![memory]), &Nic::any()).unwrap().into_iter();
        ways.map(|way| (String::from_utf8(way.path).unwrap(), way.line, way.fit, way.gives))
            .collect()
    }

    const FILE: &str = "/etc/network/interfaces";

    #[test]
    fn stanzas_that_start_by_themselves_count() {
        let at = |line, fit, gives| vec![(FILE.to_owned(), line, fit, gives)];
        for (text, wanted) in [
            (
                "auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet dhcp\n",
                at(4, Fit::Yes, Gives::Dhcp),
            ),
            ("allow-hotplug eth0\r\n\tiface eth0 inet dhcp\r\n", at(2, Fit::Yes, Gives::Dhcp)),
            ("auto \\\n eth0\niface eth0 \\\n inet dhcp\n", at(4, Fit::Yes, Gives::Dhcp)),
            ("auto /e*\niface ens3 inet dhcp\n", at(2, Fit::Yes, Gives::Dhcp)),
            ("auto eth0\niface eth0\n use dhcp\n", at(2, Fit::Yes, Gives::Dhcp)),
            ("auto eth0\niface eth0\n address 10.0.0.1/24\n", at(2, Fit::Yes, Gives::Static)),
            (
                "auto eth0\niface eth0 inet static\n address 10.0.0.1\n",
                at(2, Fit::Yes, Gives::Static),
            ),
            ("auto eth0\niface eth0 inet6 auto\n", at(2, Fit::Yes, Gives::SixOnly)),
            (
                "auto ens192\niface ens192 inet dhcp\n",
                at(2, Fit::Name(b"ens192".to_vec()), Gives::Dhcp),
            ),
            (
                "auto eth0\niface eth0 inet dhcp\n hwaddress ether 00:11\n",
                at(2, Fit::Mac(b"00:11".to_vec()), Gives::Dhcp),
            ),
            ("iface eth0 inet dhcp\n", vec![]),
            ("#auto eth0\niface eth0 inet dhcp\n", vec![]),
            ("auto eth0\niface eth0 inet manual\n", vec![]),
            ("auto eth0\n", vec![]),
        ] {
            assert_eq!(found(Memory::new().with(FILE, text)), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_included_counts_and_loops_end() {
        let memory = Memory::new()
            .with(FILE, "source /etc/network/interfaces.d/*\nsource-directory more\n")
            .with("/etc/network/interfaces.d/eth0", "auto eth0\niface eth0 inet dhcp\n")
            .with("/etc/network/more/a.bak", "auto ens3\niface ens3 inet dhcp\n")
            .with("/etc/network/more/b", "auto ens3\niface ens3 inet static\n");
        let found = found(memory);
        assert_eq!(found.len(), 2);
        assert_eq!((&found[0].0[..], found[0].3), ("/etc/network/interfaces.d/eth0", Gives::Dhcp));
        assert_eq!((&found[1].0[..], found[1].3), ("/etc/network/more/b", Gives::Static));
        let memory = Memory::new().with(FILE, "source /etc/network/interfaces\n");
        assert!(ways(&mut tree(vec![memory]), &Nic::any()).is_err());
    }
}
