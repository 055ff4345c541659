use super::descriptor::Text;
use super::header::Header;
use crate::bytes::Hostile;
use crate::facts::{Code, Notebook};

/// First words of extent lines (VMware Virtual Disk Format 1.1, 2.2).
const ACCESSES: [&[u8]; 3] = [b"RW", b"RDONLY", b"NOACCESS"];

/// An extent line: access, sectors, kind, name in quotes.
pub(super) struct Extent<'t> {
    pub(super) access: &'t [u8],
    pub(super) sectors: u64,
    pub(super) kind: &'t [u8],
    /// Extents of zeros have none.
    pub(super) name: Option<&'t [u8]>,
    /// Sectors before it in its file.
    pub(super) offset: Option<u64>,
}

/// The lines about extents, each with its image offset.
pub(super) fn extent_lines(text: Text<'_>) -> impl Iterator<Item = (u64, &[u8])> {
    text.lines().filter(|(_, line)| is_extent(line))
}

/// Checks that there is one extent, in this file, of the size that the header says.
pub(super) fn check(text: Text<'_>, header: &Header, notebook: &Notebook<'_>) {
    let mut extents = extent_lines(text);
    let Some((at, line)) = extents.next() else {
        notebook.image(Code::VmdkExtentsInvalid, text.begin, "The descriptor lists no extent.");
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
    let found = match extent(line) {
        Some(extent) => Some((line, extent)),
        None => over_lines(text, at),
    };
    let Some((line, name, extent)) =
        found.and_then(|(line, extent)| Some((line, extent.name?, extent)))
    else {
        return unreadable(line, at, notebook);
    };
    let shown = Hostile::new(line);
    // Converters that write streams say RDONLY, because streams are not written to in place.
    if extent.access.eq_ignore_ascii_case(b"NOACCESS") {
        invalid(at, &format!("The extent must not be read: {shown}."));
    }
    if !extent.kind.eq_ignore_ascii_case(b"SPARSE") {
        invalid(at, &format!("The extent is not SPARSE: {shown}."));
    }
    // FreeBSD's mkimg gives it no name: the extent is in this file, and no reader is led to another one.
    if name.contains(&b'/') || matches!(name, b"." | b"..") {
        invalid(at, &format!("The extent's name is not a plain file name: {shown}."));
    } else if name.iter().any(|b| matches!(b, b'"' | b'\\') || b.is_ascii_control()) {
        // Nothing is opened by it here, nor by QEMU. libvmdk opens the file that it names.
        notebook.image(Code::VmdkExtentName, at, format!(
            "The extent's name has a quote, a backslash or a control character, by which readers end it, its line, or leave its folder: {shown}."));
    }
    check_size(extent.sectors, at, header, notebook);
}

/// The longest name that a file has on Linux, and what is around it in an extent line.
const LONGEST: usize = 255 + 64;

/// The extent that begins at image offset `at` and whose name goes on in the next lines, with all of them: QEMU writes the
/// name of a file as it is, with the line ends that are in it, and does not read it again.
fn over_lines(text: Text<'_>, at: u64) -> Option<(&[u8], Extent<'_>)> {
    let begin = usize::try_from(at.checked_sub(text.begin)?).ok()?;
    let lines = text.bytes.get(begin..)?;
    let lines = lines.get(..LONGEST).unwrap_or(lines);
    let quotes = lines.iter().enumerate().filter(|(_, byte)| **byte == b'"');
    let (last, _) = quotes.take(2).last()?;
    let rest = lines.get(last..)?;
    let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
    after_name(rest.get(..end)?)?;
    let line = lines.get(..last + end)?.trim_ascii();
    Some((line, extent(line)?))
}

/// Writes down that an extent line cannot be read.
pub(super) fn unreadable(line: &[u8], at: u64, notebook: &Notebook<'_>) {
    let said = format!("The extent line cannot be read: {}.", Hostile::new(line));
    notebook.image(Code::VmdkExtentLineInvalid, at, said);
}

/// Whether a name leads to no other folder, and ends where every reader ends it.
pub(super) fn is_plain(name: &[u8]) -> bool {
    let separated = name.iter().any(|b| matches!(b, b'/' | b'\\' | b'"'));
    !name.is_empty() && !separated && !matches!(name, b"." | b"..")
}

/// Fewer sectors than this may be missing in the descriptor: VMware, VirtualBox and QEMU write grains of 128 sectors, and no
/// more than a grain can come from rounding.
const USUAL_GRAIN: u64 = 128;

/// Whether the header has this size of the descriptor in whole grains.
pub(super) fn is_rounded(sectors: u64, header: &Header) -> bool {
    let rounded = sectors.checked_next_multiple_of(header.grain_size.max(1));
    rounded == Some(header.capacity) && header.capacity - sectors < USUAL_GRAIN
}

/// The descriptor may have the size of the disk, and the header that size in whole grains.
fn check_size(sectors: u64, at: u64, header: &Header, notebook: &Notebook<'_>) {
    let capacity = header.capacity;
    if sectors == capacity {
    } else if is_rounded(sectors, header) {
        notebook.image(Code::VmdkSizeRounded, at, format!(
            "The descriptor says that the disk has {sectors} sectors, the header says {capacity}, which is that in whole grains. The header's size counts here, as it does for QEMU."));
    } else {
        notebook.image(
            Code::VmdkDescriptorMismatch,
            at,
            format!(
                "The descriptor says that the disk has {sectors} sectors, the header says {capacity}."
            ),
        );
    }
}

fn is_extent(line: &[u8]) -> bool {
    let (access, _) = word(line);
    ACCESSES.iter().any(|known| access.eq_ignore_ascii_case(known))
}

/// Access, sectors, kind and name; an offset, the UUID of a partition and the name of a device may
/// follow. Zeros have only the first three.
pub(super) fn extent(line: &[u8]) -> Option<Extent<'_>> {
    let (access, rest) = word(line);
    let (sectors, rest) = word(rest);
    let (kind, rest) = word(rest);
    let sectors = std::str::from_utf8(sectors).ok()?.parse().ok()?;
    let rest = rest.trim_ascii();
    if rest.is_empty() && kind.eq_ignore_ascii_case(b"ZERO") {
        return Some(Extent { access, sectors, kind, name: None, offset: None });
    }
    let quoted = rest.strip_prefix(b"\"")?;
    let end = quoted.iter().position(|&b| b == b'"')?;
    let (name, after) = quoted.split_at_checked(end)?;
    let (name, offset) = match after_name(after) {
        Some(offset) => (name, offset),
        // QEMU writes a file's name as it is, with the quotes that are in it.
        None => (quoted.strip_suffix(b"\"")?, None),
    };
    Some(Extent { access, sectors, kind, name: Some(name), offset })
}

