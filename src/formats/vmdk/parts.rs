//! The text descriptor of a disk that lies in other files, which are its parts.
//!
//! This says what a descriptor names, and whether it may be named: plain names, no name twice, a bounded number, sizes
//! that add up, no parent. It opens nothing. Whoever opens a part does so beside the descriptor and nowhere else
//! (`source::Beside`), and only because somebody ordered the disk to be taken out of it.

use std::collections::BTreeSet;

use super::descriptor::{Text, check_create_type, check_encryption, check_mark};
use super::extents::{self, Extent, extent_lines};
use super::{SECTOR, parent};
use crate::bytes::Hostile;
use crate::facts::{Code, Layer, Notebook};
use crate::formats::{Got, Halt, ImageView, Layout, Place, Reach, Run, Walked, Wanted};

/// Descriptors have to be smaller than 1 MiB (`vmdk_open_desc_file`, `block/vmdk.c`).
const LONGEST: u64 = (1 << 20) - 1;

/// Parts of a disk: with 2 GB in each, as VMware cuts disks, 512 GB.
const MOST: usize = 256;

/// Longest name of a part: what file systems allow.
const LONGEST_NAME: usize = 255;

/// Kinds of disks whose parts are files with nothing but the disk's bytes, or sparse extents.
const CREATE_TYPES: [&str; 3] = ["monolithicFlat", "twoGbMaxExtentFlat", "twoGbMaxExtentSparse"];

/// A disk that lies in other files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Size of the disk in bytes.
    pub virtual_size: u64,
    /// Its parts, in the order of the disk.
    pub parts: Vec<Part>,
}

/// A part of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Sectors of the disk.
    pub sectors: u64,
    /// What has them.
    pub content: Content,
}

/// What has the sectors of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing: they are zeros.
    Zeros,
    /// A file, as they are, from this byte on.
    Flat {
        /// Its name, which leads to no other folder.
        name: String,
        /// The byte of the file at which they begin.
        at: u64,
    },
    /// A file that is a sparse extent.
    Sparse {
        /// Its name, which leads to no other folder.
        name: String,
    },
}

impl Content {
    /// The file that has them.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Content::Zeros => None,
            Content::Flat { name, .. } | Content::Sparse { name } => Some(name),
        }
    }
}

impl Part {
    /// Bytes of the disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.sectors.saturating_mul(SECTOR)
    }
}

/// Reads a text descriptor and says what it names. `None` if a disk is not to be put together by it; then the notebook
/// has the reason.
///
/// # Errors
/// If the descriptor cannot be read.
pub fn parts(view: &mut dyn ImageView, notebook: &Notebook<'_>) -> Result<Option<Parts>, Halt> {
    let size = view.size()?.unwrap_or(u64::MAX);
    if size > LONGEST {
        notebook.image(
            Code::VmdkDescriptorInvalid,
            0,
            format!("The descriptor has more than {LONGEST} bytes."),
        );
        return Ok(None);
    }
    // Fewer than 1 MiB, which was checked.
    let mut bytes = vec![0; size as usize];
    match view.read_at(0, &mut bytes)? {
        Got::Bytes(count) => bytes.truncate(count),
        Got::Missing(_) => return Ok(None),
    }
    Ok(parsed(&bytes, notebook))
}

fn parsed(bytes: &[u8], notebook: &Notebook<'_>) -> Option<Parts> {
    let text = Text::new(bytes, 0);
    if check_encryption(text, notebook) || !check_mark(text, notebook) {
        return None;
    }
    parent::check_hint(bytes, 0, notebook);
    parent::check(text, notebook);
    let why = "are the kinds whose parts are put together";
    check_create_type(text, &CREATE_TYPES, why, notebook);
    let parts = listed(text, notebook)?;
    let refused = [Code::VmdkParent, Code::VmdkCreateType];
    (!refused.iter().any(|code| notebook.has(*code))).then_some(parts)
}

/// All the parts; `None` if one of them cannot be one.
fn listed(text: Text<'_>, notebook: &Notebook<'_>) -> Option<Parts> {
    let (mut parts, mut names, mut size) = (Vec::new(), BTreeSet::new(), 0u64);
    for (at, line) in extent_lines(text) {
        let invalid = |what: &str| {
            let said = format!("{what}: {}.", Hostile::new(line));
            notebook.image(Code::VmdkExtentsInvalid, at, said);
        };
        if parts.len() == MOST {
            invalid(&format!("The descriptor lists more than {MOST} parts; the next one is"));
            return None;
        }
        let Some(extent) = extents::extent(line) else {
            extents::unreadable(line, at, notebook);
            return None;
        };
        let part = match part(&extent) {
            Ok(part) => part,
            Err(what) => {
                invalid(what);
                return None;
            }
        };
        if let Some(name) = part.content.name()
            && !names.insert(name.to_owned())
        {
            invalid("The descriptor names a part twice");
            return None;
        }
        let Some(sum) = size.checked_add(part.bytes()).filter(|sum| *sum < u64::MAX) else {
            invalid("With this part, the disk has more bytes than can be");
            return None;
        };
        size = sum;
        parts.push(part);
    }
    if parts.is_empty() {
        let said = "The descriptor lists no extent.";
        notebook.image(Code::VmdkExtentsInvalid, text.begin, said);
        return None;
    }
    notebook.claim_disk_size(size, Layer::Image, text.begin);
    Some(Parts { virtual_size: size, parts })
}

