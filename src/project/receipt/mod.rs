//! Receipts: what a check came to, and of which bytes, so that an unchanged file need not be read again.
//!
//! A receipt is believed for two reasons only: it lies in the user's own cache, where nobody else can write, or it
//! has the seal of a key that the user gave; with a key, those in the cache need its seal too. And it counts only for a file that is still the one that was checked,
//! under the same rules, with the same questions asked.

mod cache;
mod check;
mod key;
mod subject;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use self::cache::Cache;
pub use self::check::Receipts;
pub use self::key::Key;
pub use self::subject::Subject;
use crate::bytes::{Hostile, Small, folder, hex, rfc3339};
use crate::facts::Code;
use crate::inspect::{self, Check, Digested, Expected, Guest, Mode, Options, Report, Verdict};
use crate::rules::{self, Severity};

/// Name and version of the format.
const SCHEMA: &str = "tidegate.receipt/1";

/// Many times what a check says of any image.
const STORED: Small = Small { what: "a receipt", most: 2 << 20 };

/// What is said of what was expected; it is of one run, and in no receipt.
const EXPECTED: &str = "expected-digest";

/// What a check came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    schema: String,
    /// What judged it: program and catalogue.
    pub rules: String,
    /// When the check began, as RFC 3339 has it.
    pub checked_at: String,
    /// What was checked.
    pub subject: Subject,
    /// How it was checked.
    options: Asked,
    /// What came of it.
    pub report: Report,
}

/// What was asked of a check, as far as its report depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    limit: u64,
    policy: BTreeMap<String, Severity>,
    keep_going: bool,
    image_digest: bool,
    disk_digest: bool,
    spool: bool,
    guest: Guest,
    url_rules: bool,
}

impl Asked {
    /// What these options ask for.
    #[must_use]
    pub fn of(options: &Options) -> Asked {
        let policy = options.policy.changed().into_iter();
        Asked {
            limit: options.limit,
            policy: policy.map(|(code, severity)| (code.as_str().to_owned(), severity)).collect(),
            keep_going: options.keep_going,
            image_digest: options.image_digest
                || options.expected.iter().any(|expected| expected.of == Digested::Image),
            disk_digest: options.disk_digest,
            spool: options.spool,
            guest: options.guest,
            url_rules: options.url_rules,
        }
    }
}

/// Why a receipt does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is none.
    #[error("there is no receipt")]
    None,
    /// The file has no byte.
    #[error("it is empty")]
    Empty,
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// It is something else.
    #[error("it is no receipt of tidegate ({0})")]
    Malformed(String),
    /// It was made under other rules.
    #[error("it was made under other rules ({0}; these are {rules}), so check the image again", rules = rules::version())]
    OtherRules(Hostile),
    /// Its content is not what was written.
    #[error("it was changed after it was written, so check the image again")]
    Edited,
    /// Nobody vouches for it.
    #[error("it is not sealed with a key; set TIDEGATE_RECEIPT_KEY where it is made")]
    Unsealed,
    /// There is nothing to hold its seal against.
    #[error("nobody here can tell who made it; set TIDEGATE_RECEIPT_KEY to the key that sealed it")]
    NoKey,
    /// It has the seal of another key.
    #[error("its seal is not of this TIDEGATE_RECEIPT_KEY")]
    OtherKey,
}

/// Why no receipt can be written to a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unwritable {
    /// What is there is no receipt, and is not replaced.
    #[error("it would be replaced, but {0}; name another file")]
    Other(Refusal),
    /// Nothing can be written in its folder.
    #[error("{0}; name a file in a folder that is there and may be written to")]
    Folder(String),
    /// It would go on speaking of an earlier check.
    #[error("the receipt of an earlier check is there and cannot be removed: {0}")]
    Old(String),
    /// A check of this image leaves none.
    #[error("there can be no receipt of it: {0}")]
    Never(String),
}

/// What a check came to, and whether its receipt is where it was ordered.
#[derive(Debug)]
#[non_exhaustive]
pub struct Checked {
    /// The report.
    pub report: Report,
    /// Why there is no receipt in the file that was named for one; `None` also if no file was named.
    pub unwritten: Option<String>,
}

