//! What the command line of the kernel asks of systemd: kernel-command-line(7).

use super::text::words;

/// What the command line of the kernel asks of systemd.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The target to boot into.
    pub(super) target: Option<Vec<u8>>,
    /// Units that are masked.
    pub(super) masked: Vec<Vec<u8>>,
    /// Units that are started as well.
    pub(super) wanted: Vec<Vec<u8>>,
}

impl Asked {
    pub(super) fn of(command_line: &[u8]) -> Self {
        let mut asked = Asked::default();
        for word in words(command_line) {
            let value = |key: &str| word.strip_prefix(key.as_bytes());
            let unit = |name: &[u8]| match name.contains(&b'.') {
                true => name.to_vec(),
                false => [name, b".service"].concat(),
            };
            if let Some(target) = value("systemd.unit=") {
                asked.target = Some(target.to_vec());
            } else if let Some(name) = value("systemd.mask=") {
                asked.masked.push(unit(name));
            } else if let Some(name) = value("systemd.wants=") {
                asked.wanted.push(unit(name));
            }
            let runlevel: Option<&[u8]> = match word {
                b"emergency" | b"-b" => Some(b"emergency.target"),
                b"rescue" | b"single" | b"-s" | b"s" | b"S" | b"1" => Some(b"rescue.target"),
                b"2" | b"3" | b"4" => Some(b"multi-user.target"),
                b"5" => Some(b"graphical.target"),
                _ => None,
            };
            if let Some(target) = runlevel {
                asked.target = Some(target.to_vec());
            }
        }
        asked
    }
}
