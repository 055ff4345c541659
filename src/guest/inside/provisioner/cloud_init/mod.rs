//! cloud-init: whether it starts on a Droplet, where it takes its data from, who gets the keys, and whether it
//! configures the network.

mod config;
mod identify;
mod script;
mod shell;
mod yaml;

use std::collections::BTreeMap;

use identify::{Files, SCRIPTS, Seen, decide};
use script::Script;

use crate::guest::fs::Trouble;

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