/// Why a receipt is believed.
#[derive(Clone, Copy, Debug)]
enum Trust<'a> {
    /// It lies where only the user can write.
    Own,
    /// It has the seal of this key.
    Sealed(Option<&'a Key>),
}

/// A receipt with what vouches for it, as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    schema: String,
    rules: String,
    receipt: serde_json::Value,
    /// SHA-256 of the receipt: tells that somebody edited it, not who.
    digest: String,
    /// HMAC-SHA256 of the receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hmac: Option<String>,
}

impl Receipt {
    /// Reads a receipt that has to have the seal of a key.
    ///
    /// # Errors
    /// If it does not count.
    pub fn read(path: &Path, key: Option<&Key>) -> Result<Receipt, Refusal> {
        match content(path) {
            Ok(bytes) if bytes.is_empty() => Err(Refusal::Empty),
            Ok(bytes) => Receipt::parse(&bytes, Trust::Sealed(key)),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Refusal::None),
            Err(error) => Err(Refusal::Unreadable(error.to_string())),
        }
    }

    /// Whether a receipt can be written to this path: nothing but receipts is replaced. It is tried with a file that is
    /// gone again, so that a check need not be made to find it out.
    ///
    /// # Errors
    /// Says what is in the way.
    pub fn may_be_written(path: &Path) -> Result<(), Unwritable> {
        if let Err(error) = tempfile::NamedTempFile::new_in(folder(path)) {
            // The error itself names the file that was tried.
            return Err(Unwritable::Folder(error.kind().to_string()));
        }
        match Receipt::read(path, None) {
            Err(refusal @ (Refusal::Unreadable(_) | Refusal::Malformed(_))) => {
                Err(Unwritable::Other(refusal))
            }
            Err(Refusal::None) if std::fs::read_link(path).is_ok() => Err(Unwritable::Other(
                Refusal::Unreadable("it is a link that leads nowhere".into()),
            )),
            _ => Ok(()),
        }
    }

    /// Whether a check of this image can leave a receipt, as far as that is known before anything of it is read. What
    /// cannot be opened is for the check to tell.
    ///
    /// # Errors
    /// Says why nothing would tell that it changed.
    pub fn is_possible(argument: &OsStr) -> Result<(), String> {
        Subject::is_identifiable(argument)
    }

    /// Removes the receipt of an earlier check, so that a check that comes to nothing leaves none. Nothing but receipts
    /// and empty files is removed, and of a link the link.
    ///
    /// # Errors
    /// If it cannot be removed, or something else is there.
    pub fn withdraw(path: &Path) -> Result<(), Unwritable> {
        match Receipt::read(path, None) {
            Err(Refusal::None) => Ok(()),
            Err(refusal @ (Refusal::Unreadable(_) | Refusal::Malformed(_))) => {
                Err(Unwritable::Other(refusal))
            }
            _ => std::fs::remove_file(path).map_err(|e| Unwritable::Old(e.to_string())),
        }
    }

    /// Of a check that was made, and read every byte.
    fn of(
        report: &Report,
        subject: Subject,
        options: Asked,
        began: SystemTime,
    ) -> Result<Receipt, String> {
        let whole = report.mode == Mode::Full && report.complete && report.digests.sha256.is_some();
        if !whole {
            return Err("not every byte was read".into());
        }
        let of_expectation = [Code::DigestMismatch, Code::ImageDigestMismatch];
        if report.findings.iter().any(|finding| of_expectation.contains(&finding.code)) {
            return Err("the digest is not the expected one".into());
        }
        let mut report = report.clone();
        report.checks.retain(|check| check.id != EXPECTED);
        (report.path, report.compared) = (None, Vec::new());
        let began = began.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let (schema, rules) = (SCHEMA.into(), rules::version().into());
        Ok(Receipt { schema, rules, checked_at: rfc3339(began), subject, options, report })
    }

    fn parse(bytes: &[u8], trust: Trust<'_>) -> Result<Receipt, Refusal> {
        let malformed = |e: String| Refusal::Malformed(Hostile::from(e.as_str()).to_string());
        let value: serde_json::Value =
            serde_json::from_slice(bytes).map_err(|_| malformed("it is not JSON".into()))?;
        match value["schema"].as_str() {
            Some(SCHEMA) => {}
            Some(other) => return Err(malformed(format!("its schema is {other}"))),
            None => return Err(malformed("it has no schema".into())),
        }
        match value["rules"].as_str() {
            Some(rules) if rules == rules::version() => {}
            Some(other) => return Err(Refusal::OtherRules(other.into())),
            None => return Err(malformed("it names no rules".into())),
        }
        let stored: Stored = serde_json::from_value(value).map_err(|e| malformed(e.to_string()))?;
        let receipt: Receipt =
            serde_json::from_value(stored.receipt).map_err(|_| Refusal::Edited)?;
        // What is sealed is what was understood: nothing else of the text can have a meaning.
        let sealed = receipt.bytes().map_err(malformed)?;
        if hex(&Sha256::digest(&sealed)) != stored.digest || receipt.rules != stored.rules {
            return Err(Refusal::Edited);
        }
        match (trust, stored.hmac) {
            (Trust::Own, _) => {}
            (Trust::Sealed(_), None) => return Err(Refusal::Unsealed),
            (Trust::Sealed(None), Some(_)) => return Err(Refusal::NoKey),
            (Trust::Sealed(Some(key)), Some(seal)) if key.verifies(&sealed, &seal) => {}
            (Trust::Sealed(Some(_)), Some(_)) => return Err(Refusal::OtherKey),
        }
        match receipt.report.verdict {
            Verdict::Error => Err(malformed("it has no verdict".into())),
            _ if !receipt.report.is_consistent() => {
                Err(malformed("its verdict is not what its findings come to".into()))
            }
            _ => Ok(receipt),
        }
    }

    /// What is sealed.
    fn bytes(&self) -> Result<Vec<u8>, String> {
        serde_json::to_vec(self).map_err(|e| e.to_string())
    }

    /// The text of a file.
    fn written(&self, key: Option<&Key>) -> Result<String, String> {
        let sealed = self.bytes()?;
        let stored = Stored {
            schema: SCHEMA.into(),
            rules: self.rules.clone(),
            receipt: serde_json::to_value(self).map_err(|e| e.to_string())?,
            digest: hex(&Sha256::digest(&sealed)),
            hmac: key.map(|key| key.seal(&sealed)),
        };
        let mut text = serde_json::to_string_pretty(&stored).map_err(|e| e.to_string())?;
        text.push('\n');
        Ok(text)
    }

    /// The report on the same bytes, for an argument of another run.
    fn report_for(self, argument: &OsStr, options: &Options) -> Report {
        let mut report = self.report.told_of(argument);
        report.bytes_read = 0;
        report.requests = None;
        report.spooled_bytes = 0;
        if let Subject::File { identity, .. } = self.subject {
            report.opened = Some(identity);
        }
        report.receipt =
            Some(inspect::Receipt::Unchanged { checked_at: self.checked_at, rules: self.rules });
        if !options.expected.is_empty() {
            report.compared = options.expected.iter().map(|expected| expected.of.layer()).collect();
            report.checks.push(Check::done(EXPECTED));
        }
        report
    }

    /// Whether the digests are those that are expected.
    fn agrees(&self, expected: &[Expected]) -> bool {
        let digests = &self.report.digests;
        expected.iter().all(|expected| {
            let made = match expected.of {
                Digested::File => &digests.sha256,
                Digested::Image => &digests.image_sha256,
            };
            made.as_deref() == Some(hex(&expected.sha256).as_str())
        })
    }
}

/// What is in a file that is small enough for a receipt. A pipe would never end.
fn content(path: &Path) -> std::io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    STORED.open(path)
}

/// Writes a file in one step. What is there is replaced if it is a receipt and `over` says so, and a link is not followed.
fn put(path: &Path, text: &str, over: bool) -> Result<(), String> {
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder(path))?;
        file.write_all(text.as_bytes())?;
        match over && std::fs::symlink_metadata(path).is_ok() {
            true => file.persist(path).map(drop).map_err(|e| e.error),
            false => file.persist_noclobber(path).map(drop).map_err(|e| e.error),
        }
    };
    if over {
        Receipt::may_be_written(path).map_err(|e| e.to_string())?;
    }
    write().map_err(|e| match e.kind() {
        ErrorKind::AlreadyExists => {
            "somebody else put something there while the image was checked, and it is not replaced"
                .into()
        }
        _ => e.to_string(),
    })
}
