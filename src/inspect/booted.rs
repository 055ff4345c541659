//! What a boot comes to: its stages, and what is known of each.

use serde::{Deserialize, Serialize};

use crate::facts::{Anomaly, Code, Layer};

/// What a machine that boots comes to, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Stage {
    /// The BIOS started the boot sector of the disk, and that read on.
    BootLoader,
    /// A kernel runs.
    Kernel,
    /// The system took the address that it was leased.
    Address,
    /// Something read the metadata or the config drive.
    Data,
    /// A server answers at port 22.
    Ssh,
    /// It lets the owner of the key in.
    Login,
    /// cloud-init ended without errors.
    CloudInit,
    /// The root file system has grown to the size of the disk.
    Growth,
    /// The command that was ordered ended with 0.
    Command,
    /// The power button ends the system.
    Shutdown,
}

impl Stage {
    /// All of them.
    pub const ALL: [Stage; 10] = [
        Stage::BootLoader,
        Stage::Kernel,
        Stage::Address,
        Stage::Data,
        Stage::Ssh,
        Stage::Login,
        Stage::CloudInit,
        Stage::Growth,
        Stage::Command,
        Stage::Shutdown,
    ];

    /// Its name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::BootLoader => "boot-loader",
            Stage::Kernel => "kernel",
            Stage::Address => "address",
            Stage::Data => "data",
            Stage::Ssh => "ssh",
            Stage::Login => "login",
            Stage::CloudInit => "cloud-init",
            Stage::Growth => "growth",
            Stage::Command => "command",
            Stage::Shutdown => "shutdown",
        }
    }

    /// What it is, in words.
    #[must_use]
    pub fn said(self) -> &'static str {
        match self {
            Stage::BootLoader => "the BIOS starts a boot loader",
            Stage::Kernel => "a kernel runs",
            Stage::Address => "the system gets its address by DHCP",
            Stage::Data => "the metadata or the config drive are read",
            Stage::Ssh => "ssh answers",
            Stage::Login => "the owner logs in with the key",
            Stage::CloudInit => "cloud-init is done without errors",
            Stage::Growth => "the root file system has the size of the disk",
            Stage::Command => "the command succeeds",
            Stage::Shutdown => "the power button shuts the system down",
        }
    }
}

impl Stage {
    /// How the codes of findings begin that explain why it is not reached.
    fn families(self) -> &'static [&'static str] {
        match self {
            Stage::BootLoader => &["boot-", "disk-", "raw-", "gpt-", "mbr-"],
            Stage::Kernel => &["boot-", "kernel-", "system-"],
            Stage::Address => {
                &["network-", "provisioner-", "kernel-", "fstab-", "boot-", "system-"]
            }
            Stage::Data => &["provisioner-", "network-", "kernel-", "fstab-"],
            Stage::Ssh => &["ssh-", "network-", "provisioner-", "fstab-", "system-"],
            Stage::Login => &["ssh-", "account-", "provisioner-"],
            Stage::CloudInit => &["provisioner-"],
            Stage::Growth => &["root-"],
            Stage::Command | Stage::Shutdown => &[],
        }
    }

    /// Whether a finding explains why it is not reached.
    fn is_explained_by(self, code: Code) -> bool {
        self.families().iter().any(|family| code.as_str().starts_with(family))
    }
}

/// How it went with a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum State {
    /// It was reached.
    Reached,
    /// It was not reached, which is why the boot counts as failed.
    Failed,
    /// It was not reached, which is not fatal.
    Missed,
    /// Nobody got so far, or nothing was to be seen of it.
    Skipped,
}

/// A stage, and what is known of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reached {
    /// Which.
    pub stage: Stage,
    /// How it went.
    pub state: State,
    /// Seconds from when the machine was switched on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// What there is to say of it, escaped.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub said: String,
}

/// What came of a command in the guest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Commanded {
    /// Its exit code; 255 also if the connection broke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The last lines of what it wrote, escaped.
    pub output: Vec<String>,
}

/// A picture of the screen.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Screenshot {
    /// `image/png`
    pub media_type: String,
    /// The bytes, in base64 (RFC 4648, 4).
    pub base64: String,
}

/// What came of a boot.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Booted {
    /// Whether it came up: no stage failed.
    pub came_up: bool,
    /// What ran the processor, `kvm` or `tcg`.
    pub accelerator: String,
    /// Bytes of the disk, of the memory, and processors.
    pub disk_size: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// Processors.
    pub cpus: u16,
    /// Seconds from when the machine was switched on to its end.
    pub seconds: f64,
    /// The stages, in order.
    pub stages: Vec<Reached>,
    /// The user that was let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Where cloud-init had its data from, as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datasource: Option<String>,
    /// What came of the command that was ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Commanded>,
    /// The last lines of the serial console, escaped, if the boot failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub serial: Vec<String>,
    /// The text on the screen, escaped, if the boot failed and the screen had text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub screen: Vec<String>,
    /// The screen, if the boot failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screenshot: Option<Screenshot>,
}

