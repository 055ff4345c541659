//! What the build has written over a unit of systemd, and keeps it from starting: drop-ins, and units in /etc.
//!
//! A vendor's own unit is taken to start. What is judged is read from a guest at rest, so only what lies where no boot
//! makes or removes files counts.

use super::super::super::fs::{Kind, Trouble};
use super::super::super::tree::{Text, Tree};
use super::super::shown;
use super::UNIT_PATHS;
use super::text::{values, words};

/// Drop-ins that tidegate reads of a unit at most.
const MOST_FILES: usize = 64;

/// Directories that are the same at rest and after a boot.
const LASTING: [&[u8]; 7] =
    [b"/bin/", b"/etc/", b"/lib/", b"/opt/", b"/root/", b"/sbin/", b"/usr/"];

/// Why a unit does not start, and where that is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::guest) struct Obstacle {
    pub(in crate::guest) path: Vec<u8>,
    pub(in crate::guest) line: u32,
    /// A sentence without a period that begins with the unit's name.
    pub(in crate::guest) said: String,
}

/// A setting of a file.
struct Setting {
    path: Vec<u8>,
    line: u32,
    value: Vec<u8>,
}

/// What the build has written over a unit.
pub(in crate::guest) struct Overrides {
    unit: String,
    /// Each with its text, in the order in which systemd reads them.
    files: Vec<(Vec<u8>, Text)>,
}

impl Overrides {
    /// Reads the files in /etc that are a unit's, or change it.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(in crate::guest) fn read(tree: &mut Tree<'_>, unit: &str) -> Result<Self, Trouble> {
        let etc = UNIT_PATHS[0];
        let mut files = Vec::new();
        let own = format!("{etc}/{unit}");
        if tree.lstat(&own)?.is_some_and(|found| found.inode.kind == Kind::Regular)
            && let Some(text) = tree.text(&own)?
        {
            files.push((own.into_bytes(), text));
        }
        let mut places: Vec<(Vec<u8>, String)> = Vec::new();
        // Those of the unit itself are before those of all of its kind, if they have the same name.
        for directory in [format!("{etc}/service.d"), format!("{etc}/{unit}.d")] {
            for name in tree.names(&directory, ".conf")? {
                places.retain(|(other, _)| *other != name);
                places.push((name, directory.clone()));
            }
        }
        places.sort();
        for (name, directory) in places.into_iter().take(MOST_FILES) {
            let path = [directory.as_bytes(), b"/", &name[..]].concat();
            if let Some(text) = tree.text(&path)? {
                files.push((path, text));
            }
        }
        Ok(Overrides { unit: unit.to_owned(), files })
    }

    /// The values of a key: an empty one takes those before it away.
    fn list(&self, section: &[u8], key: &[u8]) -> Vec<Setting> {
        let mut list = Vec::new();
        for (path, text) in &self.files {
            for (line, value) in values(text, section, &[key]) {
                let value = value.trim_ascii().to_vec();
                match value.is_empty() {
                    true => list.clear(),
                    false => list.push(Setting { path: path.clone(), line, value }),
                }
            }
        }
        list
    }

    /// The words of the last command that starts it, if the build wrote one, and where.
    pub(in crate::guest) fn command(&self) -> Option<(Vec<Vec<u8>>, Vec<u8>, u32)> {
        let last = self.list(b"Service", b"ExecStart").pop()?;
        let mut command: Vec<Vec<u8>> = words(&last.value).map(<[u8]>::to_vec).collect();
        let first = command.first_mut()?;
        let prefixes = first.iter().take_while(|byte| b"@-:+!|".contains(byte)).count();
        first.drain(..prefixes);
        Some((command, last.path, last.line))
    }

    /// What keeps it from starting, if something does for certain.
    ///
    /// # Errors
    /// If what decides cannot be read.
    pub(in crate::guest) fn obstacle(
        &self,
        tree: &mut Tree<'_>,
    ) -> Result<Option<Obstacle>, Trouble> {
        let unit = &self.unit;
        for key in ["ConditionPathExists", "AssertPathExists"] {
            for setting in self.list(b"Unit", key.as_bytes()) {
                // One of several with a bar is enough.
                let (negated, path) = match &setting.value[..] {
                    [b'|', ..] => continue,
                    [b'!', path @ ..] => (true, path),
                    path => (false, path),
                };
                if is_lasting(path) && tree.exists(path)? == negated {
                    let is = if negated { "is there" } else { "is not there" };
                    let said = format!("{unit} starts only by {key}, and {} {is}", shown(path));
                    return Ok(Some(Obstacle { path: setting.path, line: setting.line, said }));
                }
            }
        }
        for key in ["Requires", "BindsTo", "Requisite"] {
            for setting in self.list(b"Unit", key.as_bytes()) {
                for other in words(&setting.value) {
                    if is_missing(tree, other)? {
                        let said = format!("{unit} requires {}, which is no unit", shown(other));
                        return Ok(Some(Obstacle { path: setting.path, line: setting.line, said }));
                    }
                }
            }
        }
        for setting in self.list(b"Service", b"EnvironmentFile") {
            let file = &setting.value;
            if is_lasting(file) && !file.contains(&b'*') && !tree.exists(file)? {
                let said = format!(
                    "{unit} takes its environment from {}, which is not there",
                    shown(file)
                );
                return Ok(Some(Obstacle { path: setting.path, line: setting.line, said }));
            }
        }
        // A command after a hyphen may fail.
        let before = self.list(b"Service", b"ExecStartPre");
        for setting in before.into_iter().filter(|setting| setting.value.ends_with(b"/false")) {
            if words(&setting.value).count() == 1 && setting.value.starts_with(b"/") {
                let said = format!("{unit} first runs {}, which fails", shown(&setting.value));
                return Ok(Some(Obstacle { path: setting.path, line: setting.line, said }));
            }
        }
        let Some((command, path, line)) = self.command() else { return Ok(None) };
        let program = &command[0];
        let name = program.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let does_nothing = [&b"true"[..], b"false"].contains(&name);
        let why = if does_nothing {
            "which does nothing"
        } else if is_lasting(program) && !tree.exists(program)? {
            "which is not there"
        } else {
            return Ok(None);
        };
        let said = format!("{unit} starts {}, {why}", shown(program));
        Ok(Some(Obstacle { path, line, said }))
    }
}

