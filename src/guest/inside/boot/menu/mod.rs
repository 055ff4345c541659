//! The menu of the boot loader: which entry boots by itself, and what it loads.
//!
//! Each kind of menu has a reader that makes [`Entry`]s of a text; here their files are found, in the place where the loader
//! looks, and the paths in them led to files: relative to the volume that the loader reads, as it knows no mounts.

mod bls;
mod environment;
mod grub;
mod lists;
mod words;

#[cfg(test)]
mod tests;

use super::super::super::fs::{Kind, Trouble};
use super::super::super::tree::{Found, Text, Tree};
use super::super::super::volumes::{Holds, Volume};
use super::bios::Loader;
use environment::Environment;

pub(super) use bls::newer;

/// Files that an entry loads at most, besides its kernel.
const MOST_INITRDS: usize = 8;

/// Bytes of a command line at most (COMMAND_LINE_SIZE of Linux is 2048 on x86).
const LONGEST_OPTIONS: usize = 4096;

/// Components that a path is cut by to look for a file in a mounted subvolume: `/@/.snapshots/1/snapshot/boot/vmlinuz`.
const MOST_CUT: usize = 5;

/// An entry of a menu.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) title: Vec<u8>,
    /// What it is called by others: the id of GRUB, the label of SYSLINUX.
    id: Vec<u8>,
    /// The file that it is written in.
    pub(super) path: Vec<u8>,
    pub(super) line: u32,
    /// What it loads first; `None` if that is no Linux.
    pub(super) kernel: Option<Vec<u8>>,
    pub(super) initrds: Vec<Vec<u8>>,
    /// The command line.
    pub(super) options: Vec<u8>,
    /// What paths are relative to.
    on: On,
    /// The submenu that it is in, by its place in the list.
    parent: Option<usize>,
    is_submenu: bool,
}

/// Which volume paths are relative to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum On {
    /// That of the menu.
    #[default]
    Menu,
    /// That with this UUID…
    Uuid(Vec<u8>),
    /// …this label…
    Label(Vec<u8>),
    /// …this file…
    File(Vec<u8>),
    /// …this number of a partition…
    Partition(u32),
    /// …or this place in the list.
    Volume(usize),
}

/// A menu, and the entry in it that boots by itself.
#[derive(Clone, Debug)]
pub(super) struct Menu {
    /// The file.
    pub(super) path: Vec<u8>,
    /// `None` if it has none.
    pub(super) entry: Option<Entry>,
    /// Whether it goes on with another one, which is not read.
    pub(super) goes_on: bool,
    /// The volume that the loader reads.
    pub(super) volume: usize,
    /// The folder that paths without a slash at the beginning are relative to.
    folder: Vec<u8>,
}

/// Where a path of a menu leads.
#[derive(Clone, Debug)]
pub(super) enum Led {
    /// To this.
    To(Found),
    /// To nothing.
    Nowhere,
    /// To a volume that is not looked into.
    Unread,
}

/// A kind of menu.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Grub,
    Syslinux,
    Legacy,
    /// Entries of the Boot Loader Specification alone, as systemd-boot has them.
    Bls,
}

/// Where menus are, seen from the guest's root…
const PLACES: [(Sort, &str); 15] = [
    (Sort::Grub, "/boot/grub/grub.cfg"),
    (Sort::Grub, "/boot/grub2/grub.cfg"),
    (Sort::Syslinux, "/boot/extlinux/extlinux.conf"),
    (Sort::Syslinux, "/boot/extlinux.conf"),
    (Sort::Syslinux, "/extlinux/extlinux.conf"),
    (Sort::Syslinux, "/extlinux.conf"),
    (Sort::Syslinux, "/boot/syslinux/syslinux.cfg"),
    (Sort::Syslinux, "/boot/syslinux/extlinux.conf"),
    (Sort::Syslinux, "/boot/syslinux.cfg"),
    (Sort::Syslinux, "/syslinux/syslinux.cfg"),
    (Sort::Legacy, "/boot/grub/menu.lst"),
    (Sort::Legacy, "/boot/grub/grub.conf"),
    (Sort::Bls, "/boot"),
    (Sort::Bls, "/efi"),
    (Sort::Bls, "/boot/efi"),
];

/// …and from the root of a volume that is not mounted there.
const PLACES_ON_VOLUME: [(Sort, &str); 12] = [
    (Sort::Grub, "/grub/grub.cfg"),
    (Sort::Grub, "/grub2/grub.cfg"),
    (Sort::Grub, "/boot/grub/grub.cfg"),
    (Sort::Grub, "/boot/grub2/grub.cfg"),
    (Sort::Grub, "/flatcar/grub/grub.cfg"),
    (Sort::Grub, "/coreos/grub/grub.cfg"),
    (Sort::Syslinux, "/extlinux/extlinux.conf"),
    (Sort::Syslinux, "/extlinux.conf"),
    (Sort::Syslinux, "/syslinux/syslinux.cfg"),
    (Sort::Syslinux, "/syslinux.cfg"),
    (Sort::Legacy, "/grub/menu.lst"),
    (Sort::Bls, "/"),
];

