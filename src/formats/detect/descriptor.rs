//! Text that a program takes for the descriptor of a VMDK, and opens the files that it names.

/// Bytes at the beginning that QEMU looks at (`BLOCK_PROBE_BUF_SIZE`).
const PROBED: usize = 512;

/// QEMU's rule (`vmdk_probe` in `block/vmdk.c`): comments with any bytes in them and lines of blanks, then
/// a line `version=` with 1, 2 or 3. An empty line has to have a blank in it.
pub(super) fn by_version(head: &[u8]) -> Option<usize> {
    let head = &head[..head.len().min(PROBED)];
    let mut rest = head;
    loop {
        rest = match rest {
            [b'#', ..] => &rest[rest.iter().position(|&b| b == b'\n')? + 1..],
            [b' ', ..] => {
                let line = &rest[rest.iter().position(|&b| b != b' ')?..];
                line.strip_prefix(b"\r").unwrap_or(line).strip_prefix(b"\n")?
            }
            _ => {
                let digit = rest.strip_prefix(b"version=")?;
                let end = digit.strip_prefix(b"1").or(digit.strip_prefix(b"2"));
                let end = end.or(digit.strip_prefix(b"3"))?;
                let is_line = end.starts_with(b"\n") || end.starts_with(b"\r\n");
                return is_line.then_some(head.len() - rest.len());
            }
        };
    }
}

/// The first line that VirtualBox and others want, in any case and with any blanks: `# Disk DescriptorFile`,
/// `#Disk Descriptor File`.
pub(super) fn by_title(head: &[u8]) -> Option<usize> {
    let head = &head[..head.len().min(PROBED)];
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let is_title = head
        .iter()
        .filter(|byte| !blank(byte))
        .map(u8::to_ascii_lowercase)
        .take(b"#diskdescriptorfile".len())
        .eq(b"#diskdescriptorfile".iter().copied());
    is_title.then_some(0)
}

/// A text that names files for an optical disc, which VirtualBox makes of them (`visoProbeWorker` in `VISO.cpp`): white space, then
/// its mark.
pub(super) fn viso(head: &[u8]) -> Option<usize> {
    let at = head.iter().position(|byte| !matches!(byte, b' ' | b'\t'..=b'\r'))?;
    head[at..].starts_with(b"--iprt-iso-maker-file-marker").then_some(at)
}

/// The rule of oslo.utils: a first sector that is all ASCII text, and `createType="` before the first NUL.
pub(super) fn by_create_type(head: &[u8]) -> Option<usize> {
    let sector = &head[..head.len().min(PROBED)];
    let is_text = |b: &u8| matches!(b, b' '..=b'~' | b'\t'..=b'\r' | 0x1c..=0x1f);
    if sector.is_empty() || !sector.iter().all(is_text) {
        return None;
    }
    let text = head.split(|&b| b == 0).next().unwrap_or_default().to_ascii_lowercase();
    text.windows(b"createtype=\"".len()).any(|part| part == b"createtype=\"").then_some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_line_is_found_as_qemu_finds_it() {
        let cases: [(&[u8], Option<usize>); 14] = [
            (b"version=1\nCID=1\n", Some(0)),
            (b"version=3\r\n", Some(0)),
            (b"# x\nversion=2\n", Some(4)),
            (b"#\xff\0\x01 binary\n  \n \r\n#\nversion=1\n", Some(20)),
            (b"version=4\n", None),
            (b"version=1", None),
            (b"version=1 \n", None),
            // QEMU takes an empty line without a blank for something else.
            (b"\nversion=1\n", None),
            (b"  x\nversion=1\n", None),
            (b"# no end", None),
            (b"#\n", None),
            (b"   ", None),
            (b"", None),
            (b"\xeb\x63\x90", None),
        ];
        for (head, expected) in cases {
            assert_eq!(by_version(head), expected, "{}", String::from_utf8_lossy(head));
        }
        let at = |comment: usize| {
            let mut head = vec![b'#'; comment];
            head.extend_from_slice(b"\nversion=1\nCID=1\n");
            by_version(&head)
        };
        assert_eq!(at(501), Some(502));
        // It would end behind the 512 bytes that QEMU looks at.
        assert_eq!(at(502), None);
    }

    #[test]
    fn a_text_with_a_create_type_is_a_descriptor() {
        let text = |filler: u8| [b"x\nCreateType=\"a\"".as_slice(), &[filler; 600]].concat();
        assert_eq!(by_create_type(&text(b'.')), Some(0));
        assert_eq!(by_create_type(&text(0)), None);
        assert_eq!(by_create_type(&text(0xaa)), None);
        assert_eq!(by_create_type(b""), None);
    }

    #[test]
    fn a_title_is_found_however_it_is_written() {
        for title in [
            "# Disk DescriptorFile\n",
            "# Disk Descriptor File\n",
            "#Disk Descriptor File",
            "#Disk DescriptorFile",
            "\u{feff}# disk descriptorfile",
        ] {
            assert_eq!(by_title(title.as_bytes()), Some(0), "{title}");
        }
        for text in ["# Disk Descriptor", " # Disc DescriptorFile", "Disk DescriptorFile", ""] {
            assert_eq!(by_title(text.as_bytes()), None, "{text}");
        }
    }
}
