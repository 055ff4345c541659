//! The interface of a Droplet, as a configuration sees it: its names, its driver, and what nobody knows beforehand.

use super::super::super::fs::{Trouble, Why};
use super::super::super::tree::Tree;
use super::pins::Links;
use super::text::{matches, words};

/// The driver of the interface, as udev names it.
const DRIVER: &[u8] = b"virtio_net";

/// Where the interface is, as udev names it.
const PATH: &[u8] = b"pci-0000:00:03.0";

/// What the interface of a Droplet looks like inside this guest.
#[derive(Clone, Debug)]
pub(super) struct Nic {
    /// The names that it may have.
    names: Vec<Vec<u8>>,
}

/// Whether something is meant for the interface of a Droplet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It is.
    Yes,
    /// It is for the interface with this MAC address, which no Droplet has.
    Mac(Vec<u8>),
    /// It is for an interface with this name, which a Droplet's does not have.
    Name(Vec<u8>),
    /// It is for something else than a network card.
    No,
}

/// What a configuration says of the interfaces that it is for.
#[derive(Clone, Debug, Default)]
pub(super) struct Match {
    pub(super) names: Vec<Vec<u8>>,
    pub(super) macs: Vec<Vec<u8>>,
    pub(super) drivers: Vec<Vec<u8>>,
    pub(super) types: Vec<Vec<u8>>,
    pub(super) kinds: Vec<Vec<u8>>,
    pub(super) paths: Vec<Vec<u8>>,
    /// It is for something that no Droplet is or has, such as a container or a radio.
    pub(super) elsewhere: bool,
    /// It has a condition that a Droplet meets, or may meet.
    pub(super) here: bool,
}

impl Match {
    /// In words, for whom it is.
    pub(super) fn words(&self) -> Vec<u8> {
        let list =
            [&self.names, &self.drivers, &self.types].into_iter().find(|list| !list.is_empty());
        match list {
            Some(list) if list.iter().all(|word| word == b"*") => EVERY.to_vec(),
            Some(list) => list.join(&b' '),
            None => EVERY.to_vec(),
        }
    }
}

/// How all interfaces are called in words.
pub(super) const EVERY: &[u8] = b"every interface";

impl Nic {
    /// What the guest's udev, its links and the command line of its kernel make of the name.
    ///
    /// # Errors
    /// If the places of it cannot be read.
    pub(super) fn read(
        tree: &mut Tree<'_>,
        command_line: Option<&[u8]>,
        links: &Links,
    ) -> Result<Nic, Trouble> {
        let (kernel, slot): (&[&[u8]], &[&[u8]]) = (&[b"eth0"], &[b"ens3", b"ens4", b"ens5"]);
        let of = |lists: &[&[&[u8]]]| {
            let mut names: Vec<Vec<u8>> = lists.concat().iter().map(|name| name.to_vec()).collect();
            names.extend(links.names.iter().cloned());
            Ok(Nic { names })
        };
        if links.keeps_kernel_names || !renames(tree)? {
            return of(&[kernel]);
        }
        match command_line {
            None => of(&[kernel, slot]),
            Some(line) if words(line).any(|word| word == b"net.ifnames=0") => of(&[kernel]),
            Some(_) => of(&[slot]),
        }
    }

    /// A guest of which nothing is known.
    #[cfg(test)]
    pub(super) fn any() -> Nic {
        Nic { names: [&b"eth0"[..], b"ens3"].map(<[u8]>::to_vec).to_vec() }
    }

    /// Whether a name or a pattern of names is meant for it.
    pub(super) fn named(&self, pattern: &[u8]) -> Fit {
        if self.names.iter().any(|name| matches(pattern, name)) {
            return Fit::Yes;
        }
        // eth1 is the second one of a Droplet, which is private.
        let is_card = pattern.starts_with(b"e") && pattern != b"eth1"
            || pattern.starts_with(b"p") && pattern.get(1).is_some_and(u8::is_ascii_digit);
        if is_card { Fit::Name(pattern.to_vec()) } else { Fit::No }
    }

