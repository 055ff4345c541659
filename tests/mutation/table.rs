//! The table of what was found, by format and class.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::{Check, Convert, Outcome, Said};

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
    ("qemu-img silent, another disk, reported", |o| is_other(o) && o.said != Said::Nothing),
    ("silent by format", is_silent),
];

/// Whether `qemu-img` reads another disk and says nothing.
fn is_other(outcome: &Outcome) -> bool {
    outcome.check == Check::Clean && outcome.convert == Convert::Other
}

fn is_silent(outcome: &Outcome) -> bool {
    is_other(outcome) && outcome.said == Said::Nothing
}

pub(crate) fn markdown(outcomes: &[Outcome], seed: u64, count: u64) -> String {
    let mut rows: BTreeMap<(&str, &str), Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        rows.entry((outcome.format, outcome.class)).or_default().push(outcome);
        rows.entry((outcome.format, "all")).or_default().push(outcome);
    }
    let mut out = format!("Seed {seed}, {count} corruptions of each format.\n\n| format | class |");
    let mut line = "\n| --- | --- |".to_owned();
    for (name, _) in COLUMNS {
        let _ = write!(out, " {name} |");
        line += " ---: |";
    }
    let _ = writeln!(out, "{line}");
    for ((format, class), outcomes) in rows {
        let _ = write!(out, "| {format} | {class} |");
        for (_, is) in COLUMNS {
            let _ = write!(out, " {} |", outcomes.iter().filter(|outcome| is(outcome)).count());
        }
        let _ = writeln!(out);
    }
    let mut silent: BTreeMap<[&str; 4], (usize, &str)> = BTreeMap::new();
    for outcome in outcomes.iter().filter(|outcome| is_silent(outcome)) {
        let key = [outcome.format, outcome.image, outcome.class, outcome.field];
        silent.entry(key).or_insert((0, &outcome.what)).0 += 1;
    }
    let _ = writeln!(out, "\nSilent by format, with an example:\n");
    for ([format, image, class, field], (count, example)) in silent {
        let _ = writeln!(out, "- {format} {image}, {class}, {field}: {count} ({example})");
    }
    out
}
