use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex};

use serde::Serialize;

use super::clock;

/// One line for each request: what was asked, what was answered, which faults were met. Headers and
/// bodies are not in it, so that secrets are not either.
#[derive(Debug)]
pub(super) struct Log(Mutex<Arc<File>>);

/// A line of the log.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    pub(super) time: String,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) query: &'a str,
    /// What was asked of the bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) operation: Option<&'a str>,
    /// Whether the bucket was asked without a signature.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) anonymous: bool,
    /// `None` if the connection was cut.
    pub(super) status: Option<u16>,
    pub(super) request_id: &'a str,
    pub(super) ms: u128,
    /// The kinds of the faults that were met.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) faults: &'a [String],
    /// What was wrong with the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
}

impl Log {
    /// One that appends to this file.
    pub(super) fn new(file: Arc<File>) -> Log {
        Log(Mutex::new(file))
    }

    pub(super) fn write(&self, line: &Line<'_>) {
        let Ok(mut text) = serde_json::to_vec(line) else { return };
        text.push(b'\n');
        if let Ok(file) = self.0.lock() {
            // A log that cannot be written is no reason to answer no more.
            let _ = (&**file).write_all(&text);
        }
    }
}

impl Line<'_> {
    pub(super) fn stamp() -> String {
        let now = clock::now();
        let second = clock::stamp();
        format!("{}.{:03}Z", second.trim_end_matches('Z'), now.subsec_millis())
    }
}
