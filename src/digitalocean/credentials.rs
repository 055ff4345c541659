//! Where the token is: a file, the environment, or the configuration of `doctl`, DigitalOcean's own tool.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::token::Token;
use crate::bytes::Hostile;

/// The variables that may have it; the first one that is set counts, as for DigitalOcean's other tools.
pub const VARIABLES: [&str; 2] = ["DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"];

/// A larger file has no token in it.
const LARGEST: u64 = 1 << 20;

/// Where to look.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// A file with the token and nothing else.
    pub file: Option<PathBuf>,
    /// A context of doctl's configuration.
    pub context: Option<String>,
}

/// The token, by these rules: a file that was named; a context of doctl that was named; the environment;
/// the context that doctl would use. `variable` reads the environment.
///
/// # Errors
/// Says what is wrong and where, without repeating anything of it.
pub fn find(places: &Places, variable: impl Fn(&str) -> Option<String>) -> Result<Token, String> {
    if let Some(path) = &places.file {
        let fail = |why: &str| format!("--token-file {}: {why}", shown(path));
        let text = read(path).map_err(|why| fail(&why))?;
        return Token::new(&text).map_err(fail);
    }
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    if places.context.is_none() {
        for name in VARIABLES {
            if let Some(value) = set(name) {
                return Token::new(&value).map_err(|why| format!("{name}: {why}"));
            }
        }
    }
    let path = config(&set);
    let named = places.context.clone().or_else(|| set("DIGITALOCEAN_CONTEXT"));
    match path.filter(|path| path.exists()) {
        Some(path) => {
            let fail = |why: String| format!("doctl's configuration {}: {why}", shown(&path));
            let text = read(&path).map_err(fail)?;
            let value = in_config(&text, named.as_deref()).map_err(fail)?;
            Token::new(&value).map_err(|why| fail(format!("of its token: {why}")))
        }
        None if named.is_some() => {
            Err("there is no configuration of doctl, so it has no such context".into())
        }
        None => Err("there is no token: set DIGITALOCEAN_TOKEN, give --token-file, or log in with `doctl auth init`".into()),
    }
}

/// Where doctl keeps its configuration (its README and `commands/doit.go`).
fn config(set: &impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    if let Some(path) = set("DIGITALOCEAN_CONFIG") {
        return Some(path.into());
    }
    let folder = if cfg!(target_os = "macos") {
        PathBuf::from(set("HOME")?).join("Library/Application Support")
    } else {
        match set("XDG_CONFIG_HOME") {
            Some(folder) => folder.into(),
            None => PathBuf::from(set("HOME")?).join(".config"),
        }
    };
    Some(folder.join("doctl/config.yaml"))
}

fn shown(path: &Path) -> Hostile {
    Hostile::from_os(path.as_os_str())
}

fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|e| e.to_string())?;
    file.take(LARGEST).read_to_string(&mut text).map_err(|e| e.to_string())?;
    Ok(text)
}

/// The token in doctl's configuration: `access-token` is that of the context `default`, the others stand
/// under `auth-contexts`, and `context` says which one counts.
fn in_config(text: &str, named: Option<&str>) -> Result<String, String> {
    let config = parse(text);
    let top = |key: &str| config.get(&(String::new(), key.to_owned())).cloned();
    let context = match named {
        Some(name) => name.to_owned(),
        None => top("context").filter(|name| !name.is_empty()).unwrap_or("default".into()),
    };
    let token = match context.as_str() {
        "default" => top("access-token"),
        name => config.get(&("auth-contexts".into(), name.to_owned())).cloned(),
    };
    token.filter(|token| !token.is_empty()).ok_or_else(|| {
        let mut known: Vec<&str> = config
            .keys()
            .filter(|(above, _)| above == "auth-contexts")
            .map(|(_, name)| name.as_str())
            .collect();
        known.insert(0, "default");
        let known: Vec<String> = known.iter().map(|n| Hostile::from(*n).to_string()).collect();
        let context = Hostile::from(context.as_str());
        format!("there is no token for the context {context}; contexts are {}", known.join(", "))
    })
}

/// The part of YAML that doctl writes: keys with plain or quoted values, at the top and one level below.
/// Everything else is passed over.
fn parse(text: &str) -> BTreeMap<(String, String), String> {
    let mut found = BTreeMap::new();
    let mut above = String::new();
    for line in text.lines() {
        let inner = line.trim_start_matches(' ');
        let Some((key, value)) = inner.split_once(':') else { continue };
        if inner.starts_with(['#', '-']) {
            continue;
        }
        let (key, value) = (scalar(key), scalar(value));
        let top = inner.len() == line.len();
        if top {
            above.clone_from(&key);
        }
        let above = if top { String::new() } else { above.clone() };
        // What stands deeper than that never has the key of a context and a value.
        found.entry((above, key)).or_insert(value);
    }
    found
}

/// A value without its quotes, or without the comment behind it.
fn scalar(text: &str) -> String {
    let text = text.trim();
    for quote in ['"', '\''] {
        if let Some(rest) = text.strip_prefix(quote) {
            return rest.split(quote).next().unwrap_or_default().to_owned();
        }
    }
    text.split(" #").next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "access-token: tok-default # mine\nauth-contexts:\n    work: tok-work\n    \"my home\": 'tok-home'\ncompute:\n    image:\n        work: no\ncontext: work\noutput: text\n";

    #[test]
    fn contexts_of_doctl_are_read() {
        assert_eq!(in_config(CONFIG, None).unwrap(), "tok-work");
        assert_eq!(in_config(CONFIG, Some("default")).unwrap(), "tok-default");
        assert_eq!(in_config(CONFIG, Some("my home")).unwrap(), "tok-home");
        let said = in_config(CONFIG, Some("other")).unwrap_err();
        assert!(said.ends_with("contexts are default, my home, work"), "{said}");
        assert!(!said.contains("tok-"));
        assert!(in_config("", None).is_err());
    }

    #[test]
    fn places_have_an_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "tok-file\n").unwrap();
        let config = folder.path().join("config.yaml");
        std::fs::write(&config, CONFIG).unwrap();
        let variables = |names: &'static [&str]| {
            let config = config.clone();
            move |name: &str| match name {
                "DIGITALOCEAN_CONFIG" => Some(config.to_str().unwrap().to_owned()),
                _ if names.contains(&name) => Some(format!("tok-{name}")),
                _ => None,
            }
        };
        let token = |places: &Places, names| {
            find(places, variables(names)).map(|token| token.reveal().to_owned())
        };
        let both: &[&str] = &VARIABLES;
        let file = Places { file: Some(path), context: None };
        assert_eq!(token(&file, both).unwrap(), "tok-file");
        let none = Places::default();
        assert_eq!(token(&none, both).unwrap(), "tok-DIGITALOCEAN_TOKEN");
        assert_eq!(token(&none, &VARIABLES[1..]).unwrap(), "tok-DIGITALOCEAN_ACCESS_TOKEN");
        assert_eq!(token(&none, &[]).unwrap(), "tok-work");
        let context = Places { file: None, context: Some("my home".into()) };
        assert_eq!(token(&context, both).unwrap(), "tok-home");
        assert!(find(&none, |_| None).unwrap_err().contains("DIGITALOCEAN_TOKEN"));
    }
}