/// The offset, if there is one, in what begins with the quote behind a name; `None` if that is not the rest of an extent line.
fn after_name(rest: &[u8]) -> Option<Option<u64>> {
    let (offset, rest) = word(rest.strip_prefix(b"\"")?);
    let (_uuid, rest) = word(rest);
    let (_device, rest) = word(rest);
    let readable = offset.iter().all(u8::is_ascii_digit) && rest.trim_ascii().is_empty();
    let offset = match offset {
        [] => None,
        // One that is no number leads nowhere.
        digits if readable => Some(std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX)),
        _ => None,
    };
    readable.then_some(offset)
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
            ("RW 40 SPARSE", "RW x SPARSE", Code::VmdkExtentLineInvalid),
            ("RW 40 SPARSE", "RW 40", Code::VmdkExtentLineInvalid),
            ("RW 40 SPARSE", "RW 41 SPARSE", Code::VmdkDescriptorMismatch),
            ("RW 40 SPARSE", "RW 32 SPARSE", Code::VmdkDescriptorMismatch),
            ("\"a disk.vmdk\"", "\"/etc/passwd\"", Code::VmdkExtentsInvalid),
            ("\"a disk.vmdk\"", "\"..\\\\x\"", Code::VmdkExtentName),
            ("\"a disk.vmdk\"", "\"a\"b\"", Code::VmdkExtentName),
            ("\"a disk.vmdk\"", "\"a\" b\"", Code::VmdkExtentName),
            ("\"a disk.vmdk\"", "\"\"\"", Code::VmdkExtentName),
            ("\"a disk.vmdk\"", "\"a\nb\"", Code::VmdkExtentName),
            ("\"a disk.vmdk\"", "\"\ra\r\n\nb\" 0", Code::VmdkExtentName),
            ("\"a disk.vmdk\"", "\"a\tb\"", Code::VmdkExtentName),
            ("\"a disk.vmdk\"", "\"a\u{1b}[m\"", Code::VmdkExtentName),
            ("\"a disk.vmdk\"", "\"a\n/b\"", Code::VmdkExtentsInvalid),
            ("\"a disk.vmdk\"", "\"a\nRW 4 FLAT \"b\" 0", Code::VmdkExtentsInvalid),
            ("\"a disk.vmdk\"", "\"a\nb\" c", Code::VmdkExtentLineInvalid),
            ("\"a disk.vmdk\"", "\"a\"/b\"", Code::VmdkExtentsInvalid),
            ("\"a disk.vmdk\"", "\"x\" y", Code::VmdkExtentLineInvalid),
            ("\"a disk.vmdk\"", "\"x\" 0 uuid dev0 more", Code::VmdkExtentLineInvalid),
            ("\"a disk.vmdk\"", "\"x", Code::VmdkExtentLineInvalid),
            ("\"a disk.vmdk\"", "\"x\"\nrw 40 flat \"secret\" 0", Code::VmdkExtentsInvalid),
        ];
        for (from, to, code) in cases {
            assert!(DESCRIPTOR.contains(from));
            let text = DESCRIPTOR.replace(from, to);
            assert_eq!(codes(&Sample::sparse().described(&text).image), [code], "{to}");
        }
    }

    #[test]
    fn the_extent_in_this_file_needs_no_name() {
        let text = DESCRIPTOR.replace("\"a disk.vmdk\"", "\"\"");
        assert_eq!(codes(&Sample::sparse().described(&text).image), []);
    }

    #[test]
    fn fields_behind_the_name_are_optional() {
        for rest in ["", " 0", "  0 ", " 0 1a2b-3c dev0", "\t0 \"1a2b\" \"dev0\"\r"] {
            let text = DESCRIPTOR.replace("\"a disk.vmdk\"", &format!("\"a disk.vmdk\"{rest}"));
            assert_eq!(codes(&Sample::sparse().described(&text).image), [], "{rest:?}");
        }
    }

    #[test]
    fn the_header_may_round_the_size_up_to_a_grain() {
        let capacity = |sectors: u64| Sample::sparse().patched(12, &sectors.to_le_bytes());
        let mut whole = capacity(48);
        whole.resize(whole.len() + 8 * 512, 0);
        assert_eq!(codes(&whole), [Code::VmdkSizeRounded]);
        assert_eq!(codes(&capacity(39)), [Code::VmdkDescriptorMismatch]);
    }
}
