//! cloud-init's configuration: `cloud.cfg` and the files of its directory, one over the other.
//!
//! What only a Droplet's own data would add is not there. A file that nothing here evaluates is said, and makes the
//! whole doubtful.

use super::seen::{CLOUD_CFG, ConfigFile, Files, config_files};
use super::shell;
use super::yaml::{self, MOST_VALUES, Node, Value};
use crate::guest::fs::Trouble;

/// A file that was not evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unread {
    pub(super) path: Vec<u8>,
    pub(super) line: u32,
    /// Why, as a clause without a period.
    pub(super) why: String,
}

/// The configuration of an image.
#[derive(Clone, Debug)]
pub(super) struct Config {
    root: Node,
    paths: Vec<Vec<u8>>,
    /// Values that may still be read.
    left: usize,
    pub(super) unread: Vec<Unread>,
}

impl Config {
    /// Reads it.
    pub(super) fn read(files: &mut impl Files, command_line: &[u8]) -> Result<Config, Trouble> {
        let root = Node { file: 0, line: 1, value: Value::Map(Default::default()) };
        let mut config = Config { root, paths: Vec::new(), left: MOST_VALUES, unread: Vec::new() };
        let mut directory = b"/etc/cloud/cloud.cfg.d".to_vec();
        if let Some(bytes) = files.text(CLOUD_CFG)? {
            let file = ConfigFile { path: CLOUD_CFG.to_vec(), bytes };
            config.add(&file);
            if let Some(other) = config.get(&["conf_d"]).and_then(Node::text) {
                directory = other.trim().as_bytes().to_vec();
            }
        }
        for file in config_files(files, &directory)?.iter().filter(|file| file.path != CLOUD_CFG) {
            config.add(file);
        }
        if shell::has(&[b" ", command_line].concat(), b" cc:") {
            config.doubt(b"/proc/cmdline", 1, "the kernel's command line has configuration (cc:)");
        }
        Ok(config)
    }

    fn doubt(&mut self, path: &[u8], line: u32, why: impl Into<String>) {
        self.unread.push(Unread { path: path.to_vec(), line, why: why.into() });
    }

    fn add(&mut self, file: &ConfigFile) {
        let number = self.paths.len();
        self.paths.push(file.path.clone());
        let bytes = file.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&file.bytes);
        let first = shell::before(bytes, b'\n').to_ascii_lowercase();
        if first.starts_with(b"##") && shell::has(&first, b"jinja") {
            return self.doubt(&file.path, 1, "it is a template (jinja)");
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return self.doubt(&file.path, 1, "it is no UTF-8");
        };
        match yaml::read(text, number, &mut self.left) {
            Ok(Node { value: Value::Null, .. }) => {}
            Ok(node) if matches!(node.value, Value::Map(_)) => {
                if let Some(how) = node.get("merge_how").or_else(|| node.get("merge_type")) {
                    self.doubt(&file.path, how.line, "it says itself how it is merged");
                }
                self.root.merge(node);
            }
            Ok(node) => self.doubt(&file.path, node.line, "it is no map"),
            Err((why, line)) => self.doubt(&file.path, line, why),
        }
    }

    /// What lies at these keys.
    pub(super) fn get(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(&self.root, |node, key| node.get(key))
    }

    /// Whether what lies there is a scalar that means yes; `default` if nothing does.
    pub(super) fn is_on(&self, keys: &[&str], default: bool) -> bool {
        self.get(keys).map_or(default, Node::is_true)
    }

    /// The file of a value.
    pub(super) fn path(&self, node: &Node) -> &[u8] {
        self.paths.get(node.file).map_or(CLOUD_CFG, Vec::as_slice)
    }

    /// Whether every file of it was evaluated.
    pub(super) fn is_certain(&self) -> bool {
        self.unread.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn config(files: &[(&str, &str)]) -> Config {
        let files =
            files.iter().map(|(path, text)| (path.as_bytes().to_vec(), text.as_bytes().to_vec()));
        Config::read(&mut files.collect::<BTreeMap<_, _>>(), b"ro").unwrap()
    }

    #[test]
    fn later_files_go_over_earlier_ones() {
        let config = config(&[
            (
                "/etc/cloud/cloud.cfg",
                "disable_root: true\nsystem_info: {default_user: {name: a, shell: s}}\n",
            ),
            (
                "/etc/cloud/cloud.cfg.d/10.cfg",
                "disable_root: false\nsystem_info: {default_user: {name: b}}\n",
            ),
            ("/etc/cloud/cloud.cfg.d/20.yaml", "disable_root: maybe\n"),
            ("/etc/cloud/cloud.cfg.d/.30.cfg", "hidden: true\n"),
            ("/etc/cloud/cloud.cfg.d/9.cfg", "disable_root: false\nnine: 9\n"),
        ]);
        assert!(config.is_certain());
        assert!(!config.is_on(&["disable_root"], true) && config.is_on(&["hidden"], false));
        let user = config.get(&["system_info", "default_user"]).unwrap();
        assert_eq!(user.get("name").unwrap().text(), Some("b"));
        assert_eq!(user.get("shell").unwrap().text(), Some("s"));
        let nine = config.get(&["nine"]).unwrap();
        assert_eq!((config.path(nine), nine.line), (&b"/etc/cloud/cloud.cfg.d/9.cfg"[..], 2));
    }

    #[test]
    fn what_is_not_evaluated_is_said() {
        for text in
            ["## template: jinja\na: {{ x }}\n", "a: [\n", "- a\n", "a: \u{0}", "merge_how: x\n"]
        {
            let config = config(&[
                ("/etc/cloud/cloud.cfg.d/5.cfg", text),
                ("/etc/cloud/cloud.cfg", "b: 1\n"),
            ]);
            assert_eq!(config.unread.len(), 1, "{text}");
            assert!(config.get(&["b"]).is_some());
        }
        let elsewhere = config(&[
            ("/etc/cloud/cloud.cfg", "conf_d: /etc/own\n"),
            ("/etc/cloud/cloud.cfg.d/1.cfg", "a: 1\n"),
            ("/etc/own/1.cfg", "b: 1\n"),
        ]);
        assert!(elsewhere.get(&["a"]).is_none() && elsewhere.get(&["b"]).is_some());
    }
}
