//! Scores `tidegate check` against tables of real files with expected verdicts.
//!
//! A table is tab-separated with a header line: path, format, compression, virtual size,
//! decompressed size, verdict, reason; `-` is not asserted.

#![allow(clippy::print_stdout, clippy::print_stderr)] // the tables of misses are for people
#![allow(clippy::unwrap_used)] // a test ends at what it did not expect

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// How a table is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Every column of every row holds.
    Exact,
    /// A `warn` may be a `reject`, and what is rejected need not be described.
    Tolerant,
}

struct Row {
    path: String,
    /// Keys of the report with the values that they should have.
    columns: Vec<(&'static str, String)>,
    verdict: String,
    reason: String,
}

fn read_table(table: &Path) -> Vec<Row> {
    let text = fs::read_to_string(table).unwrap_or_else(|e| panic!("{}: {e}", table.display()));
    let rows: Vec<Row> = text
        .lines()
        .enumerate()
        .skip(1)
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| {
            let cells: Vec<&str> = line.split('\t').collect();
            let [path, format, compression, virtual_size, image_size, verdict, reason] = cells[..]
            else {
                panic!("{}:{}: seven columns expected", table.display(), number + 1);
            };
            assert!(
                ["accept", "warn", "reject"].contains(&verdict),
                "{}:{}: verdict {verdict:?}",
                table.display(),
                number + 1
            );
            let columns = [
                ("disk_format", format),
                ("compression", compression),
                ("virtual_size", virtual_size),
                ("image_size", image_size),
            ];
            Row {
                path: path.to_owned(),
                columns: columns
                    .into_iter()
                    .filter(|(_, value)| *value != "-")
                    .map(|(key, value)| (key, value.to_owned()))
                    .collect(),
                verdict: verdict.to_owned(),
                reason: reason.to_owned(),
            }
        })
        .collect();
    assert!(!rows.is_empty(), "{}: no rows", table.display());
    rows
}

/// A value of the report as it would stand in a table.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What is not as the row says.
fn misses(row: &Row, dir: &Path, reading: Reading) -> Vec<String> {
    // One process for each image, as the exit code belongs to all images of a run.
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["check", "--format", "json", "--"])
        .arg(dir.join(&row.path))
        .output()
        .unwrap();
    let Ok(report) = serde_json::from_slice::<Value>(&output.stdout) else {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return vec![format!("no report ({}): {}", output.status, complaint.trim())];
    };
    let image = &report["images"][0];
    let verdict = shown(&image["verdict"]);
    let mut misses = Vec::new();

    let tolerable = reading == Reading::Tolerant && row.verdict == "warn" && verdict == "reject";
    if verdict != row.verdict && !tolerable {
        let codes: Vec<String> = image["findings"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|finding| shown(&finding["code"]))
            .chain(image["error"]["message"].as_str().map(str::to_owned))
            .collect();
        misses.push(format!("verdict {verdict}, not {} ({})", row.verdict, codes.join(", ")));
    }
    let exit_code = match verdict.as_str() {
        "accept" | "warn" => 0,
        "reject" => 1,
        _ => 3,
    };
    if output.status.code() != Some(exit_code) {
        misses.push(format!("{}, not {exit_code}, on {verdict}", output.status));
    }
    let rejected = row.verdict == "reject" || tolerable;
    if reading == Reading::Exact || !rejected {
        for (key, expected) in &row.columns {
            let reported = shown(&image[key]);
            if reported != *expected {
                misses.push(format!("{key} {reported}, not {expected}"));
            }
        }
    }
    misses
}

/// Scores a table and panics if a row of it is missed.
fn score(table: &Path, dir: &Path, reading: Reading) {
    let rows = read_table(table);
    let mut hits = 0;
    // Tests run side by side: what belongs together is printed in one go.
    let mut result = String::new();
    for row in &rows {
        let misses = misses(row, dir, reading);
        if misses.is_empty() {
            hits += 1;
        }
        for miss in misses {
            result.push_str(&format!("{}\t{miss}\t[{}]\n", row.path, row.reason));
        }
    }
    println!("{result}{hits} of {} rows as expected", rows.len());
    assert!(hits == rows.len(), "{} misses rows, see above", table.display());
}

#[test]
fn testdata_is_judged_exactly() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    score(&dir.join("expected.tsv"), &dir, Reading::Exact);
}

#[test]
fn corpus_is_judged_as_labelled() {
    let named = |name| env::var_os(name).map(PathBuf::from);
    match (named("TIDEGATE_CORPUS_TABLE"), named("TIDEGATE_CORPUS_DIR")) {
        (Some(table), Some(dir)) => return score(&table, &dir, Reading::Tolerant),
        (None, None) => {}
        _ => panic!("TIDEGATE_CORPUS_TABLE and TIDEGATE_CORPUS_DIR go together"),
    }
    // The corpus belongs to other projects and lies outside of this one, so its absence is no
    // failure, not even where a missing oracle is one.
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let unpack = corpus.join("unpack.sh");
    if !unpack.exists() {
        eprintln!("Skipped: there is no corpus beside the project.");
        return;
    }
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("corpus");
    let status = Command::new("bash").arg(unpack).arg(&dir).status().unwrap();
    assert!(status.success(), "the corpus was not unpacked: {status}");
    score(&corpus.join("expected.tsv"), &dir, Reading::Tolerant);
}
