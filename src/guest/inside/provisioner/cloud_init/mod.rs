//! cloud-init: whether it starts on a Droplet, where it takes its data from, who gets the keys, and whether it
//! configures the network.

mod config;
mod identify;
mod network;
mod package;
mod script;
mod seen;
mod shell;
mod sources;
mod starts;
mod users;
mod yaml;

use std::collections::BTreeMap;

use config::Config;
use identify::{Decision, SCRIPTS, decide};
use package::Package;
use script::Script;
use seen::{Files, Seen};

use super::super::{Case, Provides, Provisioner, shown};
use crate::facts::Code;
use crate::guest::fs::{Kind, Trouble, Why};
use crate::guest::tree::Tree;

/// Judges cloud-init. False if it is not there.
pub(super) fn judge(case: &mut Case<'_, '_>) -> Result<bool, Trouble> {
    let Some(package) = Package::find(&mut case.tree)? else { return Ok(false) };
    let name = "cloud-init".to_owned();
    let version = package.version.clone();
    case.inside.provisioner = Some(Provisioner { name, version, datasource: None });
    if package.is_too_old() {
        let version = package.version.as_deref().unwrap_or_default();
        let said = format!(
            "cloud-init is of version {}; DigitalOcean wants 0.7.7 or newer.",
            shown(version)
        );
        case.book.found(Code::ProvisionerOld, said);
    }
    let script = script(case)?;
    let mut provides = Provides::default();
    if starts::is_switched_off(case, script.as_ref())? || !starts::is_started(case, &SCRIPTS)? {
        return Ok(true);
    }
    let line = case.known.command_line.clone().unwrap_or_default();
    let config = Config::read(&mut case.tree, &line)?;
    for unread in &config.unread {
        let said = format!(
            "cloud-init's configuration was not evaluated here in full, so what it does on a Droplet is not certain: {}.",
            shown(&unread.why)
        );
        match unread.path.starts_with(b"/proc/") {
            true => case.book.found(Code::ProvisionerConfigUnread, said),
            false => {
                case.book.found_in(Code::ProvisionerConfigUnread, &unread.path, unread.line, said)
            }
        }
    }
    let decision = decision(case, script.as_ref(), &line)?;
    let source = sources::judge(case, &package, decision.as_ref(), &config)?;
    if decision.is_some_and(|decision| !decision.enabled) {
        return Ok(true);
    }
    provides.starts = true;
    let keys = users::judge(case, &config)?;
    provides.host_keys = keys.host_keys;
    provides.grows = keys.grows;
    // A state that the build left is judged before what may give up on a damaged directory.
    judge_state(case)?;
    provides.network = network::judge(case, &config)?;
    if source.is_some() && keys.reach {
        provides.keys = true;
        provides.root = keys.root;
        provides.made = keys.made.filter(|_| keys.user.is_some());
        provides.user = keys.user.map(String::into_bytes);
    }
    let root = provides.root.then(|| b"root".to_vec());
    let login = provides.user.clone().or(root);
    case.inside.login = login.map(|name| shown(name).to_string());
    if let Some(provisioner) = &mut case.inside.provisioner {
        provisioner.datasource = source.map(str::to_owned);
    }
    case.known.provisioner = provides;
    Ok(true)
}

/// The image's ds-identify, if something asks it and it is known here.
fn script(case: &mut Case<'_, '_>) -> Result<Option<Script>, Trouble> {
    for path in SCRIPTS {
        if let Some(text) = case.tree.text(path)? {
            let script = Script::of(&text.bytes);
            if script.is_none() {
                let said = "This ds-identify is none that is known here, so which datasource cloud-init takes on a Droplet is not certain.";
                case.book.found_at(Code::ProvisionerConfigUnread, path, said);
            }
            return Ok(script);
        }
    }
    Ok(None)
}

fn decision(
    case: &mut Case<'_, '_>,
    script: Option<&Script>,
    command_line: &[u8],
) -> Result<Option<Decision>, Trouble> {
    let Some(script) = script else { return Ok(None) };
    if !starts::asks_ds_identify(&mut case.tree, case.known.init)? {
        return Ok(None);
    }
    let mut labels: Vec<Vec<u8>> =
        case.tree.volumes().iter().filter_map(|volume| volume.label.clone()).collect();
    labels.push(b"config-2".to_vec());
    let labels = labels.iter().map(Vec::as_slice);
    let seen = Seen::of(&mut case.tree, command_line, labels)?;
    Ok(Some(decide(script, &seen)))
}

