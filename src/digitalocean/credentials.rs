//! Where the token is: a file, the environment, or the configuration of `doctl`, DigitalOcean's own tool.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::token::Token;
use crate::bytes::{Hostile, Small};

/// The variables that may have it; the first one that is set counts, as for DigitalOcean's other tools.
pub const VARIABLES: [&str; 2] = ["DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"];

/// A token, or what doctl keeps along with several.
const KEPT: Small = Small { what: "a file with a token", most: 1 << 20 };

/// Where to look.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
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
    KEPT.text(path).map_err(|e| e.to_string())
}

/// The token in doctl's configuration: `access-token` is that of the context `default`, the others stand
/// under `auth-contexts`, and `context` says which one counts. Their names have no case for doctl.
fn in_config(text: &str, named: Option<&str>) -> Result<String, String> {
    let config = parse(text)?;
    let value = |above: &str, key: &str| match config.get(&(above.to_owned(), key.to_owned())) {
        None => Ok(String::new()),
        Some(Entry { value: Ok(value), .. }) => Ok(value.clone()),
        Some(Entry { line, value: Err(why) }) => Err(format!("line {line}: {why}")),
    };
    let context = match named {
        Some(name) => name.to_owned(),
        None => {
            Some(value("", "context")?).filter(|name| !name.is_empty()).unwrap_or("default".into())
        }
    };
    let token = match context.to_lowercase().as_str() {
        "default" => value("", "access-token")?,
        name => {
            value("", "auth-contexts")?;
            value("auth-contexts", name)?
        }
    };
    if !token.is_empty() {
        return Ok(token);
    }
    let known = config.keys().filter(|(above, _)| above == "auth-contexts");
    let known = known.map(|(_, name)| Hostile::from(name.as_str()).to_string());
    let known: Vec<String> = std::iter::once("default".into()).chain(known).collect();
    let context = Hostile::from(context.as_str());
    Err(format!("there is no token for the context {context}; contexts are {}", known.join(", ")))
}

/// What stands behind a key.
struct Entry {
    /// From 1.
    line: usize,
    value: Result<String, &'static str>,
}

/// Where there is a key, at the top or below one that is: the name above, if there is one, and its own. Both in
/// lower case.
type Key = (String, String);

/// The part of YAML that doctl writes: keys with plain or quoted values, at the top and one level below.
/// Everything else is passed over, or refused when it is asked for.
fn parse(text: &str) -> Result<BTreeMap<Key, Entry>, String> {
    let mut found: BTreeMap<Key, Entry> = BTreeMap::new();
    let mut above = String::new();
    // How far the keys below stand to the right.
    let mut below = 0;
    for (line, text) in (1..).zip(text.lines()) {
        let inner = text.trim_start_matches(' ');
        let depth = text.len() - inner.len();
        let Some((key, value)) = pair(inner) else { continue };
        if depth == 0 {
            (above, below) = (key.clone(), 0);
        } else if below == 0 {
            below = depth;
        }
        // What stands deeper is nothing of doctl's.
        if depth > below {
            continue;
        }
        let key = (if depth == 0 { String::new() } else { above.clone() }, key);
        let ours = matches!(key.1.as_str(), "access-token" | "context" | "auth-contexts");
        let ours = (key.0.is_empty() && ours) || key.0 == "auth-contexts";
        match found.get(&key) {
            Some(first) if ours => {
                let name = Hostile::from(key.1.as_str());
                return Err(format!("line {line}: {name} stands in line {} already", first.line));
            }
            _ => found.insert(key, Entry { line, value: scalar(value) }),
        };
    }
    Ok(found)
}

/// A key, in lower case, and what stands behind its colon.
fn pair(line: &str) -> Option<(String, &str)> {
    let (key, rest) = match line.chars().next()? {
        '#' | '-' => return None,
        quote @ ('"' | '\'') => line[1..].split_once(quote)?,
        _ => line
            .split_at(line.find(": ").or_else(|| line.trim_end().strip_suffix(':').map(str::len))?),
    };
    Some((key.trim().to_lowercase(), rest.trim_start().strip_prefix(':')?))
}

/// A value without its quotes, or without the comment behind it.
fn scalar(text: &str) -> Result<String, &'static str> {
    const OTHER: &str = "only plain and quoted values are understood here";
    let text = text.trim();
    match text.chars().next() {
        None | Some('#') => Ok(String::new()),
        Some(quote @ ('"' | '\'')) => {
            let (value, rest) = text[1..].split_once(quote).ok_or("a quote is not closed")?;
            match rest.trim_start() {
                "" => {}
                comment if comment.starts_with('#') && rest.starts_with(' ') => {}
                _ => return Err("there is something behind the closing quote"),
            }
            if quote == '"' && value.contains('\\') {
                return Err(OTHER);
            }
            Ok(value.to_owned())
        }
        // Lists, mappings, blocks, anchors, tags and what YAML keeps for itself.
        Some('[' | ']' | '{' | '}' | '|' | '>' | '&' | '*' | '!' | '%' | '@' | '`' | ',' | '?') => {
            Err(OTHER)
        }
        Some(_) => match text.split(" #").next().unwrap_or_default().trim() {
            "~" | "null" | "Null" | "NULL" => Ok(String::new()),
            value if value.contains(": ") || value.ends_with(':') => Err(OTHER),
            value => Ok(value.to_owned()),
        },
    }
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
        // doctl keeps the names of contexts in lower case, and finds them whatever they are asked for as.
        assert_eq!(in_config(CONFIG, Some("WORK")).unwrap(), "tok-work");
        let upper = "auth-contexts:\r\n  Work: tok-work\r\ncontext: wORK\r\n";
        assert_eq!(in_config(upper, None).unwrap(), "tok-work");
        let empty = "access-token: \"\" # none\nauth-contexts: {}\ncontext: ~\n";
        assert!(in_config(empty, None).unwrap_err().contains("no token for the context default"));
    }

    #[test]
    fn what_is_no_value_of_doctl_is_no_token() {
        for (text, said) in [
            ("access-token: [tok-a]", "line 1: only plain"),
            ("#\naccess-token: {a: tok-a}", "line 2: only plain"),
            ("access-token: |", "line 1: only plain"),
            ("access-token: \"tok-a", "line 1: a quote is not closed"),
            ("access-token: 'tok-a'b", "line 1: there is something behind"),
            ("access-token: \"tok\\x2da\"", "line 1: only plain"),
            ("access-token: tok: a", "line 1: only plain"),
            ("access-token:tok-a", "no token"),
            ("access-token: tok-a\naccess-token: tok-b", "line 2: access-token stands in line 1"),
            ("context: w\nauth-contexts: {w: tok-a}", "line 2: only plain"),
            ("context: w\nauth-contexts:\n  w: tok-a\n  W: tok-b", "line 4: w stands in line 3"),
            ("context: w\nauth-contexts:\n  w:\n    w: tok-a", "no token"),
            ("context: token\nauth-contexts:\n  w:\n    token: tok-a", "no token"),
        ] {
            let error = in_config(text, None).unwrap_err();
            assert!(error.contains(said) && !error.contains("tok-"), "{text}: {error}");
        }
        // What is not asked for is not looked at.
        let other = "x: [1]\nx: 2\naccess-token: tok-a\nauth-contexts: {w: b}";
        assert_eq!(in_config(other, None).unwrap(), "tok-a");
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