fn is_lasting(path: &[u8]) -> bool {
    LASTING.iter().any(|place| path.starts_with(place)) && !path.contains(&b'%')
}

/// Whether no directory of units has a service of this name. Other units are made by generators.
fn is_missing(tree: &mut Tree<'_>, unit: &[u8]) -> Result<bool, Trouble> {
    if !unit.ends_with(b".service") || unit.contains(&b'@') || unit.contains(&b'%') {
        return Ok(false);
    }
    for directory in UNIT_PATHS {
        if tree.lstat([directory.as_bytes(), b"/", unit].concat())?.is_some() {
            return Ok(false);
        }
    }
    let script = unit.strip_suffix(b".service").unwrap_or(unit);
    Ok(!tree.exists([b"/etc/init.d/", script].concat())?)
}

#[cfg(test)]
mod tests {
    use super::super::super::super::tree::testing::tree;
    use super::super::tests::debian;
    use super::*;

    fn said(name: &str, text: &str) -> String {
        let system = debian()
            .program("/usr/sbin/sshd")
            .with("/etc/default/ssh", "")
            .with(&format!("/etc/systemd/system/{name}"), text);
        let mut tree = tree(vec![system]);
        let overrides = Overrides::read(&mut tree, "ssh.service").unwrap();
        overrides.obstacle(&mut tree).unwrap().map(|it| it.said).unwrap_or_default()
    }

    #[test]
    fn what_the_build_writes_over_a_unit_may_keep_it_from_starting() {
        const OWN: &str = "ssh.service.d/o.conf";
        for (text, why) in [
            ("[Service]\nExecStart=\nExecStart=/bin/true\n", "which does nothing"),
            ("[Service]\nExecStart=\nExecStart=-/usr/local/sbin/sshd -D\n", "which is not there"),
            ("[Service]\nExecStart=/bin/true\nExecStart=\nExecStart=/usr/sbin/sshd -D\n", ""),
            ("[Service]\nExecStart=/run/made\n", ""),
            ("[Unit]\nConditionPathExists=/etc/nope\n", "/etc/nope is not there"),
            ("[Unit]\nConditionPathExists=/etc/nope\nConditionPathExists=\n", ""),
            ("[Unit]\nConditionPathExists=|/etc/nope\n", ""),
            ("[Unit]\nConditionPathExists=!/etc/default/ssh\n", "/etc/default/ssh is there"),
            ("[Unit]\nAssertPathExists=/run/nope\n", ""),
            ("[Unit]\nRequires=nope.service x.socket\n", "nope.service, which is no unit"),
            ("[Service]\nEnvironmentFile=/etc/default/nope\n", "which is not there"),
            ("[Service]\nEnvironmentFile=-/etc/default/nope\n", ""),
            ("[Service]\nExecStartPre=/bin/false\n", "which fails"),
            ("[Service]\nExecStartPre=-/bin/false\n", ""),
        ] {
            let found = said(OWN, text);
            assert!(found.ends_with(why) && found.is_empty() == why.is_empty(), "{text}: {found}");
            assert_eq!(said("service.d/o.conf", text), found);
            assert_eq!(said("ssh.service.d/o.conf~", text), "");
        }
    }
}
