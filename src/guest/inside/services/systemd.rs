//! Services of systemd: which units the target of the boot leads to.
//!
//! From the default target, links in `*.wants`, `*.requires` and `*.upholds` are followed, and what the files of targets
//! name. A service that is wanted by another service counts; what a service's own file names does not, so that not every
//! unit of a system is read.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::super::super::fs::{Kind, Trouble, Why};
use super::super::super::tree::{Text, Tree};
use super::super::patterns;
use super::asked::Asked;
use super::text::{values, words};
use super::{On, UNIT_PATHS, best};

/// Links from alias to alias that are followed at most.
const MOST_ALIASES: usize = 8;

/// Units that the boot leads to, and targets whose files are read, at most.
const MOST_UNITS: usize = 1 << 14;
const MOST_TARGETS: usize = 512;

/// Sockets, paths and timers whose files are read at most, to see what they start.
const MOST_ACTIVATORS: usize = 256;

/// Files and lines of presets that tidegate reads at most.
const MOST_PRESETS: usize = 512;

/// Keys of `[Unit]` that start other units.
const STARTS: [&[u8]; 4] = [b"Wants", b"Requires", b"BindsTo", b"Upholds"];

type Name = Vec<u8>;

/// The units of a guest, and which of them a boot leads to.
#[derive(Debug)]
pub(in crate::guest) struct Systemd {
    /// Directories of units, without links, the first one first.
    dirs: Vec<Vec<u8>>,
    /// The entries of these, by name: which directories have one, and what it is there.
    entries: HashMap<Name, Vec<(usize, Kind)>>,
    /// Where links among them lead to: the last component.
    links: HashMap<Name, Name>,
    /// Masked by the command line.
    masked: HashSet<Name>,
    /// What the boot leads to, by the names that it was asked for with.
    reached: HashSet<Name>,
    /// What names the target of the boot (none: the command line), and the target.
    target: Option<(Option<Vec<u8>>, Name)>,
    /// Whether presets count, as on a first boot.
    first_boot: bool,
}

/// What a name of a unit leads to.
enum Unit {
    Absent,
    Masked,
    /// A file, under this name.
    File(Name, Vec<u8>),
}

impl Systemd {
    /// Reads which units are there, and follows them from the target that the boot leads to.
    ///
    /// # Errors
    /// If the directories of units cannot be read, or lead to more than is followed.
    pub(in crate::guest) fn read(
        tree: &mut Tree<'_>,
        command_line: Option<&[u8]>,
    ) -> Result<Self, Trouble> {
        let mut systemd = Systemd {
            dirs: Vec::new(),
            entries: HashMap::new(),
            links: HashMap::new(),
            masked: HashSet::new(),
            reached: HashSet::new(),
            target: None,
            first_boot: is_first_boot(tree)?,
        };
        systemd.list(tree)?;
        let asked = Asked::of(command_line.unwrap_or_default());
        systemd.masked.extend(asked.masked);
        systemd.target = match asked.target {
            Some(target) => Some((None, target)),
            None => {
                systemd.path(b"default.target").map(|path| (Some(path), b"default.target".to_vec()))
            }
        };
        let mut start = asked.wanted;
        match &mut systemd.target {
            Some((_, target)) => start.push(target.clone()),
            // A generator may make one.
            None => {
                start.extend([&b"graphical.target"[..], b"multi-user.target"].map(<[u8]>::to_vec))
            }
        }
        systemd.follow(tree, start)?;
        if let Some((from, target)) = systemd.target.take() {
            systemd.target = match systemd.unit(tree, &target)? {
                Unit::File(name, _) => Some((from, name)),
                Unit::Masked | Unit::Absent => Some((from, target)),
            };
        }
        Ok(systemd)
    }

    /// The target that the boot leads to, and the path of what names it; without a path it is the command line.
    pub(super) fn boots_into(&self) -> Option<(Option<&[u8]>, Name)> {
        self.target.as_ref().map(|(from, target)| (from.as_deref(), target.clone()))
    }

    /// Whether a unit starts at boot that has one of these names; `.service` need not be said.
    ///
    /// # Errors
    /// If the places of it cannot be read.
    pub(in crate::guest) fn is_on(
        &self,
        tree: &mut Tree<'_>,
        names: &[&str],
    ) -> Result<On, Trouble> {
        best(names.iter().copied(), |name| match name.contains('.') {
            true => self.is_one_on(tree, name.as_bytes()),
            false => self.is_one_on(tree, format!("{name}.service").as_bytes()),
        })
    }

