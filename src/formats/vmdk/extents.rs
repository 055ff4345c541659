use super::descriptor::lines;
use super::header::{DESCRIPTOR_SECTOR, Header};
use super::offset_of;
use crate::bytes::Hostile;
use crate::facts::{Code, Notebook};

/// First words of extent lines (VMware Virtual Disk Format 1.1, 2.2).
const ACCESSES: [&[u8]; 3] = [b"RW", b"RDONLY", b"NOACCESS"];

/// An extent line: access, sectors, kind, name in quotes.
struct Extent<'t> {
    access: &'t [u8],
    sectors: u64,
    kind: &'t [u8],
    name: &'t [u8],
}

/// Checks that there is one extent, in this file, of the size that the header says.
pub(super) fn check(text: &[u8], header: &Header, notebook: &Notebook<'_>) {
    let mut extents = lines(text).filter(|(_, line)| is_extent(line));
    let Some((at, line)) = extents.next() else {
        notebook.image(
            Code::VmdkExtentsInvalid,
            offset_of(DESCRIPTOR_SECTOR),
            "The descriptor lists no extent.",
        );
        return;
    };
    let invalid = |at, said: &str| {
        notebook.image(Code::VmdkExtentsInvalid, at, said);
    };
    if let Some((at, second)) = extents.next() {
        let count = extents.count().saturating_add(2);
        invalid(
            at,
            &format!(
                "The descriptor lists {count} extents instead of one; the second is: {}.",
                Hostile::new(second)
            ),
        );
        return;
    }
    let shown = Hostile::new(line);
    let Some(extent) = extent(line) else {
        return invalid(at, &format!("The extent line cannot be read: {shown}."));
    };
    // Converters that write streams say RDONLY, because streams are not written to in place.
    if extent.access.eq_ignore_ascii_case(b"NOACCESS") {
        invalid(at, &format!("The extent must not be read: {shown}."));
    }
    if !extent.kind.eq_ignore_ascii_case(b"SPARSE") {
        invalid(at, &format!("The extent is not SPARSE: {shown}."));
    }
    let separated = extent.name.iter().any(|b| matches!(b, b'/' | b'\\'));
    if extent.name.is_empty() || separated || matches!(extent.name, b"." | b"..") {
        invalid(at, &format!("The extent's name is not a plain file name: {shown}."));
    }
    if extent.sectors != header.capacity {
        notebook.image(
            Code::VmdkDescriptorMismatch,
            at,
            format!(
                "The descriptor says that the disk has {} sectors, the header says {}.",
                extent.sectors, header.capacity
            ),
        );
    }
}

fn is_extent(line: &[u8]) -> bool {
    let (access, _) = word(line);
    ACCESSES.iter().any(|known| access.eq_ignore_ascii_case(known))
}

fn extent(line: &[u8]) -> Option<Extent<'_>> {
    let (access, rest) = word(line);
    let (sectors, rest) = word(rest);
    let (kind, rest) = word(rest);
    let quoted = rest.trim_ascii().strip_prefix(b"\"")?;
    let end = quoted.iter().position(|&b| b == b'"')?;
    let (name, rest) = quoted.split_at_checked(end)?;
    let offset = rest.strip_prefix(b"\"")?.trim_ascii();
    let sectors = std::str::from_utf8(sectors).ok()?.parse().ok()?;
    offset.iter().all(u8::is_ascii_digit).then_some(Extent { access, sectors, kind, name })
}

/// The first word of a text and what follows it.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let text = text.trim_ascii_start();
    let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, &[]))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{DESCRIPTOR, Sample, codes};
    use super::*;

    #[test]
    fn there_is_one_extent_and_it_is_this_file() {
        let cases = [
            ("RW 40 SPARSE", "# RW 40 SPARSE", Code::VmdkExtentsInvalid),
            ("RW 40 SPARSE", "NOACCESS 40 SPARSE", Code::VmdkExtentsInvalid),
            ("RW 40 SPARSE", "RW 40 FLAT", Code::VmdkExtentsInvalid),
            ("RW 40 SPARSE", "RW x SPARSE", Code::VmdkExtentsInvalid),
            ("RW 40 SPARSE", "RW 41 SPARSE", Code::VmdkDescriptorMismatch),
            ("\"a disk.vmdk\"", "\"/etc/passwd\"", Code::VmdkExtentsInvalid),
            ("\"a disk.vmdk\"", "\"..\\\\x\"", Code::VmdkExtentsInvalid),
            ("\"a disk.vmdk\"", "\"x\" y", Code::VmdkExtentsInvalid),
            ("\"a disk.vmdk\"", "\"x\"\nrw 40 flat \"secret\" 0", Code::VmdkExtentsInvalid),
        ];
        for (from, to, code) in cases {
            assert!(DESCRIPTOR.contains(from));
            let text = DESCRIPTOR.replace(from, to);
            assert_eq!(codes(&Sample::sparse().described(&text).image), [code], "{to}");
        }
    }
}
