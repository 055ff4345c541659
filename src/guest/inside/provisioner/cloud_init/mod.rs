//! cloud-init: whether it starts on a Droplet, where it takes its data from, who gets the keys, and whether it
//! configures the network.

mod identify;
mod script;
mod shell;

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

/// What ds-identify, which is among these files, decides over them: whether cloud-init runs, and the list that it writes
/// for it, as it stands between the brackets. `None` if there is no script that is known. For tests.
#[doc(hidden)]
#[must_use]
pub fn ds_identify(
    mut files: BTreeMap<Vec<u8>, Vec<u8>>,
    command_line: &[u8],
    labels: &[&[u8]],
) -> Option<(bool, Option<Vec<u8>>)> {
    let script = SCRIPTS.iter().find_map(|path| files.get(path.as_bytes()))?;
    let script = Script::of(script)?;
    let seen = Seen::of(&mut files, command_line, labels.iter().copied()).ok()?;
    let decision = decide(&script, &seen);
    Some((decision.enabled, decision.list))
}