/// Writes down what is left of instances of the build.
fn judge_state(case: &mut Case<'_, '_>) -> Result<(), Trouble> {
    const ONCE: &str = "/var/lib/cloud/sem";
    let left = ["/var/lib/cloud/data/instance-id", "/var/lib/cloud/instance"];
    for path in left {
        if case.tree.lstat(path)?.is_some() {
            let said = "cloud-init ran in the build and left its state. A Droplet is another instance, for which it starts afresh.";
            case.book.found_at(Code::ProvisionerState, path, said);
            break;
        }
    }
    let once = case.tree.list(ONCE)?.unwrap_or_default();
    let matters = [
        "config_ssh.",
        "config_users_groups.",
        "config_set_passwords.",
        "config_growpart.",
        "config_resizefs.",
    ];
    let done: Vec<String> = once
        .iter()
        .filter(|entry| matters.iter().any(|name| entry.name.starts_with(name.as_bytes())))
        .map(|entry| shown(&entry.name).to_string())
        .take(8)
        .collect();
    if !done.is_empty() {
        let said = format!(
            "The build ran modules of cloud-init that run once for all instances, so they do not run on a Droplet: {}.",
            done.join(", ")
        );
        case.book.found_at(Code::ProvisionerDoneOnce, ONCE, said);
    }
    Ok(())
}

impl Files for Tree<'_> {
    fn text(&mut self, path: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
        if !self.is_file(path)? {
            return Ok(None);
        }
        match Tree::text(self, path)? {
            Some(text) if text.cut => {
                Err(Why::Limit("a file of cloud-init's configuration is larger than 1 MiB").into())
            }
            text => Ok(text.map(|text| text.bytes)),
        }
    }

    fn is_file(&mut self, path: &[u8]) -> Result<bool, Trouble> {
        let found = self.stat(path)?.filter(|found| found.inode.kind == Kind::Regular);
        // What the image has in /run is gone when a Droplet starts.
        Ok(found.is_some_and(|found| !found.path.starts_with(b"/run/")))
    }

    fn names(&mut self, directory: &[u8]) -> Result<Vec<Vec<u8>>, Trouble> {
        Tree::names(self, directory, "")
    }
}

impl Files for BTreeMap<Vec<u8>, Vec<u8>> {
    fn text(&mut self, path: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
        Ok(self.get(path).cloned())
    }

    fn is_file(&mut self, path: &[u8]) -> Result<bool, Trouble> {
        Ok(self.contains_key(path))
    }

    fn names(&mut self, directory: &[u8]) -> Result<Vec<Vec<u8>>, Trouble> {
        let directory = [directory, b"/"].concat();
        let names = self.keys().filter_map(|path| path.strip_prefix(&directory[..]));
        Ok(names.filter(|name| !name.contains(&b'/')).map(<[u8]>::to_vec).collect())
    }
}

/// A script, to be held against itself. For tests.
#[doc(hidden)]
#[derive(Debug)]
pub struct DsIdentify(Script);

impl DsIdentify {
    /// What this script does; `None` if it is not known here.
    #[must_use]
    pub fn of(script: &[u8]) -> Option<Self> {
        Script::of(script).map(DsIdentify)
    }

    /// Whether the command line switches cloud-init on or off, where this script is asked; `None` if it says nothing of it.
    #[must_use]
    pub fn switch_of_line(&self, command_line: &[u8]) -> Option<bool> {
        starts::switch_of_line(command_line, !self.0.looks_for_the_switch)
    }

    /// What it decides over files, for a command line and the labels of all file systems: whether cloud-init runs, and the
    /// list that it writes for it, as it stands between the brackets.
    #[must_use]
    pub fn decide(
        &self,
        mut files: BTreeMap<Vec<u8>, Vec<u8>>,
        command_line: &[u8],
        labels: &[&[u8]],
    ) -> Option<(bool, Option<Vec<u8>>)> {
        let seen = Seen::of(&mut files, command_line, labels.iter().copied()).ok()?;
        let decision = decide(&self.0, &seen);
        Some((decision.enabled, decision.list))
    }
}

#[cfg(test)]
mod tests;
