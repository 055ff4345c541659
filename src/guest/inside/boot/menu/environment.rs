//! Variables of GRUB: those of its script, and those that grubenv keeps.

use super::super::super::super::tree::Text;

/// Bytes of grubenv at most; it has 1024.
pub(super) const BLOCK: usize = 64 << 10;

/// Variables, and bytes of a value, at most.
const MOST: usize = 256;
const LONGEST: usize = 2 << 10;

/// Variables.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    /// The last one of a name counts.
    values: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Default for Environment {
    /// Those of GRUB 2 on a BIOS.
    fn default() -> Self {
        let mut environment = Environment { values: Vec::new() };
        environment.set(b"grub_platform", b"pc");
        environment.set(b"grub_cpu", b"i386");
        for feature in
            ["menuentry_id", "platform_search_hint", "default_font_path", "timeout_style"]
        {
            environment.set(format!("feature_{feature}").as_bytes(), b"y");
        }
        environment
    }
}

impl Environment {
    /// Reads grubenv: lines `name=value` behind a header, filled up with `#`.
    pub(super) fn read_block(&mut self, text: &Text) {
        for (_, line) in text.lines() {
            if let Some(at) = line.iter().position(|&byte| byte == b'=')
                && line.first() != Some(&b'#')
            {
                self.set(&line[..at], &unescaped(&line[at + 1..]));
            }
        }
    }

    pub(super) fn set(&mut self, name: &[u8], value: &[u8]) {
        let value = value[..value.len().min(LONGEST)].to_vec();
        let is_full = self.values.len() >= MOST;
        match self.values.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None if !is_full => {
                self.values.push((name[..name.len().min(LONGEST)].to_vec(), value));
            }
            None => {}
        }
    }

    /// Its value; that of a variable which is not set is empty.
    pub(super) fn get(&self, name: &[u8]) -> &[u8] {
        self.values.iter().find(|(known, _)| known == name).map_or(&[], |(_, value)| value)
    }
}

/// A backslash stands before one, and before the end of a line, in grubenv.
fn unescaped(value: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut bytes = value.iter().take(LONGEST);
    while let Some(&byte) = bytes.next() {
        plain.extend(if byte == b'\\' { bytes.next().copied() } else { Some(byte) });
    }
    plain
}
