//! Names: eight and three bytes in each entry, and long ones in entries before it.

use super::super::fields::le16;
use super::directory::ENTRY;

/// Entries that a long name has at most.
const MOST_PARTS: u8 = 20;

/// The first part of a long name, which is its end, has this bit in its number.
const IS_END: u8 = 0x40;

/// Where the 13 characters of a part are.
const CHARACTERS: [usize; 13] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

/// Bits of byte 12: the letters before or behind the dot are small.
const SMALL_BASE: u8 = 8;
const SMALL_EXTENSION: u8 = 16;

/// The parts of a long name that were met; the last part comes first.
#[derive(Debug, Default)]
pub(super) struct Long {
    units: Vec<u16>,
    /// The number of the part that has to come next; 0 if the name is whole.
    next: u8,
    sum: u8,
    is_any: bool,
}

impl Long {
    /// Takes an entry that is a part of a long name.
    pub(super) fn part(&mut self, raw: &[u8; ENTRY]) {
        let number = raw[0] & !IS_END;
        if raw[0] & IS_END != 0 {
            let is_any = (1..=MOST_PARTS).contains(&number);
            *self = Long { units: Vec::new(), next: number, sum: raw[13], is_any };
        }
        if !self.is_any || number == 0 || number != self.next || raw[13] != self.sum {
            *self = Long::default();
            return;
        }
        self.next -= 1;
        self.units.splice(0..0, CHARACTERS.map(|at| le16(raw, at)));
    }

    /// Ends with the entry that the name is of: the name, if it is whole and belongs to it.
    pub(super) fn end(&mut self, raw: &[u8; ENTRY]) -> Option<Vec<u8>> {
        let long = std::mem::take(self);
        let sum = raw[..11].iter().fold(0u8, |sum, &byte| sum.rotate_right(1).wrapping_add(byte));
        if !long.is_any || long.next != 0 || long.sum != sum {
            return None;
        }
        let len = long.units.iter().position(|&unit| unit == 0).unwrap_or(long.units.len());
        let name = String::from_utf16_lossy(&long.units[..len]).into_bytes();
        (!name.is_empty() && !name.contains(&b'/')).then_some(name)
    }
}

/// The short name of an entry.
pub(super) fn short(raw: &[u8; ENTRY]) -> Vec<u8> {
    let (base, extension) = raw[..11].split_at(8);
    let part = |bytes: &[u8], small: u8| {
        let len = bytes.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
        let mut part = bytes[..len].to_vec();
        if raw[12] & small != 0 {
            part.make_ascii_lowercase();
        }
        part
    };
    let mut name = part(base, SMALL_BASE);
    // The first byte of a deleted entry is the one that this stands for.
    if name.first() == Some(&5) {
        name[0] = 0xe5;
    }
    let extension = part(extension, SMALL_EXTENSION);
    if !extension.is_empty() {
        name.push(b'.');
        name.extend(extension);
    }
    name
}

/// Whether names differ in the case of letters at most.
pub(super) fn are_same(name: &[u8], other: &[u8]) -> bool {
    name.eq_ignore_ascii_case(other)
        || match (std::str::from_utf8(name), std::str::from_utf8(other)) {
            (Ok(name), Ok(other)) => name.to_lowercase() == other.to_lowercase(),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &[u8; 11], flags: u8) -> [u8; ENTRY] {
        let mut raw = [0; ENTRY];
        raw[..11].copy_from_slice(name);
        raw[12] = flags;
        raw
    }

    fn part(number: u8, text: &str, sum: u8) -> [u8; ENTRY] {
        let mut raw = [0xff; ENTRY];
        (raw[0], raw[11], raw[12], raw[13]) = (number, 0xf, 0, sum);
        for (at, unit) in CHARACTERS.into_iter().zip(text.encode_utf16().chain([0])) {
            raw[at..at + 2].copy_from_slice(&unit.to_le_bytes());
        }
        raw
    }

    #[test]
    fn short_names_have_their_dot_and_their_case() {
        let name = |name, flags| String::from_utf8(short(&entry(name, flags))).unwrap();
        assert_eq!(name(b"BOOTX64 EFI", 0), "BOOTX64.EFI");
        assert_eq!(name(b"BOOTX64 EFI", 8), "bootx64.EFI");
        assert_eq!(name(b"GRUB    CFG", 24), "grub.cfg");
        assert_eq!(name(b"EFI        ", 0), "EFI");
        assert_eq!(short(&entry(b"\x05A         ", 0)), b"\xe5A");
        assert!(are_same(b"BootX64.efi", b"bootx64.EFI") && !are_same(b"a", b"b"));
        assert!(are_same("ÄÖ".as_bytes(), "äö".as_bytes()) && !are_same(b"\xff", b"\xfe"));
    }

    #[test]
    fn long_names_belong_to_the_entry_that_has_their_sum() {
        let of = entry(b"LONGNA~1TXT", 0);
        let sum = of[..11].iter().fold(0u8, |sum, &b| sum.rotate_right(1).wrapping_add(b));
        let name = |parts: &[[u8; ENTRY]]| {
            let mut long = Long::default();
            parts.iter().for_each(|raw| long.part(raw));
            long.end(&of).map(|name| String::from_utf8(name).unwrap())
        };
        let (last, first) = (part(0x42, "e.txt", sum), part(1, "a long name s", sum));
        assert_eq!(name(&[last, first]).unwrap(), "a long name se.txt");
        assert_eq!(name(&[part(0x41, "é.txt", sum)]).unwrap(), "é.txt");
        for damaged in [
            &[][..],
            &[last],
            &[first],
            &[first, last],
            &[last, part(1, "a", sum ^ 1)],
            &[last, part(2, "a", sum), first],
            &[part(0x40, "a", sum)],
            &[part(0x7f, "a", sum)],
            &[part(0x41, "a", sum ^ 1)],
            &[part(0x41, "a/b", sum)],
        ] {
            assert_eq!(name(damaged), None);
        }
    }
}
