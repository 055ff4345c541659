use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::booted::Booted;
use super::identity::Identity;
use super::stable::{self, Stable};
use super::{Options, closed, name};
use crate::bytes::{hex, percent_path};
use crate::facts::{Anomaly, Cause, Code, Compression, DiskFormat, Layer, Left, Spot};
use crate::guest::PartitionTable;
use crate::guest::inside::Inside;
use crate::rules::{Row, Severity, row};
use crate::source;

/// What became of one image. This is the model that every output is made from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The path as given, escaped, or `-`.
    pub source: String,
    /// What tells the argument from others that are shown alike.
    pub name_sha256: source::NameDigest,
    /// The outcome.
    pub verdict: Verdict,
    /// How much was to be read.
    pub mode: Mode,
    /// Whether every byte of the file was read.
    pub complete: bool,
    /// Why there is no verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
    /// How the file is packed; `None` if it was not read.
    pub compression: Option<Compression>,
    /// What the image is; `None` if nothing could be decoded.
    pub disk_format: Option<DiskFormat>,
    /// Bytes of the file.
    pub file_size: Option<u64>,
    /// Bytes of the image; `None` if it was not read to its end.
    pub image_size: Option<u64>,
    /// Bytes of the disk, as the container says; of a raw image its size.
    pub virtual_size: Option<u64>,
    /// Bytes that image and disk have to stay under.
    pub limit: u64,
    /// The digests that were made.
    pub digests: Digests,
    /// Bytes of the file that were read; holes are not.
    pub bytes_read: u64,
    /// Requests that were made for the bytes of a URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// What identifies the object behind a URL that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// How often the image was decoded from its beginning.
    pub scans: u32,
    /// Bytes written to temporary files.
    pub spooled_bytes: u64,
    /// Properties of the container, as short words.
    pub traits: Vec<String>,
    /// The disk's partition table; `None` if nobody looked at the disk's first sectors.
    pub partition_table: Option<PartitionTable>,
    /// What is inside the disk; `None` if nobody looked, or nothing there is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest: Option<Inside>,
    /// What came of a boot, if it was booted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<Booted>,
    /// What a receipt had to do with it, if receipts were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
    /// What was checked, and what was not.
    pub checks: Vec<Check>,
    /// What was found, the gravest first.
    pub findings: Vec<Finding>,
    /// The path as given, not escaped; `None` for a URL and for standard input. Never to be shown.
    #[serde(default, with = "percent_path", skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Whose digests were held against those that were expected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compared: Vec<Layer>,
    /// Whether warnings count as rejections, if whoever asked for the check says so.
    #[serde(default, skip_serializing_if = "is_false")]
    pub strict: bool,
    /// When the check began, as RFC 3339 has it in UTC, if whoever asked for the check says so: the same image has the same
    /// report otherwise. Of what a receipt says, when the check was made that the receipt is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<String>,
    /// How long the check took, if somebody measured it: the same image has the same report otherwise.
    #[serde(skip)]
    pub took: Option<Duration>,
    /// What identifies the file that was opened, unless it came through a pipe or the network.
    #[serde(skip)]
    pub opened: Option<source::FileIdentity>,
    /// What was found inside the disk: it settles nothing about reading on, and is written down at the end.
    #[serde(skip)]
    pub(super) later: Vec<Anomaly>,
    /// What was read around the findings, for whoever shows it later.
    #[serde(skip)]
    pub(super) known: Vec<source::Known>,
    /// Whether the examination ended before its end, which a finding has to explain.
    #[serde(skip)]
    pub(super) stopped: bool,
}

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Verdict {
    /// DigitalOcean would take it, as far as anyone can tell.
    Accept,
    /// Likewise, with warnings.
    Warn,
    /// It would be refused, or would not work.
    Reject,
    /// It could not be read: there is no verdict.
    Error,
}

impl Verdict {
    /// What findings come to.
    fn of(findings: &[Finding]) -> Verdict {
        match findings.iter().map(|finding| finding.severity).max() {
            Some(Severity::Reject) => Verdict::Reject,
            Some(Severity::Warn) => Verdict::Warn,
            Some(Severity::Note) | None => Verdict::Accept,
        }
    }

    /// Its name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Accept => "accept",
            Verdict::Warn => "warn",
            Verdict::Reject => "reject",
            Verdict::Error => "error",
        }
    }
}

/// What a receipt had to do with a report.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Receipt {
    /// The file is what it was when the receipt was made; it was not read again.
    Unchanged {
        /// When it was checked, as RFC 3339 has it.
        checked_at: String,
        /// What judged it.
        rules: String,
    },
    /// It was checked, and a receipt was made.
    Kept,
    /// It was checked, and no receipt was made.
    None {
        /// Why not.
        why: String,
    },
}

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Mode {
    /// All of the file.
    Full,
    /// What the examiner wants.
    Quick,
}

