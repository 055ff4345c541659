//! JUnit XML, as CI systems read it: a suite for each image, a case for each rule that concerns it.

use std::fmt::Write;
use std::io;
use std::time::Duration;

use super::Document;
use super::examined::{Case, Outcome, cases};
use super::markup::escape;
use super::pieces::Pieces;
use crate::inspect::{Finding, Look, Report, Verdict};
use crate::rules::Severity;

/// How a suite and the whole document are counted.
#[derive(Clone, Copy, Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.tests += other.tests;
        self.failures += other.failures;
        self.errors += other.errors;
        self.skipped += other.skipped;
    }

    /// Those of the document: that of a suite has `skipped` too.
    fn attributes(self) -> String {
        let Counts { tests, failures, errors, .. } = self;
        format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\"")
    }
}

/// One document for all images. A reject fails its case, and a warning does too where the image is strict; of a
/// case that did not fail, `system-out` has what was found.
pub struct Junit {
    all: Counts,
    /// The time of all images; none if that of one is not known.
    took: Option<Duration>,
    suites: Pieces,
}

impl Default for Junit {
    fn default() -> Self {
        Junit { all: Counts::default(), took: Some(Duration::ZERO), suites: Pieces::default() }
    }
}

impl Document for Junit {
    fn add(&mut self, report: &Report, _: &dyn Fn() -> Look) -> io::Result<()> {
        let (counts, written) = suite(report);
        self.all.add(counts);
        self.took = self.took.zip(report.took).map(|(all, one)| all + one);
        self.suites.push(&written)
    }

    fn write(self: Box<Self>, out: &mut dyn io::Write) -> io::Result<()> {
        writeln!(
            out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"tidegate\" {}{}>",
            self.all.attributes(),
            time(self.took)
        )?;
        self.suites.pour(out)?;
        out.write_all(b"</testsuites>\n")
    }
}

/// The attribute for a time that was measured: seconds. Cases have none, as one pass decides all rules.
fn time(took: Option<Duration>) -> String {
    took.map_or(String::new(), |took| format!(" time=\"{:.6}\"", took.as_secs_f64()))
}

/// The attribute for the date of a check. The schemas of JUnit's readers have it without a zone; it is in UTC.
fn timestamp(report: &Report) -> String {
    let date = report.checked_at.as_deref().map(|date| escape(date.trim_end_matches('Z')));
    date.map_or(String::new(), |date| format!(" timestamp=\"{date}\""))
}

fn suite(report: &Report) -> (Counts, String) {
    let mut counts = Counts::default();
    let mut body = properties(report);
    if let Some(error) = &report.error {
        counts.add(Counts { tests: 1, errors: 1, ..Counts::default() });
        let _ = writeln!(
            body,
            "    <testcase name=\"readable\" classname=\"tidegate.file\">\n      \
             <error type=\"{}\" message=\"{}\"/>\n    </testcase>",
            escape(&error.kind),
            escape(&error.message)
        );
    }
    // Without a verdict there is nothing to say of any rule.
    if report.verdict != Verdict::Error {
        for case in cases(report) {
            counts.add(write_case(&case, report.strict, &mut body));
        }
    }
    let name = escape(&report.source);
    let suite = format!(
        "  <testsuite name=\"{name}\" {} skipped=\"{}\"{}{}>\n{body}  </testsuite>\n",
        counts.attributes(),
        counts.skipped,
        time(report.took),
        timestamp(report)
    );
    (counts, suite)
}

fn properties(report: &Report) -> String {
    let size = |size: Option<u64>| size.map(|size| size.to_string());
    let mut out = "    <properties>\n".to_owned();
    for (name, value) in [
        ("verdict", Some(report.verdict.as_str().to_owned())),
        ("compression", report.compression.map(|c| c.as_str().to_owned())),
        ("disk_format", report.disk_format.map(|f| f.as_str().to_owned())),
        ("file_size", size(report.file_size)),
        ("image_size", size(report.image_size)),
        ("virtual_size", size(report.virtual_size)),
        ("sha256", report.digests.sha256.clone()),
        ("image_sha256", report.digests.image_sha256.clone()),
        ("disk_sha256", report.digests.disk_sha256.clone()),
    ] {
        if let Some(value) = value {
            let value = escape(&value);
            let _ = writeln!(out, "      <property name=\"{name}\" value=\"{value}\"/>");
        }
    }
    out.push_str("    </properties>\n");
    out
}

fn write_case(case: &Case<'_>, strict: bool, out: &mut String) -> Counts {
    let mut counts = Counts { tests: 1, ..Counts::default() };
    let code = case.row.code.as_str();
    let class = code.split('-').next().unwrap_or(code);
    let _ = write!(out, "    <testcase name=\"{code}\" classname=\"tidegate.{class}\"");
    match &case.outcome {
        Outcome::Held => out.push_str("/>\n"),
        Outcome::Unknown(why) => {
            counts.skipped = 1;
            let _ = writeln!(
                out,
                ">\n      <skipped message=\"not checked: {}\"/>\n    </testcase>",
                escape(why)
            );
        }
        Outcome::Broken(findings) => {
            let fails = |finding: &&&Finding| match finding.severity {
                Severity::Reject => true,
                Severity::Warn => strict,
                Severity::Note => false,
            };
            let text: Vec<String> = findings.iter().map(|finding| told(finding)).collect();
            let text = escape(&text.join("\n\n"));
            match findings.iter().find(fails) {
                Some(first) => {
                    counts.failures = 1;
                    let _ = writeln!(
                        out,
                        ">\n      <failure type=\"{}\" message=\"{}\">{text}</failure>\n    </testcase>",
                        first.severity.as_str(),
                        escape(&first.message)
                    );
                }
                None => {
                    let _ =
                        writeln!(out, ">\n      <system-out>{text}</system-out>\n    </testcase>");
                }
            }
        }
    }
    counts
}

/// A finding in full.
fn told(finding: &Finding) -> String {
    format!(
        "{}: {} ({})\n{}\nFix: {}\nMore: tidegate explain {}",
        finding.severity.as_str(),
        finding.row().title,
        finding.place(),
        finding.message,
        finding.remedy,
        finding.code.as_str()
    )
}