    /// Whether no unit at all was found.
    pub(in crate::guest) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The file of a unit, if it is there and not masked.
    ///
    /// # Errors
    /// If the places of it cannot be read.
    pub(in crate::guest) fn file(
        &self,
        tree: &mut Tree<'_>,
        name: &[u8],
    ) -> Result<Option<Vec<u8>>, Trouble> {
        Ok(match self.unit(tree, name)? {
            Unit::File(_, path) => Some(path),
            Unit::Absent | Unit::Masked => None,
        })
    }

    fn is_one_on(&self, tree: &mut Tree<'_>, name: &[u8]) -> Result<On, Trouble> {
        let (name, path) = match self.unit(tree, name)? {
            Unit::Absent => return super::sysv_on(tree, name),
            Unit::Masked => return Ok(On::Masked),
            Unit::File(name, path) => (name, path),
        };
        if self.is_reached(tree, &name)? || self.is_preset(tree, &name, &path)? {
            return Ok(On::Yes);
        }
        let Some(stem) = name.strip_suffix(b".service") else { return Ok(On::No) };
        let stem = stem.strip_suffix(b"@").unwrap_or(stem);
        for kind in [&b".socket"[..], b".path", b".timer"] {
            let activator = [stem, kind].concat();
            if let Unit::File(found, path) = self.unit(tree, &activator)?
                && (self.is_reached(tree, &found)? || self.is_preset(tree, &found, &path)?)
                && starts(tree, &path, &name)?.unwrap_or(true)
            {
                return Ok(On::Yes);
            }
        }
        let is_other = |other: &&Name| {
            [&b".socket"[..], b".path", b".timer"].iter().any(|kind| other.ends_with(kind))
        };
        let mut others: Vec<&Name> = self.reached.iter().filter(is_other).collect();
        others.sort();
        for other in others.into_iter().take(MOST_ACTIVATORS) {
            if let Unit::File(_, path) = self.unit(tree, other)?
                && starts(tree, &path, &name)? == Some(true)
            {
                return Ok(On::Yes);
            }
        }
        Ok(On::No)
    }

    /// Lists the directories of units.
    fn list(&mut self, tree: &mut Tree<'_>) -> Result<(), Trouble> {
        // NixOS has them in its profile, until it was activated once.
        let nix = "/nix/var/nix/profiles/system/etc/systemd/system";
        for path in UNIT_PATHS.into_iter().chain([nix]) {
            let Some(found) = tree.stat(path)? else { continue };
            if self.dirs.contains(&found.path) || path == nix && !self.dirs.is_empty() {
                continue;
            }
            let Some(entries) = tree.list(path)? else { continue };
            let number = self.dirs.len();
            self.dirs.push(found.path);
            for entry in entries {
                let places = self.entries.entry(entry.name).or_default();
                places.push((number, entry.kind));
            }
        }
        let links: Vec<(Name, Vec<u8>)> = self
            .entries
            .iter()
            .filter(|(_, places)| places[0].1 == Kind::Link)
            .map(|(name, places)| (name.clone(), self.place(places[0].0, name)))
            .collect();
        for (name, path) in links {
            let target = tree.link(path)?.unwrap_or_default();
            let last = target.rsplit(|&byte| byte == b'/').find(|part| !part.is_empty());
            self.links.insert(name, last.unwrap_or_default().to_vec());
        }
        Ok(())
    }

    fn place(&self, dir: usize, name: &[u8]) -> Vec<u8> {
        [&self.dirs[dir][..], b"/", name].concat()
    }

    /// The path of the entry of this name that counts.
    fn path(&self, name: &[u8]) -> Option<Vec<u8>> {
        let (dir, _) = self.entries.get(name)?.iter().find(|(_, kind)| *kind != Kind::Directory)?;
        Some(self.place(*dir, name))
    }

    /// What a name leads to.
    fn unit(&self, tree: &mut Tree<'_>, name: &[u8]) -> Result<Unit, Trouble> {
        let mut name = name.to_vec();
        for _ in 0..MOST_ALIASES {
            if self.masked.contains(&name) {
                return Ok(Unit::Masked);
            }
            let alias = self.links.get(&name).filter(|&target| {
                *target != name
                    && target.contains(&b'.')
                    && Some(target) != template(&name).as_ref()
            });
            if let Some(alias) = alias {
                name.clone_from(alias);
                continue;
            }
            let Some(places) = self.entries.get(&name) else {
                match template(&name).filter(|template| self.entries.contains_key(template)) {
                    // An instance.
                    Some(template) => {
                        return Ok(match self.unit_file(tree, &template)? {
                            Unit::File(_, path) => Unit::File(name, path),
                            other => other,
                        });
                    }
                    None => return Ok(Unit::Absent),
                }
            };
            debug_assert!(!places.is_empty());
            return self.unit_file(tree, &name);
        }
        Ok(Unit::Absent)
    }

