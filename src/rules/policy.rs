use super::{Severity, row};
use crate::facts::Code;

/// How severe each finding is for this run: the catalogue's word, or the user's.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    changed: Vec<(Code, Severity)>,
}

/// Why a policy cannot be as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// There is no such code.
    #[error("there is no finding `{0}`; `tidegate explain` lists all of them")]
    Unknown(crate::bytes::Hostile),
    /// The finding says that the image cannot be read as a disk.
    #[error(
        "`{0}` cannot be allowed: it says that the image cannot be read, which no policy changes"
    )]
    Fixed(&'static str),
}

impl Policy {
    /// Gives the finding of this name another severity; of several words on one finding the last
    /// counts.
    ///
    /// # Errors
    /// If there is no such finding, or it may not weigh less than a reject.
    pub fn set(&mut self, name: &str, severity: Severity) -> Result<(), PolicyError> {
        let code = Code::from_name(name).ok_or_else(|| PolicyError::Unknown(name.into()))?;
        if row(code).fixed && severity != Severity::Reject {
            return Err(PolicyError::Fixed(code.as_str()));
        }
        self.changed.retain(|(known, _)| *known != code);
        self.changed.push((code, severity));
        Ok(())
    }

    /// Makes a reject of an inside that cannot be examined, unless another word was given on that.
    pub fn require_guest(&mut self) {
        for code in [Code::GuestNotExamined, Code::GuestUnexaminable] {
            if self.changed.iter().all(|(known, _)| *known != code) {
                self.changed.push((code, Severity::Reject));
            }
        }
    }

    /// What was set, in the order in which it was.
    #[must_use]
    pub fn said(&self) -> &[(Code, Severity)] {
        &self.changed
    }

    /// What weighs otherwise than the catalogue says, in the order of the codes.
    #[must_use]
    pub fn changed(&self) -> Vec<(Code, Severity)> {
        let mut changed = self.changed.clone();
        changed.retain(|(code, severity)| row(*code).severity != *severity);
        changed.sort_unstable();
        changed
    }

    /// How severe a finding is.
    #[must_use]
    pub fn severity(&self, code: Code) -> Severity {
        let changed = self.changed.iter().find(|(known, _)| *known == code);
        changed.map_or(row(code).severity, |(_, severity)| *severity)
    }

    /// Whether a finding decides that the image is refused.
    #[must_use]
    pub fn refuses(&self, code: Code) -> bool {
        self.severity(code) == Severity::Reject
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_can_be_changed_but_physics_cannot() {
        let mut policy = Policy::default();
        policy.set("qcow2-backing-file", Severity::Note).unwrap();
        assert_eq!(policy.severity(Code::Qcow2BackingFile), Severity::Note);
        policy.set("qcow2-backing-file", Severity::Warn).unwrap();
        assert_eq!(policy.severity(Code::Qcow2BackingFile), Severity::Warn);
        assert!(!policy.refuses(Code::Qcow2BackingFile));
        for weaker in [Severity::Note, Severity::Warn] {
            assert!(matches!(policy.set("gzip-truncated", weaker), Err(PolicyError::Fixed(_))));
        }
        policy.set("gzip-truncated", Severity::Reject).unwrap();
        assert!(matches!(policy.set("no-such", Severity::Note), Err(PolicyError::Unknown(_))));
    }
}