/// The menus that a loader reads, the first one first.
fn sorts(loader: Option<Loader>) -> &'static [Sort] {
    match loader {
        Some(Loader::Grub) => &[Sort::Grub, Sort::Bls],
        Some(Loader::GrubLegacy) => &[Sort::Legacy],
        Some(Loader::Syslinux) => &[Sort::Syslinux],
        Some(Loader::FreeBsd) => &[],
        _ => &[Sort::Grub, Sort::Syslinux, Sort::Legacy, Sort::Bls],
    }
}

/// The menu that the loader reads; `None` if there is none where it may be.
///
/// # Errors
/// If a file that may be it cannot be read.
pub(super) fn find(tree: &mut Tree<'_>, loader: Option<Loader>) -> Result<Option<Menu>, Trouble> {
    for &sort in sorts(loader) {
        for (_, place) in PLACES.iter().filter(|(kind, _)| *kind == sort) {
            if let Some(found) = tree.stat(place)?
                && let Some(menu) = read(tree, sort, &found, place)?
            {
                return Ok(Some(menu));
            }
        }
        for volume in tree.opened() {
            for (_, place) in PLACES_ON_VOLUME.iter().filter(|(kind, _)| *kind == sort) {
                if let Some(found) = tree.within(volume, None, place)?
                    && let Some(menu) = read(tree, sort, &found, place)?
                {
                    return Ok(Some(menu));
                }
            }
        }
    }
    Ok(None)
}

/// Reads the menu of this kind at a path that led to this; `None` if it is none.
fn read(
    tree: &mut Tree<'_>,
    sort: Sort,
    found: &Found,
    place: &str,
) -> Result<Option<Menu>, Trouble> {
    let path = place.as_bytes();
    let folder = folder_of(&on_volume(tree, found)).to_vec();
    let menu = |path: &[u8], (entry, goes_on)| Menu {
        path: path.to_vec(),
        entry,
        goes_on,
        volume: found.volume,
        folder,
    };
    if sort == Sort::Bls {
        let entries = bls::read(tree, path, found, &Environment::default())?;
        let entry = entries.into_iter().next();
        return Ok(entry.map(|entry| menu(&entry.path.clone(), (Some(entry), false))));
    }
    let Some(text) = tree.text_at(found, path, super::super::super::tree::TEXT)? else {
        return Ok(None);
    };
    let entry = match sort {
        Sort::Syslinux => (lists::syslinux(&text), false),
        Sort::Legacy => (lists::legacy(&text), false),
        _ => of_grub(tree, &text, found)?,
    };
    Ok(Some(menu(path, entry)))
}

/// The entry of a grub.cfg that boots by itself, and whether it goes on elsewhere.
fn of_grub(
    tree: &mut Tree<'_>,
    text: &Text,
    found: &Found,
) -> Result<(Option<Entry>, bool), Trouble> {
    let path = [folder_of(&text.path), b"/grubenv"].concat();
    let mut environment = Environment::default();
    let block = match tree.stat(&path)?.filter(|other| other.volume == found.volume) {
        Some(block) => Some(block),
        None => tree.within(found.volume, None, &path)?,
    };
    if let Some(block) = block
        && let Some(block) = tree.text_at(&block, &path, environment::BLOCK)?
    {
        environment.read_block(&block);
    }
    let mut script = grub::Script::run(text, &mut environment);
    if let Some(at) = script.blscfg
        && let Some((path, boot)) = bls_root(tree, found)?
    {
        let entries = bls::read(tree, &path, &boot, &environment)?;
        script.insert(at, entries);
    }
    Ok((script.chosen(), script.goes_on))
}

/// The directory that has `loader/entries` for GRUB, and what it is called: that above the folder of its menu, or the root
/// of the guest's /boot.
fn bls_root(tree: &mut Tree<'_>, menu: &Found) -> Result<Option<(Vec<u8>, Found)>, Trouble> {
    if let Some(boot) = tree.stat("/boot")?
        && tree.is_directory("/boot/loader/entries")?
    {
        return Ok(Some((b"/boot".to_vec(), boot)));
    }
    for path in ["/", "/boot"] {
        if tree.within(menu.volume, None, format!("{path}/loader/entries"))?.is_some() {
            let root = tree.within(menu.volume, None, path)?;
            return Ok(root.map(|root| (path.as_bytes().to_vec(), root)));
        }
    }
    Ok(None)
}