impl Booted {
    /// The stage that failed.
    #[must_use]
    pub fn failed(&self) -> Option<&Reached> {
        self.stages.iter().find(|reached| reached.state == State::Failed)
    }
}

impl Reached {
    /// What it makes of an image that it was not reached.
    fn code(&self) -> Option<Code> {
        match (self.state, self.stage) {
            (State::Failed, Stage::Command) => Some(Code::BootedCommandFailed),
            (State::Failed, _) => Some(Code::BootedNotUp),
            (State::Missed, Stage::CloudInit) => Some(Code::BootedProvisionerErrors),
            (State::Missed, Stage::Growth) => Some(Code::BootedRootNotGrown),
            (State::Missed, Stage::Shutdown) => Some(Code::BootedNoShutdown),
            _ => None,
        }
    }
}

impl Booted {
    /// What of it speaks against the image, with what a check had found that explains it.
    pub(super) fn anomalies(&self, checked: &[Code]) -> Vec<Anomaly> {
        let found = self.stages.iter().filter_map(|reached| {
            let why = if reached.said.is_empty() {
                String::new()
            } else {
                format!(" ({})", reached.said)
            };
            let after =
                reached.seconds.map_or_else(String::new, |seconds| format!(" after {seconds} s"));
            let mut said = format!("Not reached{after}: {}{why}.", reached.stage.said());
            let mut explain: Vec<&str> = Vec::new();
            for code in checked.iter().filter(|code| reached.stage.is_explained_by(**code)) {
                if !explain.contains(&code.as_str()) {
                    explain.push(code.as_str());
                }
            }
            if !explain.is_empty() {
                said += &format!(" The check had found {}.", explain.join(", "));
            }
            Some(Anomaly {
                code: reached.code()?,
                layer: Layer::Disk,
                offset: None,
                spot: None,
                said,
            })
        });
        found.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn booted(stages: &[(Stage, State)]) -> Booted {
        let reached = |(stage, state): &(Stage, State)| Reached {
            stage: *stage,
            state: *state,
            seconds: Some(12.5),
            said: "because".into(),
        };
        Booted {
            came_up: false,
            accelerator: "tcg".into(),
            disk_size: 1,
            memory: 1,
            cpus: 1,
            seconds: 20.0,
            stages: stages.iter().map(reached).collect(),
            user: None,
            datasource: None,
            command: None,
            serial: Vec::new(),
            screen: Vec::new(),
            screenshot: None,
        }
    }

    #[test]
    fn what_was_not_reached_is_found() {
        for (stage, state, code) in [
            (Stage::Kernel, State::Failed, Code::BootedNotUp),
            (Stage::Login, State::Failed, Code::BootedNotUp),
            (Stage::Command, State::Failed, Code::BootedCommandFailed),
            (Stage::CloudInit, State::Missed, Code::BootedProvisionerErrors),
            (Stage::Growth, State::Missed, Code::BootedRootNotGrown),
            (Stage::Shutdown, State::Missed, Code::BootedNoShutdown),
        ] {
            let stages = [(Stage::BootLoader, State::Reached), (stage, state)];
            let found = booted(&stages).anomalies(&[]);
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].code, code);
            let said = format!("Not reached after 12.5 s: {} (because).", stage.said());
            assert_eq!(found[0].said, said);
        }
        let fine = [(Stage::Kernel, State::Reached), (Stage::CloudInit, State::Skipped)];
        assert!(booted(&fine).anomalies(&[Code::SshOff]).is_empty());
        assert!(booted(&fine).failed().is_none());
    }

    #[test]
    fn what_the_check_found_explains_it() {
        let checked = [Code::SshOff, Code::BootNoLoader, Code::FstabSourceMissing, Code::SshOff];
        let found = booted(&[(Stage::Ssh, State::Failed)]).anomalies(&checked);
        let said = "Not reached after 12.5 s: ssh answers (because). The check had found ssh-off, fstab-source-missing.";
        assert_eq!(found[0].said, said);
    }

    #[test]
    fn all_stages_are_listed_in_their_order() {
        assert!(Stage::ALL.is_sorted());
        let names: Vec<String> = Stage::ALL.iter().map(|stage| stage.as_str().to_owned()).collect();
        let written = serde_json::to_value(Stage::ALL).unwrap();
        assert_eq!(written, serde_json::to_value(names).unwrap());
    }
}