    /// The file of a unit whose name is no alias.
    fn unit_file(&self, tree: &mut Tree<'_>, name: &[u8]) -> Result<Unit, Trouble> {
        for (dir, kind) in self.entries.get(name).into_iter().flatten() {
            let path = self.place(*dir, name);
            match kind {
                Kind::Directory => continue,
                Kind::Special => return Ok(Unit::Masked),
                Kind::Link if is_null(tree, &path)? => return Ok(Unit::Masked),
                Kind::Link | Kind::Regular => {}
            }
            match tree.stat(&path)? {
                Some(found) if found.inode.kind == Kind::Regular && found.inode.size > 0 => {
                    return Ok(Unit::File(name.to_vec(), path));
                }
                Some(found) if found.inode.kind != Kind::Directory => return Ok(Unit::Masked),
                // It leads nowhere: another directory may have the file.
                _ => {}
            }
        }
        Ok(Unit::Absent)
    }

    /// All names of a unit: its own, and those of links that lead to it.
    fn names(&self, name: &[u8]) -> Vec<Name> {
        let mut names = vec![name.to_vec()];
        let mut at = 0;
        while at < names.len() && names.len() < 64 {
            let aliases = self
                .links
                .iter()
                .filter(|(alias, target)| **target == names[at] && **alias != names[at]);
            let aliases: Vec<Name> = aliases.map(|(alias, _)| alias.clone()).collect();
            names.extend(aliases);
            at += 1;
        }
        names
    }

