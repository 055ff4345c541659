//! Which rules of the catalogue a check held an image against, and what became of each.
//!
//! A rule that has nothing to say about this kind of image is not among them. One that has, but whose
//! part of the check was not made to its end, is there with the reason, so that silence is never taken
//! for a pass.

use crate::facts::{Code, Compression, DiskFormat, Layer};
use crate::guest::Scheme;
use crate::inspect::{Finding, Report, State};
use crate::rules::{Row, row};

/// What became of a rule.
pub(super) enum Outcome<'r> {
    /// It was broken, in these places.
    Broken(Vec<&'r Finding>),
    /// It was held.
    Held,
    /// That is not known, for this reason.
    Unknown(&'r str),
}

/// A rule that concerns the image.
pub(super) struct Case<'r> {
    /// The rule.
    pub(super) row: &'static Row,
    /// What became of it.
    pub(super) outcome: Outcome<'r>,
}

/// All rules that concern the image, in the order of the catalogue.
pub(super) fn cases(report: &Report) -> Vec<Case<'_>> {
    Code::ALL
        .iter()
        .filter_map(|&code| {
            let found: Vec<_> = report.findings.iter().filter(|f| f.code == code).collect();
            let outcome = match part(code, report) {
                _ if !found.is_empty() => Outcome::Broken(found),
                None => return None,
                Some(part) => outcome(part, report),
            };
            Some(Case { row: row(code), outcome })
        })
        .collect()
}

fn outcome(part: Part, report: &Report) -> Outcome<'_> {
    let id = match part {
        Part::Known => return Outcome::Held,
        Part::Check(id) => id,
    };
    match report.checks.iter().find(|check| check.id == id) {
        Some(check) if check.state == State::Done => Outcome::Held,
        Some(check) => Outcome::Unknown(&check.why),
        None => Outcome::Unknown("the check ended before it came to this"),
    }
}

/// The part of a check that decides about a rule.
enum Part {
    /// Whatever was read is enough.
    Known,
    /// The check of this name, made to its end.
    Check(&'static str),
}

/// What decides about a rule; `None` if it has nothing to say about this image, or only speaks up.
fn part(code: Code, report: &Report) -> Option<Part> {
    use Code::*;
    let packed = report.compression?;
    let format = report.disk_format;
    let check = |applies: bool, id| applies.then_some(Part::Check(id));
    let name = code.as_str();
    let family = name.split('-').next().unwrap_or(name);
    match code {
        DigestMismatch => report.compared.contains(&Layer::File).then_some(Part::Known),
        ImageDigestMismatch => report.compared.contains(&Layer::Image).then_some(Part::Known),
        NameMismatch => check(report.source != "-", "format"),
        FileTooLarge => {
            check(true, if report.file_size.is_some() { "format" } else { "image-end" })
        }
        CompressionNested => check(packed != Compression::None, "format"),
        ImageTooLarge => check(true, "image-end"),
        DiskTooLarge | DiskEmpty | DiskTiny => match format {
            Some(DiskFormat::Raw) => check(true, "image-end"),
            _ => check(is_container(format), "headers"),
        },
        ImageTruncated => check(is_container(format), "allocation-tables"),
        // It says itself what was not examined.
        StructureNotExamined => None,
        // Their marks are at the end.
        FormatPolyglot | FormatVpc | FormatDmg => check(true, "image-end"),
        IsoHybrid => check(true, "format"),
        RawNoPartitionTable => check(format == Some(DiskFormat::Raw), "partition-table"),
        RawSizeUnaligned => check(format == Some(DiskFormat::Raw), "image-end"),
        DiskNoPartitionTable => check(is_container(format), "partition-table"),
        PartitionTableEmpty | MbrInvalid | MbrHybrid | GptMissing | GptWithoutProtectiveMbr => {
            check(is_disk(format), "partition-table")
        }
        Qcow2ClusterDamaged | VmdkGrainDamaged => {
            check(names(family, format) && has_check(report, "packed-data"), "packed-data")
        }
        UrlPrivateHost => check(has_check(report, "importer-fetch"), "importer-fetch"),
        UrlUnpinned | UrlContentEncoding => report.identity.is_some().then_some(Part::Known),
        _ if IN_TABLES.contains(&code) => check(names(family, format), "allocation-tables"),
        _ => match family {
            "gzip" => check(packed == Compression::Gzip, "compressed-stream"),
            "bzip2" => check(packed == Compression::Bzip2, "compressed-stream"),
            // Of what is refused as it is, only a repacking push looks inside.
            "xz" | "zstd" | "tar" => None,
            "compression" | "archive" => Some(Part::Known),
            "format" | "content" => check(true, "format"),
            // Whether there is a proxy matters to who answered, and to nothing else.
            "url" => has_check(report, "importer-fetch").then_some(Part::Known),
            "qcow2" | "vhdx" | "vdi" | "vmdk" => check(names(family, format), "headers"),
            "mbr" => check(has_scheme(report, Scheme::Mbr), "partition-table"),
            "gpt" => check(has_scheme(report, Scheme::Gpt), "partition-table"),
            _ => None,
        },
    }
}

/// Rules of the containers that only the walk over the tables decides about; those of their headers
/// are all others.
const IN_TABLES: [Code; 28] = [
    Code::Qcow2TableEntryInvalid,
    Code::Qcow2RefcountTableInvalid,
    Code::Qcow2RefcountTooLow,
    Code::Qcow2RefcountStale,
    Code::Qcow2ClustersLeaked,
    Code::Qcow2ClustersOverlap,
    Code::Qcow2CompressedTwice,
    Code::Qcow2CopiedFlagWrong,
    Code::Qcow2BitmapsInvalid,
    Code::Qcow2SnapshotTableInvalid,
    Code::Qcow2Dirty,
    Code::VhdxParent,
    Code::VhdxBatEntryInvalid,
    Code::VhdxBlocksOverlap,
    Code::VhdxFixedBlockMissing,
    Code::VdiBlockCountMismatch,
    Code::VdiBlockMapEntryInvalid,
    Code::VdiBlocksOverlap,
    Code::VdiBlocksUnused,
    Code::VmdkTableEntryInvalid,
    Code::VmdkGrainTableInvalid,
    Code::VmdkGrainsOverlap,
    Code::VmdkTableCopiesDiffer,
    Code::VmdkMarkersMismatch,
    Code::VmdkFooterInvalid,
    Code::VmdkFooterMismatch,
    Code::VmdkTrailingBytes,
    Code::VmdkUnclean,
];

fn has_check(report: &Report, id: &str) -> bool {
    report.checks.iter().any(|check| check.id == id)
}

fn names(family: &str, format: Option<DiskFormat>) -> bool {
    format.is_some_and(|format| format.as_str() == family)
}

fn is_container(format: Option<DiskFormat>) -> bool {
    use DiskFormat::{Qcow2, Vdi, Vhdx, Vmdk};
    matches!(format, Some(Qcow2 | Vhdx | Vdi | Vmdk))
}

fn is_disk(format: Option<DiskFormat>) -> bool {
    is_container(format) || format == Some(DiskFormat::Raw)
}

fn has_scheme(report: &Report, scheme: Scheme) -> bool {
    report.partition_table.as_ref().is_some_and(|table| table.scheme == scheme)
}
