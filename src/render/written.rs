//! JSON reports, read back to be merged: image by image, so that a report of any number of them takes the memory of one.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, Read};

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, Serialize};
use serde_json::Value;

use super::json::{SCHEMA, Scope, VERSION};
use crate::bytes::{Hostile, is_harmless};
use crate::inspect::Report;
use crate::rules;

/// Bytes that a report may take.
const LARGEST: u64 = 1 << 30;

/// Bytes that an image may take in a report, many times what a check says of any.
const LARGEST_IMAGE: u64 = 4 << 20;

/// Why a text is no report that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It cannot be read, or what was read has no room.
    #[error("{0}")]
    Unreadable(io::Error),
    /// The run that opened the file was ended before it wrote the report.
    #[error("it is empty: the check that was to write it has not come to its end; run it again")]
    Empty,
    /// It is something else.
    #[error("it is no report of tidegate ({0}); make one by a check with --format json")]
    Malformed(Hostile),
    /// It is another document.
    #[error("its schema is {0}, and this takes {SCHEMA}; make one by a check with --format json")]
    OtherSchema(Hostile),
    /// Its findings may mean something else.
    #[error(
        "it was written by tidegate {0}, and this is {VERSION}, whose rules may be others; use one version for all"
    )]
    OtherVersion(Hostile),
    /// Its findings may mean something else, though the version is the same.
    #[error("it was made under other rules ({0}; these are {rules}); use one build for all", rules = rules::version())]
    OtherRules(Hostile),
    /// Nothing that tidegate writes has such text.
    #[error(
        "it has text that acts on a terminal or a CI system, so it is not as tidegate wrote it"
    )]
    Harmful,
    /// No check ends so.
    #[error(
        "of {0} it has a verdict that its findings do not come to, so it is not as tidegate wrote it; check that image again"
    )]
    Inconsistent(String),
}

/// Reads a document of the same version. `each` is given the images as they come; what it was given counts only if the
/// whole document can be used.
///
/// # Errors
/// If it is none, or `each` fails.
pub fn read(
    from: impl BufRead,
    each: &mut dyn FnMut(Report) -> io::Result<()>,
) -> Result<Scope, ReadError> {
    let left = Cell::new(LARGEST_IMAGE);
    let mut from = Metered { from, all: LARGEST, left: &left };
    if !has_text(&mut from).map_err(ReadError::Unreadable)? {
        return Err(ReadError::Empty);
    }
    let mut json = serde_json::Deserializer::from_reader(from);
    let mut reading = Reading { left: &left, each, refusal: None };
    let read = DeserializeSeed::deserialize(&mut reading, &mut json);
    match (reading.refusal, read.and_then(|scope| json.end().map(|()| scope))) {
        (Some(refusal), _) => Err(refusal),
        (None, Ok(scope)) => Ok(scope),
        (None, Err(error)) if error.is_io() => Err(ReadError::Unreadable(error.into())),
        (None, Err(error)) => Err(ReadError::Malformed(error.to_string().as_str().into())),
    }
}

/// Passes blanks; whether anything follows.
fn has_text(from: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let bytes = from.fill_buf()?;
        let blanks = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let (end, found) = (bytes.is_empty(), blanks < bytes.len());
        from.consume(blanks);
        if end || found {
            return Ok(found);
        }
    }
}

/// A reader that fails where a report is too long.
struct Metered<'a, R> {
    from: R,
    /// Bytes that may still come.
    all: u64,
    /// Bytes that may still come before the next image.
    left: &'a Cell<u64>,
}

impl<R: BufRead> Read for Metered<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buf)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Metered<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.all == 0 || self.left.get() == 0 {
            let why = match self.all {
                0 => format!("it is larger than {} GiB", LARGEST >> 30),
                _ => format!("one image takes more than {} MiB of it", LARGEST_IMAGE >> 20),
            };
            return Err(io::Error::other(format!("{why}, so it is no report of tidegate")));
        }
        self.from.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.all = self.all.saturating_sub(count as u64);
        self.left.set(self.left.get().saturating_sub(count as u64));
        self.from.consume(count);
    }
}

/// A document that is being read.
struct Reading<'a> {
    left: &'a Cell<u64>,
    each: &'a mut dyn FnMut(Report) -> io::Result<()>,
    /// Why it cannot be used, though it can be parsed.
    refusal: Option<ReadError>,
}

impl Reading<'_> {
    /// Keeps why it cannot be used; what is given back only ends the parsing.
    fn refuse<E: serde::de::Error>(&mut self, refusal: ReadError) -> E {
        self.refusal = Some(refusal);
        E::custom("refused")
    }

    fn hold<E: serde::de::Error>(&mut self, result: Result<(), ReadError>) -> Result<(), E> {
        result.map_err(|refusal| self.refuse(refusal))
    }
}

fn same_schema(schema: &str) -> Result<(), ReadError> {
    match schema {
        SCHEMA => Ok(()),
        other => Err(ReadError::OtherSchema(other.into())),
    }
}

fn same_version(version: &str) -> Result<(), ReadError> {
    match version {
        VERSION => Ok(()),
        other => Err(ReadError::OtherVersion(other.into())),
    }
}