/// Why a source could not be read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Error {
    /// A stable kind.
    #[serde(deserialize_with = "stable::known_kind")]
    pub kind: Stable,
    /// A sentence for people.
    pub message: String,
}

impl From<&source::Error> for Error {
    fn from(error: &source::Error) -> Self {
        let mut message = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            message.push_str(&format!(" ({inner})"));
            cause = inner.source();
        }
        Error { kind: error.kind.as_str().into(), message }
    }
}

/// SHA-256 digests in lower-case hexadecimal. What was not asked for or not read in full is absent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Digests {
    /// Of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Of the decompressed image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_sha256: Option<String>,
    /// Of the virtual disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_sha256: Option<String>,
}

/// One of the things that a check is made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Check {
    /// A stable name.
    #[serde(deserialize_with = "stable::known_check")]
    pub id: Stable,
    /// How far it got.
    pub state: State,
    /// Why it did not get to its end.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub why: Cow<'static, str>,
    /// Whose doing that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

impl Check {
    /// A part that was made to its end.
    #[must_use]
    pub fn done(id: &'static str) -> Check {
        Check { id: Stable::check(id), state: State::Done, why: "".into(), cause: None }
    }

    fn left(id: &'static str, state: State, left: Left) -> Check {
        Check { id: Stable::check(id), state, why: left.why().into(), cause: Some(left.cause()) }
    }

    /// Whether it was made to its end.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }
}

/// How far a part of a check got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum State {
    /// To its end.
    Done,
    /// Not to its end.
    Partial,
    /// It was not made.
    Skipped,
}

/// An anomaly, judged.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// What it is.
    #[serde(serialize_with = "name_of", deserialize_with = "of_name")]
    pub code: Code,
    /// How much it weighs in this run.
    pub severity: Severity,
    /// What was found, with values.
    pub message: String,
    /// In which layer.
    pub layer: Layer,
    /// Byte offset in that layer, where it has a place.
    pub offset: Option<u64>,
    /// Where it is among the files of the guest, if it is about them.
    #[serde(flatten)]
    pub spot: Option<Spot>,
    /// What to do about it; commands are between backticks.
    pub remedy: String,
    /// The commands of the remedy, to be pasted as they are; empty if it takes judgement.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// Whether `tidegate repack` mends it; a push does so on the way where it would be refused otherwise.
    #[serde(default, skip_serializing_if = "is_false")]
    pub repairable: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde hands over a reference
fn is_false(value: &bool) -> bool {
    !value
}

impl Finding {
    /// An anomaly, weighed; its remedy is made later.
    fn of(anomaly: Anomaly, options: &Options) -> Self {
        Finding {
            code: anomaly.code,
            severity: options.policy.severity(anomaly.code),
            message: anomaly.said,
            layer: anomaly.layer,
            offset: anomaly.offset,
            spot: anomaly.spot,
            remedy: String::new(),
            commands: Vec::new(),
            repairable: row(anomaly.code).repairable,
        }
    }

    /// The row of the catalogue that it comes from.
    #[must_use]
    pub fn row(&self) -> &'static Row {
        row(self.code)
    }

    /// Where it is, in words: `disk`, `disk, byte 512`, `disk, /etc/fstab:3`.
    #[must_use]
    pub fn place(&self) -> String {
        let layer = self.layer.as_str();
        match (&self.spot, self.offset) {
            (Some(spot), _) => format!("{layer}, {spot}"),
            (None, Some(offset)) => format!("{layer}, byte {offset}"),
            (None, None) => layer.to_owned(),
        }
    }
}

fn name_of<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.as_str())
}

fn of_name<'de, D: Deserializer<'de>>(from: D) -> Result<Code, D::Error> {
    let name = String::deserialize(from)?;
    Code::from_name(&name).ok_or_else(|| serde::de::Error::custom("there is no such finding"))
}

impl Report {
    pub(super) fn new(argument: &OsStr, options: &Options) -> Self {
        Report {
            source: source::shown(argument).to_string(),
            name_sha256: source::NameDigest::of(argument),
            verdict: Verdict::Error,
            mode: if options.quick { Mode::Quick } else { Mode::Full },
            complete: false,
            error: None,
            compression: None,
            disk_format: None,
            file_size: None,
            image_size: None,
            virtual_size: None,
            limit: options.limit,
            digests: Digests::default(),
            bytes_read: 0,
            requests: None,
            identity: None,
            scans: 0,
            spooled_bytes: 0,
            traits: Vec::new(),
            partition_table: None,
            guest: None,
            boot: None,
            receipt: None,
            checks: Vec::new(),
            findings: Vec::new(),
            path: path_of(argument),
            compared: Vec::new(),
            strict: false,
            checked_at: None,
            took: None,
            opened: None,
            later: Vec::new(),
            known: Vec::new(),
            stopped: false,
        }
    }

    /// Of an image that was not checked, or not to its end, because the call ended before: `why` says why it did.
    #[must_use]
    pub fn not_checked(argument: &OsStr, options: &Options, why: &str) -> Self {
        let mut report = Report::new(argument, options);
        let message = format!("it was not checked: {why}");
        report.error = Some(Error { kind: stable::NOT_CHECKED.into(), message });
        report
    }

