//! What this program wrote, told by how a file begins: parsed as what it is, never searched for a word.

use std::fmt;
use std::io::{self, Read};
use std::str::Lines;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::facts::Code;
use crate::render::json;

/// Bytes by which a file is told.
pub(in crate::cli) const HEAD: u64 = 64 << 10;

/// What a file begins with.
pub(super) fn head(file: impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

/// A report of `tidegate check`, in any of its formats.
pub(in crate::cli) fn is_report(head: &[u8]) -> bool {
    is_document(head) || is_json_report(head, false)
}

/// A report of `tidegate report merge`. The reports that it reads are in JSON too, and are none: a pattern of the shell
/// may have put one where the output is to be.
pub(in crate::cli) fn is_merged(head: &[u8]) -> bool {
    is_document(head) || is_json_report(head, true)
}

fn is_document(head: &[u8]) -> bool {
    text(head).is_some_and(|(text, whole)| {
        is_text(text, whole) || is_github(text, whole) || is_html(text) || is_junit(text)
    }) || string(head, &["runs", FIRST, "tool", "driver", "name"]).as_deref() == Some("tidegate")
}

fn is_json_report(head: &[u8], merged: bool) -> bool {
    string(head, &["schema"]).as_deref() == Some(json::SCHEMA)
        && string(head, &["tidegate"]).is_some()
        && string(head, &["merged"]).is_some() == merged
}

/// The text of a head, but for a character that it may end within, and whether it is all of the file.
fn text(head: &[u8]) -> Option<(&str, bool)> {
    let whole = (head.len() as u64) < HEAD;
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && !whole => {
            std::str::from_utf8(&head[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    (!text.contains('\0')).then_some((text, whole))
}

/// Lines that are there in full.
fn lines(text: &str, whole: bool) -> Lines<'_> {
    match text.rfind('\n') {
        Some(end) if !whole => text[..end].lines(),
        _ => text.lines(),
    }
}

/// The report as text (`render::text`): of each image a line with the verdict, then nothing more, or a blank line and
/// lines that are indented; at the end perhaps how many images came to what.
fn is_text(text: &str, whole: bool) -> bool {
    let mut all = lines(text, whole);
    let (first, second, third) = (all.next(), all.next(), all.next());
    match (first, second, third) {
        (Some(first), Some(""), Some(third)) => {
            let is_error = first.starts_with("ERROR ");
            let begins = if is_error { "  " } else { "  file   " };
            is_verdict(first)
                && third.starts_with(begins)
                && all.all(|line| {
                    line.is_empty() || line.starts_with("  ") || is_verdict(line) || is_tally(line)
                })
        }
        (Some(""), Some(second), None) => is_tally(second),
        _ => (!whole || text.ends_with('\n')) && lines(text, whole).all(is_line),
    }
}

fn is_verdict(line: &str) -> bool {
    let verdicts = ["ACCEPT  ", "WARN    ", "REJECT  ", "ERROR   "];
    let source = verdicts.iter().find_map(|verdict| line.strip_prefix(verdict));
    source.is_some_and(|source| !source.is_empty() && !source.starts_with(' '))
}

/// What a quiet run says of an image.
fn is_line(line: &str) -> bool {
    let said = line.rsplit_once(": ");
    is_verdict(line)
        && match line.split(' ').next() {
            Some("ACCEPT") => true,
            Some("ERROR") => said.is_some(),
            _ => said.is_some_and(|(_, codes)| codes.split(", ").all(is_code)),
        }
}

fn is_code(text: &str) -> bool {
    Code::ALL.iter().any(|code| code.as_str() == text)
}

/// As [`crate::render::Tally`] is shown.
fn is_tally(line: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((count, rest)) = line.split_once(' ') else { return false };
    let rest = rest.strip_prefix("images: ").or_else(|| rest.strip_prefix("image: "));
    number(count)
        && rest.and_then(|rest| rest.split_once(' ')).is_some_and(|(accepted, rest)| {
            number(accepted) && rest.split(',').next() == Some("accepted")
        })
}

/// Annotations of GitHub Actions (`render::github`): of each image a line with the verdict, and after all but `accept`
/// one for each finding.
fn is_github(text: &str, whole: bool) -> bool {
    let mut unexplained = false;
    let mut some = false;
    let all = lines(text, whole).all(|line| {
        some = true;
        if let Some(command) = line.strip_prefix("::") {
            unexplained = false;
            return is_annotation(command);
        }
        let verdicts = ["accept: ", "warn: ", "reject: ", "error: "];
        let is_first = verdicts.iter().any(|verdict| line.starts_with(verdict)) && !unexplained;
        unexplained = !line.starts_with("accept: ");
        is_first
    });
    some && all && (!whole || !unexplained && text.ends_with('\n'))
}

fn is_annotation(command: &str) -> bool {
    let name = ["error ", "warning ", "notice "].iter().find_map(|name| command.strip_prefix(name));
    let title = name.map(|fields| match fields.starts_with("file=") {
        true => fields.split_once(',').map_or("", |(_, title)| title),
        false => fields,
    });
    title.is_some_and(|title| title.starts_with("title=tidegate%3A "))
}

/// A page (`render::html`), by its generator.
fn is_html(text: &str) -> bool {
    text.starts_with(crate::render::html::HEAD)
}

/// A document of JUnit (`render::junit`), by the name of all of its suites.
fn is_junit(text: &str) -> bool {
    let declared = text.strip_prefix("<?xml ").and_then(|text| text.split_once("?>"));
    let root = declared.map(|(_, rest)| rest.trim_start());
    root.is_some_and(|root| root.starts_with("<testsuites name=\"tidegate\" "))
}

/// A page of the manual of this program, by its first line.
pub(in crate::cli) fn is_page(head: &[u8]) -> bool {
    head.starts_with(PAGE.as_bytes())
}

/// What a page of the manual begins with: a comment that names the program; its version follows.
pub(in crate::cli) const PAGE: &str = ".\\\" Written by tidegate ";

/// A log of requests (`simulator::log`), by its first line.
pub(in crate::cli) fn is_log(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let keys = ["time", "method", "path", "request_id"];
    keys.iter().all(|key| string(line, &[key]).is_some())
}

/// What each line of the file for the environment begins with.
const NAMES: [&str; 7] = [
    "DIGITALOCEAN_API_URL=http://",
    "DIGITALOCEAN_TOKEN=",
    "SPACES_ENDPOINT_URL=http://",
    "SPACES_ACCESS_KEY_ID=",
    "SPACES_SECRET_ACCESS_KEY=",
    "SPACES_BUCKET=",
    "SPACES_REGION=",
];

/// What `tidegate simulate` wrote for a shell.
pub(in crate::cli) fn is_environment(head: &[u8]) -> bool {
    text(head).is_some_and(|(text, whole)| {
        let named = text.lines().zip(NAMES).filter(|(line, name)| line.starts_with(name)).count();
        whole && named == NAMES.len() && text.lines().count() == named
    })
}

/// A summary of a job, to which everybody appends: any text.
pub(in crate::cli) fn is_any_text(head: &[u8]) -> bool {
    text(head).is_some()
}

/// In a path, the first element of a list.
const FIRST: &str = "0";

/// The text, the number or the truth at a path of keys in JSON; of what is cut, as far as it is there.
fn string(head: &[u8], path: &[&str]) -> Option<String> {
    let mut found = None;
    // That the head is cut is an error of the parser, and none here.
    let _ =
        At { path, found: &mut found }.deserialize(&mut serde_json::Deserializer::from_slice(head));
    found
}

struct At<'a> {
    path: &'a [&'a str],
    found: &'a mut Option<String>,
}

impl At<'_> {
    fn take(self, value: impl ToString) {
        if self.path.is_empty() {
            *self.found = Some(value.to_string());
        }
    }
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or what has one")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.take(text);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match self.path.split_first() {
                Some((first, path)) if *first == key && self.found.is_none() => {
                    map.next_value_seed(At { path, found: &mut *self.found })?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if let Some((&FIRST, path)) = self.path.split_first() {
            list.next_element_seed(At { path, found: &mut *self.found })?;
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, truth: bool) -> Result<(), E> {
        self.take(truth);
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.take(number);
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_report_by_its_grammar_alone() {
        for ours in [
            "ACCEPT  a.raw\n",
            "ACCEPT  a.raw\nREJECT  b c.raw: raw-no-partition-table\n",
            "ERROR   a: it is not there\n",
            "ERROR   a\n\n  It is not there.\n",
            "ACCEPT  a.raw\n\n  file     1.0 MB  not compressed\n\nERROR   b\n\n  Why.\n\n2 images: 1 accepted, 1 not read\n",
            "\n0 images: 0 accepted\n",
            "accept: a.raw\nreject: b\n::error file=b,title=tidegate%3A x::y\nerror: c\n::error title=tidegate%3A z::w\n",
        ] {
            assert!(is_report(ours.as_bytes()), "{ours:?}");
        }
        for theirs in [
            "ACCEPTANCE tests of mine\n",
            "ACCEPT  a.raw\nmine\n",
            "ACCEPT  a.raw",
            "ACCEPT  a.raw\n\nmine\n",
            "ACCEPT  a.raw\n\n  mine\n",
            "ACCEPT     all  --  anywhere\n",
            "REJECT  a.raw\n",
            "WARN    it is late: go home\n",
            "ERROR   disk full\n",
            "error: disk full\n",
            "error: disk full\nmy log\n",
            "warn: a\nwarn: b\n",
            "::error title=theirs::x\n",
            "tidegate.toml of mine\n",
            "{\"schema\": \"tidegate.push/1\"}",
            "{\"schema\": \"tidegate.receipt/1\", \"tidegate\": \"0.1.0\"}",
            "{\"mine\": {\"schema\": \"tidegate.report/1\", \"tidegate\": \"0.1.0\"}}",
            "[{\"schema\": \"tidegate.report/1\"}]",
            "{\"runs\": [{\"tool\": {\"driver\": {\"name\": \"other\"}}}, {\"tool\": {\"driver\": {\"name\": \"tidegate\"}}}]}",
            "<?xml version=\"1.0\"?>\n<testsuites name=\"theirs\"><testsuite name=\"tidegate\" /></testsuites>",
            "<!DOCTYPE html>\n<title>tidegate</title>\n",
        ] {
            assert!(!is_report(theirs.as_bytes()), "{theirs:?}");
        }
    }

    #[test]
    fn documents_are_told_where_they_are_cut() {
        let json = format!(
            "{{\"schema\": \"{}\", \"tidegate\": \"0.1.0\", \"images\": [{{\"path\": \"",
            json::SCHEMA
        );
        assert!(is_report(json.as_bytes()) && !is_merged(json.as_bytes()));
        let merged = json.replace("\"images\"", "\"merged\": true, \"images\"");
        assert!(!is_report(merged.as_bytes()) && is_merged(merged.as_bytes()));
        let sarif = "{\"version\": \"2.1.0\", \"runs\": [{\"tool\": {\"driver\": {\"name\": \"tidegate\", \"rules\": [";
        assert!(is_report(sarif.as_bytes()));
        let long = format!("ACCEPT  {}é", "a\nACCEPT  ".repeat(HEAD as usize));
        assert!(is_report(&long.as_bytes()[..HEAD as usize]));
    }
}
