//! The catalogue: one row for every code.

mod booted;
mod disk;
mod file;
mod foreign;
mod guest;
mod guest_boot;
mod guest_fstab;
mod guest_leftovers;
mod guest_network;
mod guest_prov;
mod guest_services;
mod guest_ssh;
mod image;
mod qcow2;
mod url;
mod vdi;
mod vhdx;
mod vmdk;

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use sha2::{Digest, Sha256};

use super::remedy::{Recipe, Remedy};
use crate::bytes::hex;
use crate::facts::Code;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// Worth knowing, no more.
    Note,
    /// Accepted, with a warning; refused by `--strict`.
    Warn,
    /// Refused.
    Reject,
}

impl Severity {
    /// Its name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warn => "warn",
            Severity::Reject => "reject",
        }
    }
}

/// What is known of one kind of finding.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Row {
    /// The anomaly it is about.
    pub code: Code,
    /// How much it weighs unless a policy says otherwise.
    pub severity: Severity,
    /// A fact of physics: the image cannot be read as a disk, so no policy may allow it.
    pub fixed: bool,
    /// Whether `tidegate repack` mends it. A push does so on the way where it would be refused otherwise.
    pub repairable: bool,
    /// Whether that takes files which lie beside a local file and are named by it. So no push does it.
    pub beside: bool,
    /// A few words, without a period.
    pub title: &'static str,
    /// What is wrong and what would happen, in a sentence or two.
    pub explanation: &'static str,
    /// What to do.
    pub remedy: Remedy,
    /// Where the rule comes from.
    pub source: &'static str,
}

/// A row that a policy may weigh otherwise.
const fn judged(
    code: Code,
    severity: Severity,
    title: &'static str,
    explanation: &'static str,
    remedy: Remedy,
    source: &'static str,
) -> Row {
    Row {
        code,
        severity,
        fixed: false,
        repairable: false,
        beside: false,
        title,
        explanation,
        remedy,
        source,
    }
}

/// A row of a fact of physics, always a reject.
const fn physics(
    code: Code,
    title: &'static str,
    explanation: &'static str,
    remedy: Remedy,
    source: &'static str,
) -> Row {
    Row {
        code,
        severity: Severity::Reject,
        fixed: true,
        repairable: false,
        beside: false,
        title,
        explanation,
        remedy,
        source,
    }
}

/// A remedy that commands of this recipe carry out.
const fn run(first: &'static str, recipe: Recipe, then: &'static str) -> Remedy {
    Remedy::Run { first, recipe, then }
}

/// A remedy that commands carry out in the guest.
const fn in_guest(first: &'static str, command: &'static str, then: &'static str) -> Remedy {
    Remedy::Guest { first, command, then }
}

/// The same row, of something that repacking mends.
const fn repairable(row: Row) -> Row {
    Row { repairable: true, ..row }
}

/// The same row, of something that repacking mends with what lies beside the file.
const fn mended_beside(row: Row) -> Row {
    Row { repairable: true, beside: true, ..row }
}

const SHELVES: &[&[Row]] = &[
    file::ROWS,
    url::ROWS,
    image::ROWS,
    foreign::ROWS,
    qcow2::ROWS,
    vhdx::ROWS,
    vdi::ROWS,
    vmdk::ROWS,
    disk::ROWS,
    guest::ROWS,
    guest_fstab::ROWS,
    guest_network::ROWS,
    guest_leftovers::ROWS,
    guest_prov::ROWS,
    guest_services::ROWS,
    guest_boot::ROWS,
    guest_ssh::ROWS,
    booted::ROWS,
];

/// What judged a report: the version of the program, and a digest of all that the catalogue says. A word that
/// changes in it makes another one.
#[must_use]
pub fn version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| {
        let mut digest = Sha256::new();
        for row in SHELVES.iter().flat_map(|rows| rows.iter()) {
            // All of the row, so that no field can be forgotten.
            digest.update(format!("{row:?}\n"));
        }
        format!("{}+{}", env!("CARGO_PKG_VERSION"), &hex(&digest.finalize())[..16])
    })
}

/// The row of a code.
#[must_use]
pub fn row(code: Code) -> &'static Row {
    SHELVES
        .iter()
        .flat_map(|rows| rows.iter())
        .find(|row| row.code == code)
        // The test below holds every code against the shelves.
        .unwrap_or(&SHELVES[0][0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_of_program_and_catalogue() {
        let (program, catalogue) = version().split_once('+').unwrap();
        assert_eq!(program, env!("CARGO_PKG_VERSION"));
        assert_eq!(catalogue.len(), 16);
        let shown = format!("{:?}", row(Code::GzipTruncated));
        for part in ["GzipTruncated", "Reject", "fixed: true", "RFC 1952"] {
            assert!(shown.contains(part), "{shown}");
        }
    }

    #[test]
    fn every_code_has_one_row_with_all_its_texts() {
        for &code in Code::ALL {
            let rows: Vec<&Row> = SHELVES
                .iter()
                .flat_map(|rows| rows.iter())
                .filter(|row| row.code == code)
                .collect();
            let name = code.as_str();
            assert_eq!(rows.len(), 1, "{name}");
            let row = rows[0];
            let words = row.remedy.words();
            for text in [row.title, row.explanation, &words, row.source] {
                assert!(!text.is_empty() && text.trim() == text, "{name}: {text:?}");
            }
            assert!(!row.title.ends_with('.'), "{name}");
            assert!(row.explanation.ends_with('.') && words.ends_with('.'), "{name}");
            assert!(!words.contains("FILE") && !words.contains("OFFSET"), "{name}: {words}");
            let prose = [row.title, row.explanation, &words, row.source];
            assert!(prose.iter().all(|text| !text.contains('`')), "{name}");
        }
    }
}