impl<'de> DeserializeSeed<'de> for &mut Reading<'_> {
    type Value = Scope;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Scope, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Reading<'_> {
    type Value = Scope;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a report")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scope, A::Error> {
        let mut scope = Scope::default();
        let (mut schema, mut version, mut images) = (false, false, false);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "schema" => {
                    schema = true;
                    self.hold(same_schema(&map.next_value::<String>()?))?;
                }
                "tidegate" => {
                    version = true;
                    self.hold(same_version(&map.next_value::<String>()?))?;
                }
                "shard" => scope.shard = map.next_value()?,
                "terms" => scope.terms = map.next_value()?,
                "images" if images => return Err(A::Error::duplicate_field("images")),
                "images" => {
                    images = true;
                    map.next_value_seed(Images(self))?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if !schema {
            return Err(A::Error::custom("it names no schema"));
        }
        if !version {
            return Err(self.refuse(ReadError::OtherVersion("nobody".into())));
        }
        if !images {
            return Err(A::Error::missing_field("images"));
        }
        self.hold(harmless(&scope))?;
        match &scope.terms {
            Some(terms) if terms.rules != rules::version() => {
                Err(self.refuse(ReadError::OtherRules(terms.rules.as_str().into())))
            }
            _ => Ok(scope),
        }
    }
}

/// The images of a document.
struct Images<'r, 'a>(&'r mut Reading<'a>);

impl<'de> DeserializeSeed<'de> for Images<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Images<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("images")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut images: A) -> Result<(), A::Error> {
        let reading = self.0;
        reading.left.set(LARGEST_IMAGE);
        while let Some(report) = images.next_element::<Report>()? {
            reading.hold(harmless(&report))?;
            reading.hold(consistent(&report))?;
            let taken = (reading.each)(report).map_err(ReadError::Unreadable);
            reading.hold(taken)?;
            reading.left.set(LARGEST_IMAGE);
        }
        Ok(())
    }
}

/// Makes sure that all text is such as reports have.
fn harmless(part: &impl Serialize) -> Result<(), ReadError> {
    fn all(value: &Value) -> bool {
        match value {
            Value::String(text) => is_harmless(text),
            Value::Array(values) => values.iter().all(all),
            Value::Object(values) => {
                values.iter().all(|(key, value)| is_harmless(key) && all(value))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => true,
        }
    }
    let value = serde_json::to_value(part).map_err(|e| ReadError::Unreadable(e.into()))?;
    if all(&value) { Ok(()) } else { Err(ReadError::Harmful) }
}

fn consistent(report: &Report) -> Result<(), ReadError> {
    match report.is_consistent() {
        true => Ok(()),
        false => Err(ReadError::Inconsistent(report.source.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Document;
    use super::super::json::Json;
    use super::*;
    use crate::inspect::{Deaf, Look, Options, inspect};
    use crate::project::Terms;

    fn unseen() -> Look {
        Look { map: Err(String::new()), excerpts: Vec::new() }
    }

    fn written(reports: &[Report], scope: &Scope) -> String {
        let mut document = Box::new(Json::new(scope.clone()));
        reports.iter().for_each(|report| document.add(report, &unseen).unwrap());
        let mut text = Vec::new();
        document.write(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn read_all(text: &str) -> Result<(Scope, Vec<Report>), ReadError> {
        let mut reports = Vec::new();
        let scope = read(text.as_bytes(), &mut |report| {
            reports.push(report);
            Ok(())
        })?;
        Ok((scope, reports))
    }

    #[test]
    fn what_was_written_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a\u{1b}[1m ::error::.img");
        std::fs::write(&path, b"no image").unwrap();
        let reports = [
            inspect(path.as_os_str(), &Options::default(), &Deaf),
            inspect("/no such file".as_ref(), &Options::default(), &Deaf),
        ];
        let terms = Some(Terms::of(&Options::default()));
        let shard = Some("3/8".parse().unwrap());
        for scope in [Scope::default(), Scope { shard, terms }] {
            let text = written(&reports, &scope);
            let (read, images) = read_all(&text).unwrap();
            assert_eq!(read, scope);
            assert_eq!(images[0].path.as_deref(), Some(path.as_path()));
            assert_eq!(written(&images, &scope), text);
            // In whatever order the keys are.
            let sorted = serde_json::from_str::<Value>(&text).unwrap().to_string();
            assert_eq!(written(&read_all(&sorted).unwrap().1, &scope), text);
        }
    }

    #[test]
    fn what_is_no_report() {
        let text = written(&[], &Scope::default());
        let told = |text: &str| read_all(text).unwrap_err().to_string();
        assert!(told("\n").starts_with("it is empty"));
        for bad in [
            "{",
            "[]",
            "7",
            "{}",
            &text.replace("[]", "7"),
            &text.replace("[]", "[{}]"),
            &text.replace("[]", "[], \"images\": []"),
            &text.replace("images", "pictures"),
            &format!("{text}{text}"),
        ] {
            assert!(told(bad).starts_with("it is no report"), "{bad}");
        }
        assert!(told(&text.replace("report/1", "report/2")).contains("tidegate.report/2"));
        assert!(told(&text.replace(VERSION, "77.0.0")).contains("written by tidegate 77.0.0"));
        let report = inspect("/no such file".as_ref(), &Options::default(), &Deaf);
        let harmful = written(&[report], &Scope::default()).replace("no such", "\\u001b[31m");
        assert!(told(&harmful).contains("acts on a terminal"));
        let report = inspect("/no such file".as_ref(), &Options::default(), &Deaf);
        let edited = written(&[report], &Scope::default())
            .replace("\"verdict\": \"error\"", "\"verdict\": \"accept\"");
        assert!(told(&edited).contains("of /no such file it has a verdict"));
    }

    #[test]
    fn a_report_without_end_is_not_taken_into_memory() {
        let text = written(&[], &Scope::default());
        let (head, tail) = text.split_once("[]").unwrap();
        let long = "x".repeat(5 << 20);
        for text in [
            format!("{{\"{long}\": 1"),
            format!("{head}[{{\"source\": \"{long}\"}}]{tail}"),
            format!("{head}[{}]{tail}", " ".repeat(5 << 20)),
        ] {
            let told = read_all(&text).unwrap_err().to_string();
            assert!(told.contains("more than 4 MiB"), "{told}");
        }
    }
}
