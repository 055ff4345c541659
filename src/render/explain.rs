//! The catalogue of findings as text.

use std::fmt::Write;

use super::Style;
use super::wrap::with_commands;
use crate::facts::Code;
use crate::rules::{Row, Severity, row};

/// Columns before the text of a field.
const INDENT: usize = 13;

/// All findings, a line each.
#[must_use]
pub fn list() -> String {
    let mut out = String::new();
    for &code in Code::ALL {
        let row = row(code);
        let _ = writeln!(out, "{:<6}  {:<34}  {}", row.severity.as_str(), code.as_str(), row.title);
    }
    out
}

/// One finding in full.
#[must_use]
pub fn one(row: &Row, style: Style) -> String {
    let severity = match row.fixed {
        true => "reject, whatever the policy".to_owned(),
        false => {
            format!("{}, unless --reject, --warn or --allow says otherwise", row.severity.as_str())
        }
    };
    let mut out = format!("{}: {}\n\n", row.code.as_str(), row.title);
    let advice = row.remedy.in_general(row.code);
    let mut remedy = advice.text;
    if row.remedy.has_command() && advice.commands.is_empty() {
        remedy
            .push_str(" The report of a check has the command for your image, where there is one.");
    }
    if row.repairable && row.severity == Severity::Reject && !row.beside {
        remedy.push_str(" Or let tidegate push repack it on the way.");
    }
    for (name, text) in [
        ("What", row.explanation),
        ("What to do", &remedy),
        ("Severity", &severity),
        ("Source", row.source),
    ] {
        let _ = writeln!(out, "{name:<INDENT$}{}", with_commands(text, style.width, INDENT));
    }
    out
}
