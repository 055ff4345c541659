//! Fail closed: what was left out of a check is a finding, never silence.

use super::report::{Check, Mode};
use crate::facts::{Anomaly, Cause, Code, Layer};
use crate::rules::{Policy, Severity};

/// What the parts of a check that were not made to their end amount to, beyond what was found already. The
/// gravest of them counts.
pub(super) fn anomaly(
    mode: Mode,
    checks: &[Check],
    found: &[Anomaly],
    policy: &Policy,
) -> Option<Anomaly> {
    let left =
        checks.iter().filter(|check| check.cause.is_some()).max_by_key(|check| check.cause)?;
    let weighs = |severity| found.iter().any(|a| policy.severity(a.code) >= severity);
    let has = |code| found.iter().any(|a| a.code == code);
    let code = match left.cause? {
        Cause::Aside => return None,
        Cause::Quick if mode == Mode::Quick => return None,
        // What refuses the image explains why the rest was not looked at.
        _ if weighs(Severity::Reject) => return None,
        Cause::Elsewhere => Code::DiskNotExamined,
        Cause::Source => Code::StructureNotExamined,
        Cause::Image | Cause::Quick => Code::StructureUnexaminable,
    };
    if has(code) {
        return None;
    }
    let part = left.id.replace('-', " ");
    let said = format!("The check left out a part ({part}): {}.", left.why);
    let layer = if code == Code::DiskNotExamined { Layer::Disk } else { Layer::Image };
    Some(Anomaly { code, layer, offset: None, said })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Left;
    use crate::inspect::State;

    fn check(left: Left) -> Check {
        Check {
            id: "allocation-tables".into(),
            state: State::Partial,
            why: left.why().into(),
            cause: Some(left.cause()),
        }
    }

    fn found(code: Code) -> Anomaly {
        Anomaly { code, layer: Layer::Image, offset: None, said: String::new() }
    }

    #[test]
    fn no_reason_is_silent_in_a_full_check() {
        let policy = Policy::default();
        for &left in Left::ALL {
            let made = anomaly(Mode::Full, &[Check::done("format"), check(left)], &[], &policy);
            let severity = made.map(|anomaly| policy.severity(anomaly.code));
            let expected = match left.cause() {
                Cause::Aside => None,
                Cause::Elsewhere | Cause::Source => Some(Severity::Warn),
                Cause::Image | Cause::Quick => Some(Severity::Reject),
            };
            assert_eq!(severity, expected, "{left:?}");
        }
        assert_eq!(anomaly(Mode::Full, &[Check::done("format")], &[], &policy), None);
    }

    #[test]
    fn a_quick_check_leaves_out_what_it_was_asked_to() {
        let policy = Policy::default();
        let code = |left| anomaly(Mode::Quick, &[check(left)], &[], &policy).map(|a| a.code);
        assert_eq!(code(Left::QuickEnd), None);
        assert_eq!(code(Left::TablesTooSmall), Some(Code::StructureUnexaminable));
    }

    #[test]
    fn the_gravest_reason_counts_and_a_reject_explains_them_all() {
        let policy = Policy::default();
        let checks = [check(Left::TableCut), check(Left::Behind)];
        let code = |found: &[Anomaly]| anomaly(Mode::Full, &checks, found, &policy).map(|a| a.code);
        assert_eq!(code(&[]), Some(Code::StructureUnexaminable));
        assert_eq!(code(&[found(Code::StructureNotExamined)]), Some(Code::StructureUnexaminable));
        assert_eq!(code(&[found(Code::ImageTruncated)]), None);
        let behind = [check(Left::Behind)];
        let said = [found(Code::StructureNotExamined)];
        assert_eq!(anomaly(Mode::Full, &behind, &said, &policy), None);
    }
}
