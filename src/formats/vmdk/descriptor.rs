use super::header::{DESCRIPTOR_SECTOR as PLACE, Header, MOST_DESCRIPTOR_SECTORS};
use super::{extents, offset_of, parent, qemu, readers};
use crate::bytes::Hostile;
use crate::facts::{Code, Notebook};
use crate::formats::{Halt, ImageView};

/// Kinds of images that keep header, descriptor and grains in one file.
const CREATE_TYPES: [&str; 2] = ["monolithicSparse", "streamOptimized"];

/// Reads the embedded descriptor and checks it against the header. False if the image is encrypted or one extent of
/// a split image, about which nothing else is worth saying.
pub(super) fn check(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    header: &Header,
) -> Result<bool, Halt> {
    let (place, sectors) = (header.descriptor_offset, header.descriptor_size);
    if place == 0 {
        notebook.image(
            Code::FormatVmdkSplit,
            28,
            "The header has no place for a descriptor: the image is one extent of a split VMDK.",
        );
        return Ok(false);
    }
    if place != PLACE {
        notebook.image(Code::VmdkDescriptorMisplaced, 28, format!(
            "The header places the descriptor at sector {place}; readers look for it at sector {PLACE}."));
        qemu::check(view, notebook)?;
        return Ok(true);
    }
    if !(1..=MOST_DESCRIPTOR_SECTORS).contains(&sectors) {
        notebook.image(
            Code::VmdkDescriptorInvalid,
            36,
            format!("The header says that the descriptor has {sectors} sectors; 1 to {MOST_DESCRIPTOR_SECTORS} are possible."),
        );
        qemu::check(view, notebook)?;
        return Ok(true);
    }
    let mut bytes = vec![0; offset_of(sectors) as usize];
    if !view.need(offset_of(PLACE), &mut bytes, notebook, "the descriptor")? {
        return Ok(true);
    }
    if bytes.iter().all(|&b| b == 0) {
        // QEMU reserves the room in the extents of a split image and leaves it empty.
        notebook.image(
            Code::FormatVmdkSplit,
            offset_of(PLACE),
            "The descriptor is empty: the image is one extent of a split VMDK.",
        );
        return Ok(false);
    }
    let bytes = readers::widest(view, header, bytes)?;
    let text = Text::new(&bytes, offset_of(PLACE));
    if check_encryption(text, notebook) {
        return Ok(false);
    }
    // Whatever a reader makes of the padding, no parent may hide in it.
    parent::check_hint(&bytes, offset_of(PLACE), notebook);
    check_text(text, header, notebook);
    readers::check_padding(&bytes, header, notebook)?;
    qemu::check(view, notebook)?;
    Ok(true)
}

/// Checks that a part of a disk has no descriptor, which would have it be an image of its own. QEMU reserves room for one
/// and leaves it empty.
pub(super) fn check_absent(
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    header: &Header,
) -> Result<bool, Halt> {
    let (place, sectors) = (header.descriptor_offset, header.descriptor_size);
    if place == 0 {
        return Ok(true);
    }
    if place != PLACE || sectors > MOST_DESCRIPTOR_SECTORS {
        notebook.image(
            Code::VmdkDescriptorMisplaced,
            28,
            format!(
                "The header of the part places {sectors} sectors of a descriptor at sector {place}."
            ),
        );
        return Ok(false);
    }
    let mut bytes = vec![0; offset_of(sectors) as usize];
    if !view.need(offset_of(PLACE), &mut bytes, notebook, "the room for a descriptor")? {
        return Ok(false);
    }
    if bytes.iter().all(|&b| b == 0) {
        return Ok(true);
    }
    parent::check_hint(&bytes, offset_of(PLACE), notebook);
    parent::check(Text::new(&bytes, offset_of(PLACE)), notebook);
    if !notebook.has(Code::VmdkParent) {
        notebook.image(
            Code::VmdkExtentsInvalid,
            offset_of(PLACE),
            "The part has a descriptor of its own, so it is a whole image and no part of another.",
        );
    }
    Ok(false)
}

