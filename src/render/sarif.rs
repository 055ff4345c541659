//! SARIF 2.1.0 (OASIS), as code scanning reads it: one run, a result for each finding, a notification
//! for what could not be read and for what was not checked.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::pieces::{Elements, pretty};
use super::span::Span;
use super::{Document, place};
use crate::bytes::hex;
use crate::facts::{Code, Compression};
use crate::inspect::{Digests, Finding, Look, Report, State, Verdict};
use crate::rules::{Row, Severity, row};

/// Where the schema of the format is published.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json";

/// What relative paths are relative to; readers put the root of the repository in its place.
const ROOT: &str = "%SRCROOT%";

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

/// One document for all images. Paths below its root become relative to it.
pub struct Sarif {
    root: PathBuf,
    images: usize,
    span: Span,
    /// What was found in any of them, in the order in which it was found first.
    codes: Vec<Code>,
    unread: bool,
    notifications: Elements,
    artifacts: Elements,
    results: Elements,
    verdicts: Elements,
}

impl Sarif {
    /// A document about no image yet.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Sarif {
            root,
            images: 0,
            span: Span::default(),
            codes: Vec::new(),
            unread: false,
            notifications: Elements::new(10),
            artifacts: Elements::new(6),
            results: Elements::new(6),
            verdicts: Elements::new(8),
        }
    }

    /// The place of a rule among those that the document has.
    fn rule_index(&mut self, code: Code) -> usize {
        self.codes.iter().position(|known| *known == code).unwrap_or_else(|| {
            self.codes.push(code);
            self.codes.len() - 1
        })
    }
}

impl Document for Sarif {
    fn add(&mut self, report: &Report, _: &dyn Fn() -> Look) -> io::Result<()> {
        let at = located(report, self.images, &self.root);
        self.images += 1;
        self.span.add(report);
        self.unread |= report.verdict == Verdict::Error;
        for notification in notifications(report, &at) {
            self.notifications.push(&notification)?;
        }
        self.artifacts.push(&artifact(report, &at))?;
        let mut seen: HashMap<Code, usize> = HashMap::new();
        for finding in &report.findings {
            let nth = seen.entry(finding.code).or_default();
            let rule_index = self.rule_index(finding.code);
            self.results.push(&result(report, finding, *nth, rule_index, &at))?;
            *nth += 1;
        }
        self.verdicts.push(&json!({
            "source": report.source, "verdict": report.verdict, "digests": report.digests,
            "checked_at": report.checked_at,
        }))
    }

    fn write(self: Box<Self>, out: &mut dyn Write) -> io::Result<()> {
        let tool = json!({ "driver": {
            "name": "tidegate",
            "version": env!("CARGO_PKG_VERSION"),
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "rules": self.codes.iter().map(|&code| rule(row(code))).collect::<Vec<_>>(),
        }});
        let start = match self.span.first() {
            Some(date) => format!("\"startTimeUtc\": {},\n          ", json!(date)),
            None => String::new(),
        };
        write!(
            out,
            "{{\n  \"$schema\": \"{SCHEMA}\",\n  \"version\": \"2.1.0\",\n  \"runs\": [\n    {{\n      \"tool\": {},\n      \
             \"invocations\": [\n        {{\n          {start}\"executionSuccessful\": {},\n          \
             \"toolExecutionNotifications\": ",
            pretty(&tool, 6)?,
            !self.unread
        )?;
        self.notifications.pour(out)?;
        out.write_all(b"\n        }\n      ],\n      \"artifacts\": ")?;
        self.artifacts.pour(out)?;
        out.write_all(b",\n      \"results\": ")?;
        self.results.pour(out)?;
        out.write_all(b",\n      \"properties\": {\n        \"verdicts\": ")?;
        self.verdicts.pour(out)?;
        out.write_all(b"\n      }\n    }\n  ]\n}\n")
    }
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
        "help": { "text": format!("{} Source of the rule: {}.", row.remedy.words(), row.source) },
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

/// A finding, the `nth` of its code in this image.
fn result<'a>(
    report: &Report,
    finding: &'a Finding,
    nth: usize,
    rule_index: usize,
    at: &ArtifactLocation,
) -> ResultOf<'a> {
    ResultOf {
        rule_id: finding.code.as_str(),
        rule_index,
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
            "path": finding.spot.as_ref().map(|spot| &spot.path),
            "line": finding.spot.as_ref().and_then(|spot| spot.line),
            "remedy": finding.remedy,
            "commands": finding.commands,
            "repairable": finding.repairable,
        }),
    }
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
    // Of a file whose name is cut, nothing else tells it from others. A query is another one for the same object tomorrow.
    let cut = report.path.is_some() && report.source.ends_with('…');
    let name = if cut { report.name_sha256.to_string() } else { report.source.clone() };
    let text = [&name, finding.code.as_str(), finding.layer.as_str(), &nth.to_string()];
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
