//! What the server gets on its command line.

use super::super::super::fs::Trouble;
use super::super::super::tree::Tree;
use super::super::services::Overrides;
use super::super::sh;

/// What the server gets on its command line.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    /// Lines that come before those of its configuration.
    pub(super) settings: Vec<Vec<u8>>,
    pub(super) file: Option<Vec<u8>>,
}

impl Options {
    /// Options that units take from files, or that the build gives in place of a unit's own: `-o`, `-p`, `-f`.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(super) fn read(tree: &mut Tree<'_>) -> Result<Self, Trouble> {
        let mut options = Options::default();
        let places = [
            ("/etc/default/ssh", "SSHD_OPTS"),
            ("/etc/sysconfig/sshd", "OPTIONS"),
            ("/etc/sysconfig/ssh", "SSHD_OPTS"),
            ("/etc/conf.d/sshd", "SSHD_OPTS"),
            ("/etc/conf.d/sshd", "command_args"),
        ];
        for (path, key) in places {
            let Some(text) = tree.text(path)? else { continue };
            let Some(value) = sh::value(&text, key) else { continue };
            let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            options.add(words);
        }
        for unit in ["ssh.service", "sshd.service"] {
            let overrides = Overrides::read(tree, unit)?;
            if let Some((command, ..)) = overrides.command() {
                options.add(command.iter().skip(1).map(Vec::as_slice));
            }
        }
        Ok(options)
    }

    /// Takes the words of a command line.
    fn add<'w>(&mut self, mut words: impl Iterator<Item = &'w [u8]>) {
        while let Some(word) = words.next() {
            let mut given = |rest: &[u8]| match rest {
                [] => words.next().unwrap_or_default().to_vec(),
                rest => rest.to_vec(),
            };
            let (option, value) = match word {
                [b'-', option @ (b'o' | b'p' | b'f'), rest @ ..] => (*option, given(rest)),
                _ => continue,
            };
            // A value without quotes may be cut here, where it is not by systemd.
            match option {
                _ if value.is_empty() => {}
                b'o' => self.settings.push(value),
                b'p' => self.settings.push([b"Port ", &value[..]].concat()),
                _ => self.file = Some(value),
            }
        }
    }
}
