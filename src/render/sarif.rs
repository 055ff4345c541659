//! SARIF 2.1.0 (OASIS), as code scanning reads it: one run, a result for each finding, a notification
//! for what could not be read and for what was not checked.

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::place;
use crate::bytes::hex;
use crate::facts::{Code, Compression};
use crate::inspect::{Digests, Finding, Report, State, Verdict};
use crate::rules::{Row, Severity, row};

/// Where the schema of the format is published.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json";

/// What relative paths are relative to; readers put the root of the repository in its place.
const ROOT: &str = "%SRCROOT%";

#[derive(Serialize)]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Value,
    invocations: [Invocation; 1],
    artifacts: Vec<Artifact<'a>>,
    results: Vec<ResultOf<'a>>,
    properties: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Serialize)]
struct Notification {
    level: &'static str,
    message: Text<String>,
    descriptor: Value,
    locations: [Location; 1],
}

#[derive(Serialize)]
struct Artifact<'a> {
    location: ArtifactLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    hashes: Map<String, Value>,
    properties: Measured<'a>,
}

/// What was measured of an image.
#[derive(Serialize)]
struct Measured<'a> {
    source: &'a str,
    verdict: Verdict,
    mode: &'a crate::inspect::Mode,
    complete: bool,
    compression: Option<Compression>,
    disk_format: Option<crate::facts::DiskFormat>,
    file_size: Option<u64>,
    image_size: Option<u64>,
    virtual_size: Option<u64>,
    digests: &'a Digests,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultOf<'a> {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Text<&'a str>,
    locations: [Location; 1],
    partial_fingerprints: Value,
    properties: Value,
}

#[derive(Serialize)]
struct Text<T> {
    text: T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: Physical,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: ArtifactLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactLocation {
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri_base_id: Option<&'static str>,
    index: usize,
    /// What has no URI is described.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    byte_offset: u64,
    byte_length: u64,
}

/// One document for all images, ending in a newline. Paths below `root` become relative to it.
///
/// # Errors
/// None that the model can cause; the writer is a string.
pub fn render(images: &[Report], root: &Path) -> Result<String, serde_json::Error> {
    let mut codes: Vec<Code> = images.iter().flat_map(|r| &r.findings).map(|f| f.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let places: Vec<ArtifactLocation> =
        images.iter().enumerate().map(|(index, report)| located(report, index, root)).collect();
    let known = || images.iter().zip(&places);
    let run = Run {
        tool: json!({ "driver": {
            "name": "tidegate",
            "version": env!("CARGO_PKG_VERSION"),
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "rules": codes.iter().map(|&code| rule(row(code))).collect::<Vec<_>>(),
        }}),
        invocations: [Invocation {
            execution_successful: images.iter().all(|r| r.verdict != Verdict::Error),
            tool_execution_notifications: known()
                .flat_map(|(r, at)| notifications(r, at))
                .collect(),
        }],
        artifacts: known().map(|(report, at)| artifact(report, at)).collect(),
        results: known().flat_map(|(report, at)| results(report, at, &codes)).collect(),
        properties: json!({
            "verdicts": images.iter().map(|r| json!({
                "source": r.source, "verdict": r.verdict, "digests": r.digests,
            })).collect::<Vec<_>>(),
        }),
    };
    let log = Log { schema: SCHEMA, version: "2.1.0", runs: [run] };
    Ok(serde_json::to_string_pretty(&log)? + "\n")
}

fn located(report: &Report, index: usize, root: &Path) -> ArtifactLocation {
    let (uri, relative) = place::uri(report, root).unzip();
    ArtifactLocation {
        description: uri.is_none().then(|| json!({ "text": "standard input" })),
        uri,
        uri_base_id: relative.unwrap_or(false).then_some(ROOT),
        index,
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Reject => "error",
        Severity::Warn => "warning",
        Severity::Note => "note",
    }
}

fn rule(row: &Row) -> Value {
    json!({
        "id": row.code.as_str(),
        "shortDescription": { "text": row.title },
        "fullDescription": { "text": row.explanation },
        "help": { "text": format!("{} Source of the rule: {}.", row.remedy, row.source) },
        "defaultConfiguration": { "level": level(row.severity) },
    })
}

fn artifact<'a>(report: &'a Report, at: &ArtifactLocation) -> Artifact<'a> {
    let mut hashes = Map::new();
    if let Some(digest) = &report.digests.sha256 {
        hashes.insert("sha-256".into(), digest.as_str().into());
    }
    Artifact {
        location: at.clone(),
        length: report.file_size,
        hashes,
        properties: Measured {
            source: &report.source,
            verdict: report.verdict,
            mode: &report.mode,
            complete: report.complete,
            compression: report.compression,
            disk_format: report.disk_format,
            file_size: report.file_size,
            image_size: report.image_size,
            virtual_size: report.virtual_size,
            digests: &report.digests,
        },
    }
}

fn results<'a>(report: &'a Report, at: &ArtifactLocation, codes: &[Code]) -> Vec<ResultOf<'a>> {
    let findings = report.findings.iter().enumerate();
    findings
        .map(|(index, finding)| {
            let before = &report.findings[..index];
            let nth = before.iter().filter(|other| other.code == finding.code).count();
            ResultOf {
                rule_id: finding.code.as_str(),
                // Every code that was found is among them.
                rule_index: codes.binary_search(&finding.code).unwrap_or_default(),
                level: level(finding.severity),
                message: Text { text: &finding.message },
                locations: [Location {
                    physical_location: Physical {
                        artifact_location: at.clone(),
                        region: region(finding, report),
                    },
                }],
                partial_fingerprints: json!({ "tidegate/v1": fingerprint(report, finding, nth) }),
                properties: json!({
                    "severity": finding.severity,
                    "layer": finding.layer,
                    "offset": finding.offset,
                    "remedy": finding.remedy,
                    "repairable": finding.repairable,
                }),
            }
        })
        .collect()
}

/// Where the finding is in the file. An offset in a layer that is not the file is no place in it.
fn region(finding: &Finding, report: &Report) -> Option<Region> {
    let is_file = super::is_in_file(finding.layer, report);
    let inside = |&at: &u64| report.file_size.is_none_or(|size| at < size);
    let byte_offset = finding.offset.filter(|_| is_file).filter(inside)?;
    Some(Region { byte_offset, byte_length: 1 })
}

/// The same for the same finding in a later build of the image: without what a build changes.
fn fingerprint(report: &Report, finding: &Finding, nth: usize) -> String {
    let text = [&report.source, finding.code.as_str(), finding.layer.as_str(), &nth.to_string()];
    hex(&Sha256::digest(text.join("\n")))
}

fn notifications(report: &Report, at: &ArtifactLocation) -> Vec<Notification> {
    let notification = |level, id: &str, text| Notification {
        level,
        message: Text { text },
        descriptor: json!({ "id": id }),
        locations: [Location {
            physical_location: Physical { artifact_location: at.clone(), region: None },
        }],
    };
    let error =
        report.error.iter().map(|error| notification("error", &error.kind, error.message.clone()));
    let unmade = report.checks.iter().filter(|check| check.state != State::Done).map(|check| {
        let how = if check.state == State::Partial { "in part" } else { "not" };
        notification("note", &check.id, format!("{} was made {how}: {}.", check.id, check.why))
    });
    error.chain(unmade).collect()
}