/// A part, or why there can be no such part; what says so goes before the line.
fn part(extent: &Extent<'_>) -> Result<Part, &'static str> {
    if extent.access.eq_ignore_ascii_case(b"NOACCESS") {
        return Err("The part must not be read");
    }
    if extent.sectors == 0 {
        return Err("The part has no sectors");
    }
    let is = |kind: &[u8]| extent.kind.eq_ignore_ascii_case(kind);
    let content = match (extent.name, extent.offset) {
        (None, _) => Content::Zeros,
        (Some(name), offset) => {
            let name = plain(name).ok_or("The name of the part is not that of a file beside it")?;
            match offset {
                Some(sectors) if is(b"FLAT") => {
                    let at = sectors.checked_mul(SECTOR).ok_or("The part begins at no byte")?;
                    Content::Flat { name, at }
                }
                None if is(b"FLAT") => return Err("The part begins nowhere in its file"),
                None | Some(0) if is(b"SPARSE") => Content::Sparse { name },
                Some(_) if is(b"SPARSE") => return Err("A sparse extent begins in its file"),
                _ => return Err("Only FLAT, SPARSE and ZERO parts are put together"),
            }
        }
    };
    Ok(Part { sectors: extent.sectors, content })
}

/// The name of a file that leads to no other folder, and is shown as it is.
fn plain(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok().filter(|_| extents::is_plain(name))?;
    let printed = !name.chars().any(char::is_control) && name.len() <= LONGEST_NAME;
    printed.then(|| name.to_owned())
}

/// The disk's bytes as they are, in a file from some byte on; or zeros, which are in no file.
#[derive(Clone, Copy, Debug)]
pub struct Flat {
    /// Bytes of the disk.
    pub len: u64,
    /// Where in the file they begin, if they are in one.
    pub at: Option<u64>,
}

impl Layout for Flat {
    fn virtual_size(&self) -> u64 {
        self.len
    }

    fn locate(
        &mut self,
        view: &mut dyn ImageView,
        _: &Notebook<'_>,
        guest: u64,
    ) -> Result<Run, Halt> {
        let left = self.len.saturating_sub(guest);
        let Some(begin) = self.at else { return Ok(Run { len: left, place: Place::Zeros }) };
        let at = begin.saturating_add(guest);
        let (len, hole) = view.hole(at);
        let place = if hole { Place::Zeros } else { Place::Stored(at) };
        Ok(Run { len: len.clamp(1, left.max(1)), place })
    }

    fn walk(
        &mut self,
        _: &mut dyn ImageView,
        _: &Notebook<'_>,
        _: &Wanted,
        _: &mut Reach,
    ) -> Result<Walked, Halt> {
        // There is no table.
        Ok(Walked::Whole)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FLAT: &str = "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\n\nRW 40 FLAT \"a disk-flat.vmdk\" 0\n\n#DDB\nddb.adapterType = \"ide\"\n";

    fn of(text: &str) -> (Option<Parts>, Vec<Code>) {
        let notebook = Notebook::new(&|_| false, 1 << 40);
        let parts = parsed(text.as_bytes(), &notebook);
        (parts, notebook.close().into_iter().map(|anomaly| anomaly.code).collect())
    }

    /// With other extent lines.
    fn with(lines: &str) -> (Option<Parts>, Vec<Code>) {
        of(&FLAT.replace("RW 40 FLAT \"a disk-flat.vmdk\" 0", lines))
    }

    fn flat(sectors: u64, name: &str, at: u64) -> Part {
        Part { sectors, content: Content::Flat { name: name.into(), at } }
    }

    #[test]
    fn says_what_a_descriptor_names() {
        let one = Parts { virtual_size: 40 * 512, parts: vec![flat(40, "a disk-flat.vmdk", 0)] };
        assert_eq!(of(FLAT), (Some(one.clone()), vec![]));
        assert_eq!(of(&FLAT.replace('\n', "\r\n")), (Some(one.clone()), vec![]));
        assert_eq!(of(&format!("{FLAT}\0\0\0")), (Some(one), vec![]));
        let sparse =
            Part { sectors: 9, content: Content::Sparse { name: "Größe-s001.vmdk".into() } };
        let zeros = Part { sectors: 3, content: Content::Zeros };
        let lines = "rdonly 40 flat \"b\" 16 uuid dev\nRW 3 ZERO\nRW 9 SPARSE \"Größe-s001.vmdk\"";
        let parts = vec![flat(40, "b", 8192), zeros, sparse];
        assert_eq!(with(lines), (Some(Parts { virtual_size: 52 * 512, parts }), vec![]));
    }

    #[test]
    fn what_may_not_be_named_is_not() {
        let (line, extents) = (Code::VmdkExtentLineInvalid, Code::VmdkExtentsInvalid);
        let long = format!("RW 1 FLAT \"{}\" 0", "n".repeat(256));
        let many = "RW 1 ZERO\n".repeat(257);
        for (lines, code) in [
            ("", extents),
            ("RW 1 FLAT \"/etc/passwd\" 0", extents),
            ("RW 1 FLAT \"../disk\" 0", extents),
            ("RW 1 FLAT \"..\" 0", extents),
            ("RW 1 FLAT \".\" 0", extents),
            ("RW 1 FLAT \"\" 0", extents),
            ("RW 1 FLAT \"a\\b\" 0", extents),
            ("RW 1 FLAT \"a\x07\" 0", extents),
            (&long, extents),
            ("RW 1 FLAT \"a\"", extents),
            ("RW 1 FLAT \"a\" 99999999999999999999", extents),
            ("RW 1 FLAT \"a\" 36028797018963968", extents),
            ("RW 1 FLAT \"a\" -1", line),
            ("RW 0 FLAT \"a\" 0", extents),
            ("RW x FLAT \"a\" 0", line),
            ("RW 99999999999999999999 FLAT \"a\" 0", line),
            ("RW 36028797018963968 FLAT \"a\" 0", extents),
            ("RW 36028797018963967 ZERO\nRW 1 ZERO", extents),
            ("NOACCESS 1 FLAT \"a\" 0", extents),
            ("NOACCESS 1 ZERO", extents),
            ("RW 1 SPARSE \"a\" 1", extents),
            ("RW 1 SPARSE", line),
            ("RW 1 VMFS \"a\"", extents),
            ("RW 1 VMFSSPARSE \"a\"", extents),
            ("RW 1 VMFSRDM \"a\"", extents),
            ("RW 1 SESPARSE \"a\"", extents),
            ("RW 1 ZERO \"a\"", extents),
            ("RW 1 FLAT \"a\" 0\nRW 1 FLAT \"a\" 1", extents),
            ("RW 1 FLAT \"a\" 0\nRW 1 SPARSE \"a\"", extents),
            (&many, extents),
        ] {
            assert_eq!(with(lines), (None, vec![code]), "{lines}");
        }
    }

    #[test]
    fn no_other_kind_of_disk_is_put_together() {
        for (from, to, code) in [
            ("monolithicFlat", "fullDevice", Code::VmdkCreateType),
            ("monolithicFlat", "vmfs", Code::VmdkCreateType),
            ("createType", "kreateType", Code::VmdkCreateType),
            ("#DDB", "createType=\"custom\"", Code::VmdkCreateType),
            ("parentCID=ffffffff", "parentCID=1", Code::VmdkParent),
            ("#DDB", "#parentFileNameHint=\"x\"", Code::VmdkParent),
            ("#DDB", "ddb.uuid.parent=\"1\"", Code::VmdkParent),
            ("#DDB", "encryption.data=\"1\"", Code::VmdkEncrypted),
        ] {
            assert!(FLAT.contains(from));
            assert_eq!(of(&FLAT.replace(from, to)), (None, vec![code]), "{to}");
        }
        assert_eq!(of(&format!("{FLAT}\0parentFileNameHint=x")).1, [Code::VmdkParent]);
        assert_eq!(of("x\n").1, [Code::VmdkDescriptorInvalid]);
        let large = with("RW 4294967296 ZERO");
        assert_eq!(large.1, [Code::DiskTooLarge]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn whatever_is_named_lies_beside_the_descriptor(
            changes in prop::collection::vec((0usize..200, any::<u8>()), 1..8),
            name in "[ -~]{0,12}",
            sectors in any::<u64>(),
            offset in any::<u64>(),
        ) {
            let lines = format!("RW 40 FLAT \"{name}\" {offset}\nRW {sectors} SPARSE \"b\"");
            let mut text = FLAT.replace("RW 40 FLAT \"a disk-flat.vmdk\" 0", &lines).into_bytes();
            for change in [&[][..], &changes] {
                for (at, byte) in change {
                    if let Some(place) = text.get_mut(*at) {
                        *place = *byte;
                    }
                }
                let notebook = Notebook::new(&|_| false, 1 << 40);
                let Some(found) = parsed(&text, &notebook) else { continue };
                let names: Vec<&str> = found.parts.iter().filter_map(|it| it.content.name()).collect();
                for name in &names {
                    prop_assert!(!name.is_empty() && !name.contains(['/', '\\', '\0', '\n']));
                    prop_assert!(*name != "." && *name != "..");
                }
                prop_assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
                prop_assert!(found.parts.len() <= MOST);
                let sum: u64 = found.parts.iter().map(Part::bytes).sum();
                prop_assert_eq!(sum, found.virtual_size);
            }
        }
    }
}
