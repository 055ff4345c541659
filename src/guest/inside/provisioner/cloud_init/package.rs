//! Whether cloud-init is installed, and which.

use crate::guest::fs::Trouble;
use crate::guest::tree::Tree;

/// cloud-init, as it is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Package {
    /// The directory of its Python package.
    home: Vec<u8>,
    /// Its version, as the release is called.
    pub(super) version: Option<String>,
}

/// Where Python keeps packages, below its own directory.
const KINDS: [&str; 2] = ["site-packages", "dist-packages"];

impl Package {
    /// Looks for it: a program, and the package that it is made of.
    pub(super) fn find(tree: &mut Tree<'_>) -> Result<Option<Package>, Trouble> {
        let mut program = false;
        for path in ["/usr/bin/cloud-init", "/usr/local/bin/cloud-init", "/bin/cloud-init"] {
            program = program || tree.exists(path)?;
        }
        if !program {
            return Ok(None);
        }
        for above in ["/usr/lib", "/usr/local/lib", "/usr/lib64"] {
            for entry in tree.list(above)?.unwrap_or_default() {
                if !entry.name.starts_with(b"python") {
                    continue;
                }
                for kind in KINDS {
                    let packages =
                        [above.as_bytes(), b"/", &entry.name, b"/", kind.as_bytes()].concat();
                    let home = [&packages[..], b"/cloudinit"].concat();
                    if tree.is_directory(&home)? {
                        let version = version(tree, &home, &packages)?;
                        return Ok(Some(Package { home, version }));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Whether it can take data from a datasource. What has no directory of datasources is not looked into.
    pub(super) fn has_source(&self, tree: &mut Tree<'_>, name: &str) -> Result<bool, Trouble> {
        let sources = [&self.home[..], b"/sources"].concat();
        let names = tree.list(&sources)?.unwrap_or_default();
        let wanted = format!("datasource{}.py", name.to_ascii_lowercase());
        let is_source = |name: &[u8]| name.to_ascii_lowercase().starts_with(wanted.as_bytes());
        Ok(names.is_empty() || names.iter().any(|entry| is_source(&entry.name)))
    }

    /// Whether it is older than any that knows a Droplet's config drive (0.7.7).
    pub(super) fn is_too_old(&self) -> bool {
        let numbers = self.version.iter().flat_map(|version| version.split('.'));
        let numbers: Vec<u32> = numbers.map_while(|number| number.parse().ok()).collect();
        !numbers.is_empty() && numbers[..] < [0, 7, 7][..]
    }
}

fn version(tree: &mut Tree<'_>, home: &[u8], packages: &[u8]) -> Result<Option<String>, Trouble> {
    for (file, name) in [("/meson_versions.py", "UPSTREAM_VERSION"), ("/version.py", "__VERSION__")]
    {
        let Some(text) = tree.text([home, file.as_bytes()].concat())? else { continue };
        let value = text.lines().find_map(|(_, line)| {
            let value =
                line.strip_prefix(name.as_bytes())?.trim_ascii_start().strip_prefix(b"=")?;
            let mut parts = value.trim_ascii_start().splitn(3, |b| matches!(b, b'"' | b'\''));
            parts.nth(1).map(<[u8]>::to_vec)
        });
        if let Some(version) = value.and_then(|value| plausible(&value)) {
            return Ok(Some(version));
        }
    }
    for entry in tree.list(packages)?.unwrap_or_default() {
        let name = entry.name.strip_prefix(b"cloud_init-");
        let version = name.and_then(|name| {
            let end = [&b".egg-info"[..], b".dist-info"];
            end.iter().find_map(|end| name.strip_suffix(*end))
        });
        if let Some(version) = version.and_then(plausible) {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

/// A version that can be one.
fn plausible(version: &[u8]) -> Option<String> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b".+-~".contains(byte);
    let fits = version.first()?.is_ascii_digit() && version.len() < 40;
    (fits && version.iter().all(is_part)).then(|| String::from_utf8_lossy(version).into_owned())
}