    fn is_reached(&self, tree: &mut Tree<'_>, name: &[u8]) -> Result<bool, Trouble> {
        if self.names(name).iter().any(|name| self.reached.contains(name)) {
            return Ok(true);
        }
        // Any instance will do for a template.
        let Some(stem) = name.strip_suffix(b"@.service") else { return Ok(false) };
        let is_instance =
            |other: &&Name| other.strip_prefix(stem).is_some_and(|rest| rest.starts_with(b"@"));
        let instances: Vec<&Name> = self.reached.iter().filter(is_instance).collect();
        for instance in instances {
            if matches!(self.unit(tree, instance)?, Unit::File(..)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Follows all that these units lead to.
    fn follow(&mut self, tree: &mut Tree<'_>, start: Vec<Name>) -> Result<(), Trouble> {
        let mut aliases: HashMap<&Name, Vec<&Name>> = HashMap::new();
        for (alias, target) in &self.links {
            aliases.entry(target).or_default().push(alias);
        }
        let (mut reached, mut todo) = (HashSet::new(), VecDeque::from(start));
        let mut targets = 0;
        while let Some(name) = todo.pop_front() {
            if !reached.insert(name.clone()) {
                continue;
            }
            if reached.len() + todo.len() > MOST_UNITS {
                return Err(Why::Limit("more units are started than are followed").into());
            }
            let is_target = name.ends_with(b".target");
            // Few services want others by links, so nothing is read for those that do not.
            if !is_target && !DEPENDS.iter().any(|kind| self.has_directory(&name, kind)) {
                continue;
            }
            let Unit::File(own, path) = self.unit(tree, &name)? else { continue };
            if own != name {
                todo.push_back(own.clone());
            }
            todo.extend(aliases.get(&own).into_iter().flatten().map(|name| (*name).clone()));
            for kind in DEPENDS {
                todo.extend(self.dependents(tree, &name, kind)?);
            }
            if is_target && own == name {
                targets += 1;
                if targets > MOST_TARGETS {
                    return Err(Why::Limit("more targets are started than are read").into());
                }
                todo.extend(self.said(tree, &name, &path)?);
            }
        }
        self.reached = reached;
        Ok(())
    }

    fn has_directory(&self, name: &[u8], kind: &str) -> bool {
        self.entries.contains_key(&[name, kind.as_bytes()].concat())
    }

    /// What a directory like `multi-user.target.wants` names; one that leads to /dev/null hides that of a later directory.
    fn dependents(
        &self,
        tree: &mut Tree<'_>,
        name: &[u8],
        kind: &str,
    ) -> Result<Vec<Name>, Trouble> {
        let directory = [name, kind.as_bytes()].concat();
        let mut found: BTreeMap<Name, bool> = BTreeMap::new();
        for (dir, _) in self.entries.get(&directory).into_iter().flatten() {
            let path = self.place(*dir, &directory);
            for entry in tree.list(&path)?.unwrap_or_default() {
                let below = [&path[..], b"/", &entry.name].concat();
                if let Entry::Vacant(vacant) = found.entry(entry.name) {
                    vacant.insert(entry.kind == Kind::Link && !is_null(tree, &below)?);
                }
            }
        }
        Ok(found.into_iter().filter_map(|(name, counts)| counts.then_some(name)).collect())
    }

    /// What the file of a unit and its drop-ins name.
    fn said(&self, tree: &mut Tree<'_>, name: &[u8], path: &[u8]) -> Result<Vec<Name>, Trouble> {
        let mut texts: Vec<Text> = tree.text(path)?.into_iter().collect();
        let directory = [name, b".d"].concat();
        let mut drop_ins: BTreeMap<Name, Vec<u8>> = BTreeMap::new();
        for (dir, _) in self.entries.get(&directory).into_iter().flatten() {
            let path = self.place(*dir, &directory);
            for name in tree.names(&path, ".conf")?.into_iter().take(MOST_PRESETS) {
                let file = [&path[..], b"/", &name].concat();
                drop_ins.entry(name).or_insert(file);
            }
        }
        for path in drop_ins.into_values() {
            texts.extend(tree.text(path)?);
        }
        let mut names = Vec::new();
        for text in texts {
            for (_, value) in values(&text, b"Unit", &STARTS) {
                names.extend(words(&value).map(<[u8]>::to_vec).take(MOST_PRESETS));
            }
        }
        Ok(names)
    }

    /// Whether a first boot enables a unit: a preset says so, or none speaks of it, and its `[Install]` leads to what the
    /// boot leads to.
    fn is_preset(&self, tree: &mut Tree<'_>, name: &[u8], path: &[u8]) -> Result<bool, Trouble> {
        if !self.first_boot {
            return Ok(false);
        }
        let Some(text) = tree.text(path)? else { return Ok(false) };
        let by: [&[u8]; 3] = [b"WantedBy", b"RequiredBy", b"UpheldBy"];
        let by = values(&text, b"Install", &by);
        let reached = |value: &Vec<u8>| words(value).any(|target| self.reached.contains(target));
        if !by.iter().any(|(_, value)| reached(value)) {
            return Ok(false);
        }
        let mut files: BTreeMap<Name, Vec<u8>> = BTreeMap::new();
        for path in UNIT_PATHS {
            let path = format!("{path}-preset");
            for name in tree.names(&path, ".preset")?.into_iter().take(MOST_PRESETS) {
                let file = [path.as_bytes(), b"/", &name].concat();
                files.entry(name).or_insert(file);
            }
        }
        for path in files.into_values() {
            let Some(text) = tree.text(path)? else { continue };
            for (_, line) in text.lines() {
                let mut words = words(line);
                let enables = match words.next() {
                    Some(b"enable") => true,
                    Some(b"disable" | b"ignore") => false,
                    _ => continue,
                };
                if words.next().is_some_and(|pattern| patterns::matches(pattern, name, true)) {
                    return Ok(enables);
                }
            }
        }
        Ok(true)
    }
}

/// Ends of the names of directories that have links to other units.
const DEPENDS: [&str; 3] = [".wants", ".requires", ".upholds"];

/// Whether systemd takes the next boot for the first one: it then enables what presets say.
fn is_first_boot(tree: &mut Tree<'_>) -> Result<bool, Trouble> {
    Ok(match tree.text_of("/etc/machine-id", 64)? {
        Some(text) => text.bytes.trim_ascii() == b"uninitialized",
        None => tree.lstat("/etc/machine-id")?.is_none(),
    })
}

/// The template of an instance.
fn template(name: &[u8]) -> Option<Name> {
    let at = name.iter().position(|&byte| byte == b'@')?;
    let dot = name.iter().rposition(|&byte| byte == b'.').filter(|&dot| dot > at + 1)?;
    Some([&name[..=at], &name[dot..]].concat())
}

/// Whether a link leads to /dev/null: at rest, a disk need not have that.
fn is_null(tree: &mut Tree<'_>, path: &[u8]) -> Result<bool, Trouble> {
    let target = tree.link(path)?.unwrap_or_default();
    let parts: Vec<&[u8]> = target
        .split(|&byte| byte == b'/')
        .filter(|part| !part.is_empty() && *part != b"..")
        .collect();
    Ok(parts == [&b"dev"[..], b"null"])
}

/// Whether the file of a socket, path or timer names this service to start; `None` if it names none.
fn starts(tree: &mut Tree<'_>, path: &[u8], service: &[u8]) -> Result<Option<bool>, Trouble> {
    let Some(text) = tree.text(path)? else { return Ok(None) };
    let mut named = None;
    for (section, key) in [("Socket", "Service"), ("Path", "Unit"), ("Timer", "Unit")] {
        for (_, value) in values(&text, section.as_bytes(), &[key.as_bytes()]) {
            named = Some(value.trim_ascii() == service);
        }
    }
    Ok(named)
}