/// Checks what the descriptor says.
fn check_text(text: Text<'_>, header: &Header, notebook: &Notebook<'_>) {
    if !check_mark(text, notebook) {
        return;
    }
    readers::check_length(text, header, notebook);
    check_create_type(text, &CREATE_TYPES, "keep everything in one file", notebook);
    readers::check_create_type(text, header, notebook);
    parent::check(text, notebook);
    extents::check(text, header, notebook);
}

/// Whether it is a descriptor at all; if not, the notebook has the reason.
pub(super) fn check_mark(text: Text<'_>, notebook: &Notebook<'_>) -> bool {
    let is_mark = |line: &[u8]| line.eq_ignore_ascii_case(b"# Disk DescriptorFile");
    let versioned = |line: &[u8]| setting(line, b"version").is_some();
    // Streams that VMware's converters write have a comment of their own, but a version.
    let found = text.lines().any(|(_, line)| is_mark(line) || versioned(line));
    if !found {
        let start = Hostile::new(text.bytes.get(..40).unwrap_or(text.bytes));
        notebook.image(
            Code::VmdkDescriptorInvalid,
            text.begin,
            format!(
                "The descriptor has neither its mark nor a version; it begins with \"{start}\"."
            ),
        );
    }
    found
}

/// Whether the descriptor has keys of an encrypted disk, which is said then. VMware leaves little else of it readable.
pub(super) fn check_encryption(text: Text<'_>, notebook: &Notebook<'_>) -> bool {
    let mut keys = text.lines().filter_map(|(at, line)| {
        let name = line.split(|&b| b == b'=').next()?.trim_ascii();
        let of_keys = [&b"encryption."[..], b"ddb.encryption", b"encryptionKeys"];
        let begins = |with: &&[u8]| {
            name.get(..with.len()).is_some_and(|name| name.eq_ignore_ascii_case(with))
        };
        let set = setting(line, name).is_some_and(|value| !value.is_empty());
        (set && of_keys.iter().any(begins)).then_some((at, name))
    });
    let found = keys.next();
    if let Some((at, name)) = found {
        let name = Hostile::new(name);
        let said = format!("The descriptor has {name}: the disk is encrypted.");
        notebook.image(Code::VmdkEncrypted, at, said);
    }
    found.is_some()
}

/// Checks that the descriptor has a createType, and none but those in the list; `why` says what these do.
pub(super) fn check_create_type(
    text: Text<'_>,
    known: &[&str],
    why: &str,
    notebook: &Notebook<'_>,
) {
    let mut named = false;
    for (at, line) in text.lines() {
        let Some(value) = setting(line, b"createType") else { continue };
        named = true;
        if !known.iter().any(|known| value.eq_ignore_ascii_case(known.as_bytes())) {
            let (last, others) = known.split_last().unwrap_or((&"none", &[]));
            notebook.image(
                Code::VmdkCreateType,
                at,
                format!(
                    "The createType is \"{}\"; {} and {last} {why}.",
                    Hostile::new(value),
                    others.join(", ")
                ),
            );
        }
    }
    if !named {
        notebook.image(Code::VmdkCreateType, text.begin, "The descriptor has no createType.");
    }
}

/// A descriptor up to its first NUL.
#[derive(Clone, Copy)]
pub(super) struct Text<'t> {
    pub(super) bytes: &'t [u8],
    /// Image offset of its first byte.
    pub(super) begin: u64,
}

impl<'t> Text<'t> {
    /// The text that begins at this image offset.
    pub(super) fn new(bytes: &'t [u8], begin: u64) -> Self {
        Text { bytes: up_to_nul(bytes), begin }
    }

    /// The lines without the space around them, each with its image offset. Readers differ in
    /// whether a carriage return alone ends one, so nothing may hide behind it.
    pub(super) fn lines(self) -> impl Iterator<Item = (u64, &'t [u8])> {
        let mut next = self.begin;
        self.bytes.split(|&b| matches!(b, b'\n' | b'\r')).map(move |line| {
            let at = next;
            next = next.saturating_add(line.len() as u64 + 1);
            (at, line.trim_ascii())
        })
    }
}

