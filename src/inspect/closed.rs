//! Fail closed: what was left out of a check is a finding, never silence.

use super::report::{Check, Mode, Report};
use crate::facts::{Anomaly, Cause, Code, Compression, DiskFormat, Layer};
use crate::rules::{Policy, Severity};

/// What the parts of a check that were not made to their end amount to, beyond what was `found` already. The
/// gravest of them counts.
pub(super) fn anomaly(report: &Report, found: &[Anomaly], policy: &Policy) -> Option<Anomaly> {
    let left = report.checks.iter().filter_map(|check| Some((check.cause?, check)));
    let (code, said) = match left.max_by_key(|(cause, _)| *cause) {
        Some((Cause::Elsewhere, check)) => (Code::DiskNotExamined, left_out(check)),
        Some((Cause::Source, check)) => (Code::StructureNotExamined, left_out(check)),
        Some((Cause::Image, check)) => (Code::StructureUnexaminable, left_out(check)),
        Some((Cause::Quick, check)) if report.mode == Mode::Full => {
            (Code::StructureUnexaminable, left_out(check))
        }
        _ => {
            let part = required(report).find(|id| report.checks.iter().all(|c| c.id != *id))?;
            let part = part.replace('-', " ");
            (Code::StructureUnexaminable, format!("The check never came to a part ({part})."))
        }
    };
    // What refuses the image explains why the rest was not looked at.
    let refused = found.iter().any(|a| policy.severity(a.code) == Severity::Reject);
    if refused || found.iter().any(|a| a.code == code) {
        return None;
    }
    let layer = if code == Code::DiskNotExamined { Layer::Disk } else { Layer::Image };
    Some(Anomaly { code, layer, offset: None, spot: None, said })
}

fn left_out(check: &Check) -> String {
    format!("The check left out a part ({}): {}.", check.id.replace('-', " "), check.why)
}

/// The parts that every full check is made of, whatever the image says of itself.
fn required(report: &Report) -> impl Iterator<Item = &'static str> {
    let full = report.mode == Mode::Full;
    let packed = report.compression.is_some_and(|packing| packing != Compression::None);
    let container = report.disk_format.is_some_and(|format| format != DiskFormat::Raw);
    [
        ("format", full),
        ("headers", full && container),
        ("allocation-tables", full && container),
        ("partition-table", full),
        ("compressed-stream", full && packed),
        ("image-end", full),
        ("file-digest", full),
    ]
    .into_iter()
    .filter_map(|(id, needed)| needed.then_some(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Left;
    use crate::inspect::Options;

    fn report(quick: bool, left: &[Left]) -> Report {
        let options = Options { quick, ..Options::default() };
        let mut report = Report::new("-".as_ref(), &options);
        required(&report).collect::<Vec<_>>().into_iter().for_each(|id| report.done(id));
        left.iter().for_each(|&left| report.partial("packed-data", left));
        report
    }

    fn found(code: Code) -> Anomaly {
        Anomaly { code, layer: Layer::Image, offset: None, spot: None, said: String::new() }
    }

    #[test]
    fn no_reason_is_silent_in_a_full_check() {
        let policy = Policy::default();
        for &left in Left::ALL {
            let made = anomaly(&report(false, &[left]), &[], &policy);
            let severity = made.map(|anomaly| policy.severity(anomaly.code));
            let expected = match left.cause() {
                Cause::Aside => None,
                Cause::Elsewhere | Cause::Source => Some(Severity::Warn),
                Cause::Image | Cause::Quick => Some(Severity::Reject),
            };
            assert_eq!(severity, expected, "{left:?}");
        }
        assert_eq!(anomaly(&report(false, &[]), &[], &policy), None);
    }

    #[test]
    fn a_part_that_never_came_is_not_silent_either() {
        let policy = Policy::default();
        let whole = report(false, &[]);
        for index in 0..whole.checks.len() {
            let mut report = whole.clone();
            report.checks.remove(index);
            let made = anomaly(&report, &[], &policy).map(|a| a.code);
            assert_eq!(made, Some(Code::StructureUnexaminable), "{:?}", whole.checks[index]);
        }
    }

    #[test]
    fn a_quick_check_leaves_out_what_it_was_asked_to() {
        let policy = Policy::default();
        let code = |left| anomaly(&report(true, &[left]), &[], &policy).map(|a| a.code);
        assert_eq!(code(Left::QuickEnd), None);
        assert_eq!(code(Left::TablesTooSmall), Some(Code::StructureUnexaminable));
    }

    #[test]
    fn the_gravest_reason_counts_and_a_reject_explains_them_all() {
        let policy = Policy::default();
        let both = report(false, &[Left::TableCut, Left::Behind]);
        let code = |found: &[Anomaly]| anomaly(&both, found, &policy).map(|a| a.code);
        assert_eq!(code(&[]), Some(Code::StructureUnexaminable));
        assert_eq!(code(&[found(Code::StructureNotExamined)]), Some(Code::StructureUnexaminable));
        assert_eq!(code(&[found(Code::ImageTruncated)]), None);
        let said = [found(Code::StructureNotExamined)];
        assert_eq!(anomaly(&report(false, &[Left::Behind]), &said, &policy), None);
    }
}