impl Menu {
    /// Where a path of the entry leads.
    ///
    /// # Errors
    /// If what is on the way cannot be read.
    pub(super) fn lead(
        &self,
        tree: &mut Tree<'_>,
        entry: &Entry,
        path: &[u8],
    ) -> Result<Led, Trouble> {
        let (on, path) = device(path);
        let volume = match on.as_ref().unwrap_or(&entry.on) {
            On::Menu => Some(self.volume),
            // A search that finds nothing leaves the loader where it is.
            On::Uuid(uuid) => Some(by_uuid(tree.volumes(), uuid).unwrap_or(self.volume)),
            On::Label(label) => Some(by_label(tree.volumes(), label).unwrap_or(self.volume)),
            On::Volume(volume) => Some(*volume),
            On::Partition(number) => {
                tree.volumes().iter().position(|volume| volume.partition == Some(*number))
            }
            On::File(file) => {
                let mut found = None;
                for volume in tree.opened() {
                    if found.is_none() && tree.within(volume, None, file)?.is_some() {
                        found = Some(volume);
                    }
                }
                found
            }
        };
        let whole = match path.first() {
            Some(b'/') => path.to_vec(),
            _ => [&self.folder[..], b"/", path].concat(),
        };
        let Some(volume) = volume.filter(|volume| tree.opened().contains(volume)) else {
            return Ok(Led::Unread);
        };
        if let Some(found) = tree.within(volume, None, &whole)? {
            return Ok(Led::To(found));
        }
        self.lead_in_subvolume(tree, volume, &whole)
    }

    /// On btrfs, GRUB begins at the top of all subvolumes or at the default one, and what is mounted is one of them.
    fn lead_in_subvolume(
        &self,
        tree: &mut Tree<'_>,
        volume: usize,
        path: &[u8],
    ) -> Result<Led, Trouble> {
        if tree.volumes().get(volume).map(|volume| volume.holds) != Some(Holds::Btrfs) {
            return Ok(Led::Nowhere);
        }
        let top = match tree.system(volume) {
            Some(system) => system.subvolume(b"subvolid=5")?,
            None => None,
        };
        if let Some(top) = top
            && let Some(found) = tree.within(volume, Some(top), path)?
        {
            return Ok(Led::To(found));
        }
        let mut rest = path;
        for _ in 0..=MOST_CUT {
            if let Some(found) = tree.stat(rest)?.filter(|found| found.volume == volume) {
                return Ok(Led::To(found));
            }
            let Some(slash) = rest.iter().skip(1).position(|&byte| byte == b'/') else { break };
            rest = &rest[slash + 1..];
        }
        Ok(Led::Nowhere)
    }
}

#[cfg(test)]
impl Entry {
    /// An entry with this command line.
    pub(super) fn with_options(options: &str) -> Self {
        Entry { options: options.into(), ..Entry::default() }
    }
}

impl Led {
    /// Whether it leads to a regular file that is not empty; `None` if that is not known.
    pub(super) fn is_there(&self) -> Option<bool> {
        match self {
            Led::To(found) => Some(found.inode.kind == Kind::Regular && found.inode.size > 0),
            Led::Nowhere => Some(false),
            Led::Unread => None,
        }
    }
}

/// The folder of a path, without a slash at its end.
fn folder_of(path: &[u8]) -> &[u8] {
    path.rsplitn(2, |&byte| byte == b'/').nth(1).unwrap_or_default()
}

/// The path of a file on its volume: without what the volume is mounted at.
fn on_volume(tree: &Tree<'_>, found: &Found) -> Vec<u8> {
    let mounts = tree.mounted().into_iter().filter(|(volume, _)| *volume == found.volume);
    let inside = |(_, at): (usize, Vec<u8>)| {
        found.path.strip_prefix(&at[..]).filter(|rest| rest.starts_with(b"/")).map(<[u8]>::to_vec)
    };
    mounts.filter_map(inside).min_by_key(Vec::len).unwrap_or_else(|| found.path.clone())
}

/// The device in front of a path of GRUB, `(hd0,gpt2)/vmlinuz`, and the path.
fn device(path: &[u8]) -> (Option<On>, &[u8]) {
    let Some(rest) = path.strip_prefix(b"(") else { return (None, path) };
    let Some(end) = rest.iter().position(|&byte| byte == b')') else { return (None, path) };
    (partition(&rest[..end]), &rest[end + 1..])
}

/// The partition that GRUB means by `hd0,gpt2` or `hd0,msdos1` or `hd0,2`; the disk itself if it names none.
fn partition(device: &[u8]) -> Option<On> {
    let number = device.rsplitn(2, |&byte| byte == b',').next().unwrap_or_default();
    let digits = number.iter().position(u8::is_ascii_digit)?;
    let number = std::str::from_utf8(&number[digits..]).ok()?.parse().ok()?;
    device.contains(&b',').then_some(On::Partition(number))
}

fn by_uuid(volumes: &[Volume], uuid: &[u8]) -> Option<usize> {
    volumes.iter().position(|volume| {
        volume.uuid.as_ref().is_some_and(|known| known.as_bytes().eq_ignore_ascii_case(uuid))
    })
}

fn by_label(volumes: &[Volume], label: &[u8]) -> Option<usize> {
    volumes.iter().position(|volume| volume.label.as_deref() == Some(label))
}
