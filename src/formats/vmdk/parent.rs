//! All the ways in which a descriptor names a parent.

use super::descriptor::{Text, setting};
use crate::bytes::Hostile;
use crate::facts::{Code, Notebook};

/// A setting that makes QEMU open another image (`vmdk_parent_open`, `block/vmdk.c`).
const HINT: &[u8] = b"parentFileNameHint";

/// Checks the settings of a descriptor that say of a parent.
pub(super) fn check(text: Text<'_>, notebook: &Notebook<'_>) {
    for (at, line) in text.lines() {
        let value = |key: &str| setting(line, key.as_bytes());
        let said = if let Some(cid) = value("parentCID").filter(|cid| !is_no_parent(cid)) {
            format!(
                "The descriptor's parentCID is \"{}\"; an image that needs no other has ffffffff.",
                Hostile::new(cid)
            )
        } else if let Some(uuid) = value("ddb.uuid.parent").filter(|uuid| is_set(uuid)) {
            format!(
                "The descriptor's ddb.uuid.parent is \"{}\": VirtualBox finds the parent by it.",
                Hostile::new(uuid)
            )
        } else if let Some(name) = value("ddb.nativeParentHint").filter(|name| !name.is_empty()) {
            format!(
                "The descriptor's ddb.nativeParentHint is \"{}\": the disk is a native clone of another.",
                Hostile::new(name)
            )
        } else if let Some(cid) = value("ddb.nativeParentCID").filter(|cid| !is_no_parent(cid)) {
            format!(
                "The descriptor's ddb.nativeParentCID is \"{}\": the disk is a native clone of another.",
                Hostile::new(cid)
            )
        } else if value("isNativeSnapshot").is_some_and(|is| is.eq_ignore_ascii_case(b"yes")) {
            "The descriptor says that the image is a native snapshot of another.".into()
        } else {
            continue;
        };
        notebook.image(Code::VmdkParent, at, said);
    }
}

/// A parent's name counts wherever it stands: QEMU finds it in comments as well. `begin` is the image offset of the bytes.
pub(super) fn check_hint(bytes: &[u8], begin: u64, notebook: &Notebook<'_>) {
    let found = bytes.windows(HINT.len()).position(|window| window.eq_ignore_ascii_case(HINT));
    let Some(found) = found.filter(|_| !notebook.has(Code::VmdkParent)) else { return };
    let at = begin.saturating_add(found as u64);
    let rest = bytes.get(found..).unwrap_or_default();
    let line = rest.split(|b| matches!(b, b'\n' | b'\r' | 0)).next().unwrap_or_default();
    notebook.image(
        Code::VmdkParent,
        at,
        format!("The descriptor names another image that this one needs: {}.", Hostile::new(line)),
    );
}

/// Whether this is the content ID of no image.
fn is_no_parent(cid: &[u8]) -> bool {
    let number = std::str::from_utf8(cid).ok().and_then(|cid| u32::from_str_radix(cid, 16).ok());
    number == Some(u32::MAX)
}

/// Whether a UUID is another than the one of zeros, which VirtualBox writes where there is no parent.
fn is_set(uuid: &[u8]) -> bool {
    uuid.iter().any(|byte| byte.is_ascii_alphanumeric() && *byte != b'0')
}

#[cfg(test)]
mod tests {
    use super::super::sample::{DESCRIPTOR, Sample, codes};
    use super::*;

    fn with(lines: &str) -> Vec<Code> {
        codes(&Sample::sparse().described(&format!("{DESCRIPTOR}{lines}\n")).image)
    }

    #[test]
    fn each_way_to_name_a_parent_is_found() {
        let ways = [
            "ddb.uuid.parent=\"b7d8a9c0-0000-0000-0000-000000000001\"",
            "ddb.uuid.parent = \"{00000000-0000-0000-0000-0000000000a0}\"",
            "DDB.UUID.PARENT=\"1\"",
            "ddb.nativeParentHint = \"base-flat.vmdk\"",
            "ddb.nativeParentCID = \"1234abcd\"",
            "isNativeSnapshot=\"yes\"",
            "parentFileNameHint=\"base.vmdk\"",
            "# parentfilenamehint",
            "ddb.comment = \"1\"\rddb.uuid.parent = \"1\"",
            "#\rparentCID=00000001\r#",
        ];
        for way in ways {
            assert_eq!(with(way), [Code::VmdkParent], "{way}");
        }
    }

    #[test]
    fn what_writers_say_of_images_without_one_is_no_parent() {
        let none = [
            "ddb.uuid.parent=\"00000000-0000-0000-0000-000000000000\"",
            "ddb.uuid.parentmodification=\"00000000-0000-0000-0000-000000000000\"",
            "ddb.uuid.image=\"b7d8a9c0-0000-0000-0000-000000000001\"",
            "ddb.uuid.modification=\"b7d8a9c0-0000-0000-0000-000000000001\"",
            "isNativeSnapshot=\"no\"",
            "changeTrackPath=\"disk-ctk.vmdk\"",
            "ddb.nativeParentCID = \"ffffffff\"",
            "ddb.longContentID = \"0123456789abcdef0123456789abcdef\"",
        ];
        for line in none {
            assert_eq!(with(line), [], "{line}");
        }
    }
}
