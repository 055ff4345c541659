//! `docs/marks.md` lists every mark in the code, and nothing else.

use std::fmt::Write;

use tidegate::codec::{PACKINGS, Packing};
use tidegate::facts::{Known, Mark};
use tidegate::formats::{FORMATS, Is};
use tidegate::guest::{FILE_SYSTEMS, SIGNATURES, Signature};

/// A mark as the table shows it.
fn shown(mark: &Mark) -> String {
    let bytes = |magic: &[u8]| match magic.iter().all(|b| b.is_ascii_graphic() || *b == b' ') {
        true => format!("`{}`", String::from_utf8_lossy(magic).trim_end()),
        false => magic.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "),
    };
    match *mark {
        Mark::At(at, magic) => format!("{} at {at}", bytes(magic)),
        Mark::End(before, magic) => format!("{} at {before} before the end", bytes(magic)),
        Mark::Rule(wants, _) => wants.to_owned(),
        _ => panic!("a kind of mark that the table does not know"),
    }
}

fn rows<T>(table: &mut String, known: &'static [Known<T>], does: impl Fn(&T) -> String) {
    for known in known {
        let marks: Vec<_> = known.marks.iter().map(shown).collect();
        let (what, readers) = (known.what, known.readers);
        let _ =
            writeln!(table, "| {what} | {readers} | {} | {} |", marks.join("; "), does(&known.is));
    }
}

fn table() -> String {
    let mut table = String::new();
    for title in ["is", "---"] {
        let (a, b, c) = if title == "is" {
            ("readers", "mark", "what tidegate does")
        } else {
            ("---", "---", "---")
        };
        let _ = writeln!(table, "| {title} | {a} | {b} | {c} |");
    }
    rows(&mut table, PACKINGS, |packing| match packing {
        Packing::Foreign(_, code) => format!("refuses it as `{}`", code.as_str()),
        _ => "decompresses it".to_owned(),
    });
    rows(&mut table, FORMATS, |is| match is {
        Is::Taken(_) => "examines it".to_owned(),
        Is::Refused(_, code) | Is::Content(_, code) => format!("refuses it as `{}`", code.as_str()),
        Is::Optical => {
            "`iso-hybrid` or `iso-shell` beside a partition table, else `format-iso9660`".to_owned()
        }
    });
    rows(&mut table, SIGNATURES, |signature| {
        match signature {
            Signature::Member => "`disk-member-signature` beside a partition table, else names it",
            Signature::Map => "`partition-table-second` beside an MBR or a GPT, else names it",
            _ => panic!("a kind of signature that the table does not know"),
        }
        .to_owned()
    });
    rows(&mut table, FILE_SYSTEMS, |system| {
        match system.is_boot_sector() {
            true => "`mbr-in-volume` beside a partition table, else names it",
            false => "`disk-file-system` or `disk-file-system-left-over` beside a partition table, else names it",
        }
        .to_owned()
    });
    table
}

#[test]
fn the_documentation_lists_every_mark() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/marks.md");
    let document = std::fs::read_to_string(path).unwrap();
    let table = table();
    if std::env::var_os("TIDEGATE_WRITE_DOCS").is_some() {
        let (before, rest) = document.split_once("<!-- marks -->\n").unwrap();
        let (_, after) = rest.split_once("<!-- end -->\n").unwrap();
        let anew = format!("{before}<!-- marks -->\n{table}<!-- end -->\n{after}");
        std::fs::write(path, anew).unwrap();
        return;
    }
    assert!(
        document.contains(&format!("<!-- marks -->\n{table}<!-- end -->\n")),
        "docs/marks.md is not what the code says; write it anew: TIDEGATE_WRITE_DOCS=1 cargo test --test marks"
    );
}
