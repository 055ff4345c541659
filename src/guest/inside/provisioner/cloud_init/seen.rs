//! What of an image ds-identify decides by: files of configuration, seeds, labels, and the command line.

use super::shell;
use crate::guest::fs::{Trouble, Why};

/// The first file of the configuration.
pub(super) const CLOUD_CFG: &[u8] = b"/etc/cloud/cloud.cfg";

/// Files of configuration that tidegate reads, and bytes of all of them.
const MOST_FILES: usize = 1024;
const MOST_BYTES: usize = 1 << 20;

/// The files of a guest, as far as ds-identify needs them.
pub(super) trait Files {
    /// All of a regular file; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read, or is larger than any text that tidegate reads.
    fn text(&mut self, path: &[u8]) -> Result<Option<Vec<u8>>, Trouble>;

    /// Whether there is a regular file.
    ///
    /// # Errors
    /// If it cannot be read.
    fn is_file(&mut self, path: &[u8]) -> Result<bool, Trouble>;

    /// The names in a directory, in the order of their bytes.
    ///
    /// # Errors
    /// If it cannot be read.
    fn names(&mut self, directory: &[u8]) -> Result<Vec<Vec<u8>>, Trouble>;
}

/// A file of cloud-init's configuration.
#[derive(Clone, Debug)]
pub(super) struct ConfigFile {
    pub(super) path: Vec<u8>,
    pub(super) bytes: Vec<u8>,
}

impl ConfigFile {
    pub(super) fn name(&self) -> &[u8] {
        shell::behind_last(&self.path, b'/')
    }
}

/// `cloud.cfg` and the files ending in `.cfg` of the directory, in the order in which they are read.
pub(super) fn config_files(
    files: &mut impl Files,
    directory: &[u8],
) -> Result<Vec<ConfigFile>, Trouble> {
    let mut paths = vec![CLOUD_CFG.to_vec()];
    for name in files.names(directory)? {
        if name.ends_with(b".cfg") {
            paths.push([directory, b"/", &name].concat());
        }
    }
    if paths.len() > MOST_FILES {
        return Err(Why::Limit("cloud.cfg.d has more files than tidegate reads").into());
    }
    let (mut found, mut bytes) = (Vec::new(), 0);
    for path in paths {
        if let Some(text) = files.text(&path)? {
            bytes += text.len();
            if bytes > MOST_BYTES {
                return Err(Why::Limit("cloud.cfg.d has more than 1 MiB").into());
            }
            found.push(ConfigFile { path, bytes: text });
        }
    }
    Ok(found)
}

/// What of an image decides.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// What the shell's glob finds: `cloud.cfg` first, none whose name begins with a dot.
    pub(super) config: Vec<ConfigFile>,
    pub(super) policy_file: Option<Vec<u8>>,
    pub(super) command_line: Vec<u8>,
    /// The labels of all file systems, each between two commas.
    pub(super) labels: Vec<u8>,
    pub(super) manual_clean: bool,
    /// Datasources of which there is a seed.
    pub(super) seeds: Vec<&'static str>,
}

impl Seen {
    /// Collects it.
    pub(super) fn of<'l>(
        files: &mut impl Files,
        command_line: &[u8],
        labels: impl IntoIterator<Item = &'l [u8]>,
    ) -> Result<Seen, Trouble> {
        let mut config = config_files(files, b"/etc/cloud/cloud.cfg.d")?;
        config.retain(|file| !file.name().starts_with(b"."));
        // The kernel's line as `read` gets it.
        let command_line = [command_line, b"\n"].concat();
        let command_line = shell::read_lines(&command_line).into_iter().next();
        let mut all = vec![b','];
        for label in labels {
            all.extend_from_slice(label);
            all.push(b',');
        }
        Ok(Seen {
            config,
            policy_file: files.text(b"/etc/cloud/ds-identify.cfg")?,
            command_line: command_line.map(|(_, line)| line).unwrap_or_default(),
            labels: all,
            manual_clean: files.is_file(b"/var/lib/cloud/instance/manual-clean")?,
            seeds: seeds(files)?,
        })
    }

    pub(super) fn has_label(&self, labels: [&str; 2]) -> bool {
        labels.iter().any(|label| shell::has(&self.labels, format!(",{label},").as_bytes()))
    }

    pub(super) fn has_word(&self, word: &str) -> bool {
        let line = [b" ", &self.command_line[..], b" "].concat();
        shell::has(&line, format!(" {word} ").as_bytes())
    }
}

/// The datasources of which the image has a seed: each with its directory and the files that have to be in it.
fn seeds(files: &mut impl Files) -> Result<Vec<&'static str>, Trouble> {
    const BOTH: &[&str] = &["meta-data", "user-data"];
    const SEEDS: [(&str, &str, &[&str]); 12] = [
        ("NoCloud", "/var/lib/cloud/seed/nocloud", BOTH),
        ("NoCloud", "/writable/system-data/var/lib/cloud/seed/nocloud", BOTH),
        ("NoCloud", "/var/lib/cloud/seed/nocloud-net", BOTH),
        ("NoCloud", "/writable/system-data/var/lib/cloud/seed/nocloud-net", BOTH),
        ("OpenNebula", "/var/lib/cloud/seed/opennebula", &["meta-data"]),
        ("OVF", "/var/lib/cloud/seed/ovf", &["ovf-env.xml"]),
        ("Azure", "/var/lib/cloud/seed/azure", &["ovf-env.xml"]),
        ("AliYun", "/var/lib/cloud/seed/AliYun", BOTH),
        ("Ec2", "/var/lib/cloud/seed/ec2", BOTH),
        ("Bigstep", "/var/lib/cloud/data/seed/bigstep", &["url"]),
        ("Vultr", "/etc", &["vultr"]),
        ("Scaleway", "/var/run", &["scaleway"]),
    ];
    let mut found = Vec::new();
    for (source, directory, names) in SEEDS {
        let mut all = true;
        for name in names {
            all = all && files.is_file(format!("{directory}/{name}").as_bytes())?;
        }
        if all {
            found.push(source);
        }
    }
    Ok(found)
}
