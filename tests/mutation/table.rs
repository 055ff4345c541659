//! The table of what was found, by format and class.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::{Check, Outcome, Said};

/// How many outcomes of a row are of a kind.
type Column = (&'static str, fn(&Outcome) -> bool);

const COLUMNS: &[Column] = &[
    ("corruptions", |_| true),
    ("qemu-img reports", Outcome::qemu_reports),
    ("of these leaks", |o| o.check == Check::Leaks),
    ("of these only convert fails", |o| o.check == Check::Clean && o.qemu_reports()),
    ("tidegate reports", |o| o.said != Said::Nothing),
    ("of these as a note", |o| o.said == Said::Note),
    ("missed", Outcome::missed),
    ("qemu-img silent, another disk, reported", |o| o.is_other() && o.said != Said::Nothing),
    ("silent by format", is_silent),
];

/// What the README shows.
const SHORT: &[Column] = &[
    ("changes", |_| true),
    ("`qemu-img` reports", Outcome::qemu_reports),
    ("tidegate reports", |o| o.said != Said::Nothing),
    ("the same disk, no report", |o| !o.qemu_reports() && !o.is_other() && o.said == Said::Nothing),
    ("another disk, no report", is_silent),
    ("only `qemu-img` reports", |o| o.qemu_reports() && o.said == Said::Nothing),
];

fn is_silent(outcome: &Outcome) -> bool {
    outcome.is_other() && outcome.said == Said::Nothing
}

pub(crate) fn markdown(outcomes: &[Outcome], seed: u64, count: u64) -> String {
    let mut rows: BTreeMap<(&str, &str), Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        rows.entry((outcome.format, outcome.class)).or_default().push(outcome);
        rows.entry((outcome.format, "all")).or_default().push(outcome);
    }
    let mut out = format!("Seed {seed}, {count} corruptions of each format.\n\n");
    write(&mut out, &rows, COLUMNS);
    let _ = writeln!(out, "\nThe same for the README:\n");
    write(&mut out, &rows, SHORT);
    let mut silent: BTreeMap<[&str; 5], (usize, &str)> = BTreeMap::new();
    for outcome in outcomes.iter().filter(|outcome| is_silent(outcome)) {
        let why = outcome.silent.unwrap_or("missed");
        let key = [outcome.format, outcome.image, outcome.class, outcome.field, why];
        silent.entry(key).or_insert((0, &outcome.what)).0 += 1;
    }
    let _ = writeln!(out, "\nSilent by format, with an example:\n");
    for ([format, image, class, field, why], (count, example)) in silent {
        let _ = writeln!(out, "- {format} {image}, {class}, {field}: {count}: {why} ({example})");
    }
    out
}

fn write(out: &mut String, rows: &BTreeMap<(&str, &str), Vec<&Outcome>>, columns: &[Column]) {
    let _ = write!(out, "| format | class |");
    let mut line = "\n| --- | --- |".to_owned();
    for (name, _) in columns {
        let _ = write!(out, " {name} |");
        line += " --: |";
    }
    let _ = writeln!(out, "{line}");
    for ((format, class), outcomes) in rows {
        let _ = write!(out, "| {format} | {class} |");
        for (_, is) in columns {
            let _ = write!(out, " {} |", outcomes.iter().filter(|outcome| is(outcome)).count());
        }
        let _ = writeln!(out);
    }
}