    /// Whether it is of an image that was not checked.
    #[must_use]
    pub fn is_not_checked(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.kind == stable::NOT_CHECKED)
    }

    /// Says that a part of the check was made to its end.
    pub(super) fn done(&mut self, id: &'static str) {
        self.checks.push(Check::done(id));
    }

    /// Says that a part of the check was not made to its end.
    pub(super) fn partial(&mut self, id: &'static str, left: Left) {
        self.checks.push(Check::left(id, State::Partial, left));
    }

    /// Says that a part of the check was not made.
    pub(super) fn skipped(&mut self, id: &'static str, left: Left) {
        self.checks.push(Check::left(id, State::Skipped, left));
    }

    /// Without a verdict: what was measured before the failure is not reported.
    pub(super) fn failed(mut self, error: &source::Error) -> Self {
        self.verdict = Verdict::Error;
        self.complete = false;
        self.digests = Digests::default();
        self.checks.clear();
        self.error = Some(error.into());
        self
    }

    /// With a verdict from what was found.
    pub(super) fn judged(
        mut self,
        mut anomalies: Vec<Anomaly>,
        argument: &OsStr,
        options: &Options,
    ) -> Self {
        self.compare_digests(&mut anomalies, options);
        anomalies.extend(closed::anomaly(&self, &anomalies, &options.policy));
        if let Some(identity) = &mut self.identity {
            identity.sha256.clone_from(&self.digests.sha256);
        }
        anomalies.extend(name::mismatch(argument, self.compression, self.disk_format, &anomalies));
        self.findings =
            anomalies.into_iter().map(|anomaly| Finding::of(anomaly, options)).collect();
        self.advise(argument);
        self.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        self.verdict = Verdict::of(&self.findings);
        if self.stopped && self.verdict != Verdict::Reject {
            // Nothing known leads here; and what was not read to its end is never accepted.
            self.verdict = Verdict::Error;
            let message = "the image was not read to its end, and nothing says why".to_owned();
            self.error = Some(Error { kind: stable::INCOMPLETE.into(), message });
        }
        self
    }

    /// What came of a boot of the image, judged with the rest. Of an image without a verdict there is none.
    #[must_use]
    pub fn booted(mut self, argument: &OsStr, boot: Booted, options: &Options) -> Self {
        let grave = self.findings.iter().filter(|found| found.severity != Severity::Note);
        let checked: Vec<Code> = grave.map(|found| found.code).collect();
        let found = boot.anomalies(&checked);
        self.boot = Some(boot);
        self.findings.extend(found.into_iter().map(|anomaly| Finding::of(anomaly, options)));
        self.advise(argument);
        self.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        if self.error.is_none() {
            self.verdict = Verdict::of(&self.findings);
        }
        self
    }

    /// Whether the verdict is what the rest of the report comes to, as it is in every report that a check made.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        match self.verdict {
            Verdict::Error => self.error.is_some(),
            verdict => self.error.is_none() && verdict == Verdict::of(&self.findings),
        }
    }

    /// The same report, told of the same file under an argument of another run.
    #[must_use]
    pub fn told_of(mut self, argument: &OsStr) -> Self {
        self.source = source::shown(argument).to_string();
        self.name_sha256 = source::NameDigest::of(argument);
        self.path = path_of(argument);
        self.advise(argument);
        self
    }

    /// Holds the digests against those that were expected.
    fn compare_digests(&mut self, anomalies: &mut Vec<Anomaly>, options: &Options) {
        use super::Digested;
        let (mut any, mut all) = (false, true);
        for expected in &options.expected {
            let (made, code, layer) = match expected.of {
                Digested::File => (&self.digests.sha256, Code::DigestMismatch, Layer::File),
                Digested::Image => {
                    (&self.digests.image_sha256, Code::ImageDigestMismatch, Layer::Image)
                }
            };
            any = true;
            let Some(made) = made else {
                all = false;
                continue;
            };
            self.compared.push(layer);
            let wanted = hex(&expected.sha256);
            if *made != wanted {
                anomalies.push(Anomaly {
                    code,
                    layer,
                    offset: None,
                    spot: None,
                    said: format!(
                        "The SHA-256 of the {} is {made}; {} says {wanted}.",
                        layer.as_str(),
                        expected.origin
                    ),
                });
            }
        }
        match (any, all) {
            (false, _) => {}
            (true, true) => self.done("expected-digest"),
            (true, false) if options.quick => self.skipped("expected-digest", Left::QuickFile),
            (true, false) => self.skipped("expected-digest", Left::NotToTheEnd),
        }
    }
}

/// The path that an argument is, if it is one.
fn path_of(argument: &OsStr) -> Option<PathBuf> {
    (argument != "-" && !source::is_url(argument)).then(|| argument.into())
}