    /// Whether what a configuration asks for is met by it.
    pub(super) fn fits(&self, asked: &Match) -> Fit {
        if asked.elsewhere
            || !holds(&asked.drivers, |pattern| matches(pattern, DRIVER))
            || !holds(&asked.types, |pattern| matches(pattern, b"ether"))
            // A card has no kind at all.
            || !holds(&asked.kinds, |pattern| pattern.is_empty())
        {
            return Fit::No;
        }
        if let Some(mac) = asked.macs.first() {
            return Fit::Mac(mac.clone());
        }
        if !holds(&asked.paths, |pattern| matches(pattern, PATH)) {
            return Fit::Name(asked.paths.join(&b' '));
        }
        if asked.names.first().is_some_and(|name| name.starts_with(b"!")) {
            let name = |pattern: &[u8]| self.named(pattern) == Fit::Yes;
            return if holds(&asked.names, name) { Fit::Yes } else { Fit::No };
        }
        let mut best = if asked.names.is_empty() { Fit::Yes } else { Fit::No };
        for name in &asked.names {
            match self.named(name) {
                Fit::Yes => return Fit::Yes,
                other if best == Fit::No => best = other,
                _ => {}
            }
        }
        best
    }
}

/// Whether a list of patterns holds, as systemd reads one: with a `!` at its beginning, none of them may.
fn holds(list: &[Vec<u8>], matches: impl Fn(&[u8]) -> bool) -> bool {
    let Some(first) = list.first() else { return true };
    match first.strip_prefix(b"!") {
        Some(rest) => !matches(rest) && !list[1..].iter().any(|pattern| matches(pattern)),
        None => list.iter().any(|pattern| matches(pattern)),
    }
}

/// Whether udev renames interfaces by their place.
fn renames(tree: &mut Tree<'_>) -> Result<bool, Trouble> {
    // OpenRC starts udev only where it is asked to; Alpine has mdev, which renames nothing.
    if tree.is_directory("/etc/runlevels")? && tree.lstat("/etc/runlevels/sysinit/udev")?.is_none()
    {
        return Ok(false);
    }
    for name in ["80-net-setup-link.rules", "80-net-name-slot.rules"] {
        if is_hidden(tree, format!("/etc/udev/rules.d/{name}"))? {
            continue;
        }
        for directory in ["/usr/lib/udev/rules.d", "/lib/udev/rules.d", "/etc/udev/rules.d"] {
            if tree.is_regular(format!("{directory}/{name}"))? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether a file is there only to hide the one of its name elsewhere: it is a link to /dev/null, or empty.
///
/// # Errors
/// If it cannot be read.
pub(super) fn is_hidden(tree: &mut Tree<'_>, path: impl AsRef<[u8]>) -> Result<bool, Trouble> {
    if let Some(target) = tree.link(&path)? {
        return Ok(target == b"/dev/null");
    }
    Ok(tree.stat(&path)?.is_some_and(|found| found.inode.size == 0))
}

/// The contents of a file that has to be read whole to know what it says.
///
/// # Errors
/// If it cannot be read, or goes on behind what is read.
pub(super) fn whole(
    tree: &mut Tree<'_>,
    path: impl AsRef<[u8]>,
) -> Result<Option<super::super::super::tree::Text>, Trouble> {
    match tree.text(path)? {
        Some(text) if text.cut => {
            Err(Why::Limit("a file of the network's configuration is longer than 1 MiB").into())
        }
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Vec<Vec<u8>> {
        words.iter().map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn what_is_asked_is_met_or_not() {
        let nic = Nic::any();
        let fits = |change: fn(&mut Match)| {
            let mut asked = Match::default();
            change(&mut asked);
            nic.fits(&asked)
        };
        assert_eq!(fits(|_| {}), Fit::Yes);
        assert_eq!(fits(|m| m.names = list(&["wl*", "e*"])), Fit::Yes);
        assert_eq!(fits(|m| m.names = list(&["!wl*", "docker*"])), Fit::Yes);
        assert_eq!(fits(|m| m.names = list(&["!e*"])), Fit::No);
        assert_eq!(fits(|m| m.names = list(&["ens160"])), Fit::Name(b"ens160".to_vec()));
        assert_eq!(fits(|m| m.names = list(&["docker0"])), Fit::No);
        assert_eq!(fits(|m| m.macs = list(&["00:11"])), Fit::Mac(b"00:11".to_vec()));
        assert_eq!(fits(|m| m.drivers = list(&["virtio*"])), Fit::Yes);
        assert_eq!(fits(|m| m.drivers = list(&["vmxnet3"])), Fit::No);
        assert_eq!(fits(|m| m.types = list(&["wlan"])), Fit::No);
        assert_eq!(fits(|m| m.types = list(&["!loopback"])), Fit::Yes);
        assert_eq!(fits(|m| m.kinds = list(&["!*"])), Fit::Yes);
        assert_eq!(fits(|m| m.kinds = list(&["veth"])), Fit::No);
        assert!(matches!(fits(|m| m.paths = list(&["pci-0000:0b:00.0"])), Fit::Name(_)));
    }
}