/// The value of a `key = "value"` line, if it is about this key.
pub(super) fn setting<'t>(line: &'t [u8], key: &[u8]) -> Option<&'t [u8]> {
    let equals = line.iter().position(|&b| b == b'=')?;
    let (name, value) = line.split_at_checked(equals)?;
    let value = value.strip_prefix(b"=")?.trim_ascii();
    let bare = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
    name.trim_ascii().eq_ignore_ascii_case(key).then_some(bare)
}

/// The bytes before the first NUL.
pub(super) fn up_to_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&b| b == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::sample::{DESCRIPTOR, Sample, codes};
    use super::*;

    /// The codes of a sample image with this descriptor.
    fn of(text: &str) -> Vec<Code> {
        codes(&Sample::sparse().described(text).image)
    }

    fn with(from: &str, to: &str) -> Vec<Code> {
        assert!(DESCRIPTOR.contains(from));
        of(&DESCRIPTOR.replace(from, to))
    }

    #[test]
    fn reads_what_writers_write() {
        assert_eq!(of(DESCRIPTOR), []);
        assert_eq!(of(&DESCRIPTOR.replace('\n', "\r\n")), []);
        assert_eq!(with("createType=", "createType = "), []);
        assert_eq!(with("# Disk DescriptorFile", "# made by a converter"), []);
        assert_eq!(with("RW ", "RDONLY "), []);
        assert_eq!(with("a disk.vmdk", "Größe.vmdk"), []);
    }

    #[test]
    fn each_lie_has_its_code() {
        let cases = [
            ("monolithicSparse", "monolithicFlat", Code::VmdkCreateType),
            ("createType", "kreateType", Code::VmdkCreateType),
            ("parentCID=ffffffff", "parentCID=12345678", Code::VmdkParent),
            ("parentCID=ffffffff", "parentCID=", Code::VmdkParent),
            ("#DDB", "#parentFileNameHint=\"/etc/passwd\"", Code::VmdkParent),
        ];
        for (from, to, code) in cases {
            assert_eq!(with(from, to), [code], "{to}");
        }
        assert!(of("hello\n").starts_with(&[Code::VmdkDescriptorInvalid]));
        assert_eq!(of(&format!("{DESCRIPTOR}\0ParentFileNameHint=x")), [Code::VmdkParent]);
    }

    #[test]
    fn keys_of_an_encrypted_disk_are_the_only_finding() {
        let safe = "encryption.keySafe = \"vmware:key/list/(pair/(phrase/abc,pass2key))\"";
        let bare = format!("{safe}\nencryption.data = \"0123\"\n");
        assert_eq!(of(&bare), [Code::VmdkEncrypted]);
        for line in [safe, "encryption.data=\"AAAA\"", "ENCRYPTIONKEYS = x", "ddb.encryption.id=1"]
        {
            assert_eq!(with("#DDB", line), [Code::VmdkEncrypted], "{line}");
        }
        for line in
            ["encoding=\"UTF-8\"", "# encryption.data=\"x\"", "encryption.data=\"\"", "encryption."]
        {
            assert_eq!(with("#DDB", line), [], "{line}");
        }
    }

    #[test]
    fn its_place_and_size_are_checked() {
        let with = |at, value: u64| codes(&Sample::sparse().patched(at, &value.to_le_bytes()));
        assert_eq!(with(28, 0), [Code::FormatVmdkSplit]);
        assert_eq!(with(28, 2), [Code::VmdkDescriptorMisplaced]);
        assert_eq!(with(36, 0), [Code::VmdkDescriptorInvalid]);
        assert_eq!(with(36, 2048), [Code::VmdkDescriptorInvalid]);
        assert_eq!(with(36, u64::MAX), [Code::VmdkDescriptorInvalid]);
        assert_eq!(of(""), [Code::FormatVmdkSplit]);
        let hinted = Sample::sparse().described("parentFileNameHint=x");
        let hinted = hinted.patched(28, &2u64.to_le_bytes());
        assert!(codes(&hinted).contains(&Code::VmdkParent), "QEMU does not ask the header");
    }
}
