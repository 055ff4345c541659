//! JSON, `tidegate.report/1`: written, and read back to be merged. Its schema is published as
//! `docs/report.schema.json`; keys may be added, never renamed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bytes::{Hostile, is_harmless};
use crate::inspect::Report;
use crate::project::{Shard, Terms};
use crate::rules;

/// Name and version of the format.
pub const SCHEMA: &str = "tidegate.report/1";

/// Version of the program that writes it.
const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    tidegate: &'static str,
    #[serde(flatten)]
    scope: &'a Scope,
    images: &'a [Report],
}

/// Which images a document is about, and how they were checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Scope {
    /// The shard that it is about; `None` if it is about all images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// How they were checked; `None` if nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
}

/// One document for all images of a scope, ending in a newline.
///
/// # Errors
/// None that the model can cause; the writer is a string.
pub fn render(images: &[Report], scope: &Scope) -> Result<String, serde_json::Error> {
    let document = Document { schema: SCHEMA, tidegate: VERSION, scope, images };
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}

/// A document that was read.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct Written {
    /// Which images it is about.
    #[serde(flatten)]
    pub scope: Scope,
    /// The images.
    pub images: Vec<Report>,
}

/// Why a text is no report that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The run that opened the file was ended before it wrote the report.
    #[error("it is empty: the check that was to write it has not come to its end; run it again")]
    Empty,
    /// It is something else.
    #[error("it is no report of tidegate ({0}); make one with `tidegate check --format json`")]
    Malformed(Hostile),
    /// It is another document.
    #[error(
        "its schema is {0}, and this takes {SCHEMA}; make one with `tidegate check --format json`"
    )]
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
}

/// Reads a document of the same version.
///
/// # Errors
/// If it is none.
pub fn read(text: &[u8]) -> Result<Written, ReadError> {
    if text.trim_ascii().is_empty() {
        return Err(ReadError::Empty);
    }
    let malformed = |e: serde_json::Error| ReadError::Malformed(e.to_string().as_str().into());
    let value: Value = serde_json::from_slice(text).map_err(malformed)?;
    match value["schema"].as_str() {
        Some(SCHEMA) => {}
        Some(other) => return Err(ReadError::OtherSchema(other.into())),
        None => return Err(ReadError::Malformed("it names no schema".into())),
    }
    match value["tidegate"].as_str() {
        Some(VERSION) => {}
        other => return Err(ReadError::OtherVersion(other.unwrap_or("nobody").into())),
    }
    if !harmless(&value) {
        return Err(ReadError::Harmful);
    }
    let written: Written = serde_json::from_value(value).map_err(malformed)?;
    match &written.scope.terms {
        Some(terms) if terms.rules != rules::version() => {
            Err(ReadError::OtherRules(terms.rules.as_str().into()))
        }
        _ => Ok(written),
    }
}

/// Whether all text is such as reports have. serde_json bounds the depth.
fn harmless(value: &Value) -> bool {
    match value {
        Value::String(text) => is_harmless(text),
        Value::Array(values) => values.iter().all(harmless),
        Value::Object(values) => {
            values.iter().all(|(key, value)| is_harmless(key) && harmless(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::{Deaf, Options, inspect};

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
            let text = render(&reports, &scope).unwrap();
            let again = read(text.as_bytes()).unwrap();
            assert_eq!(again.scope, scope);
            assert_eq!(again.images[0].path.as_deref(), Some(path.as_path()));
            assert_eq!(render(&again.images, &scope).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_report() {
        let text = render(&[], &Scope::default()).unwrap();
        let told = |text: &str| read(text.as_bytes()).unwrap_err().to_string();
        assert!(told("\n").starts_with("it is empty"));
        for bad in ["{", "[]", "7", "{}", &text.replace("[]", "7"), &text.replace("[]", "[{}]")] {
            assert!(told(bad).starts_with("it is no report"), "{bad}");
        }
        assert!(told(&text.replace("report/1", "report/2")).contains("tidegate.report/2"));
        assert!(told(&text.replace(VERSION, "77.0.0")).contains("written by tidegate 77.0.0"));
        let harmful = text.replace("[]", "[{\"source\": \"\\u001b[31m\"}]");
        assert!(told(&harmful).contains("acts on a terminal"));
    }

    /// The names that a closed list of a schema has, in the order of the alphabet.
    fn list(schema: &str, pointer: &str) -> Vec<String> {
        let schema: Value = serde_json::from_str(schema).unwrap();
        let list = schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is not there"));
        sorted(serde_json::from_value(list.clone()).unwrap())
    }

    fn sorted(mut names: Vec<String>) -> Vec<String> {
        names.sort();
        names
    }

    /// The names of an enum's variants. The match makes a new variant an error of the compiler here.
    macro_rules! names {
        ($type:ident: $($variant:ident)*) => {{
            let _complete = |value: $type| match value { $($type::$variant => {})* };
            sorted(vec![$($type::$variant.as_str().to_owned()),*])
        }};
    }

    #[test]
    fn closed_lists_of_the_schemas_are_those_of_the_program() {
        use crate::facts::{Compression, DiskFormat, Layer};
        use crate::inspect::{Mode, State, Verdict, What};
        use crate::rules::Severity;
        use crate::source::Kind;
        let report = |pointer| list(include_str!("../../docs/report.schema.json"), pointer);
        assert_eq!(report("/$defs/verdict/enum"), names!(Verdict: Accept Warn Reject Error));
        assert_eq!(report("/$defs/severity/enum"), names!(Severity: Note Warn Reject));
        assert_eq!(report("/$defs/layer/enum"), names!(Layer: File Image Disk));
        assert_eq!(
            report("/$defs/compression/enum"),
            names!(Compression: None Gzip Bzip2 Xz Zstd Lz4 Lzma Compress Zip SevenZip Rar Tar
                Lzip Lzop Lrzip Zlib Cpio Ar Rpm Cab Xar Wim Other)
        );
        assert_eq!(
            report("/$defs/disk_format/enum"),
            names!(DiskFormat: Raw Qcow2 Vhdx Vdi Vmdk Vpc Qcow Qed Parallels Luks Dmg Iso9660
                Cowd Sesparse Ewf Bochs Cloop AndroidSparse Other Elf Html Xml Json Text GitLfsPointer Pointer Empty Unknown)
        );
        assert_eq!(
            report("/$defs/error_kind/enum"),
            names!(Kind: NotFound PermissionDenied Directory Unsupported Changed Spool Url
                Unreachable Tls TimedOut Status Redirect Interrupted Protocol Io)
        );
        // These have no names but those of their serialisation.
        macro_rules! serialised {
            ($type:ident: $($variant:ident)*) => {{
                let _complete = |value: $type| match value { $($type::$variant => {})* };
                let names = [$(serde_json::to_value($type::$variant).unwrap()),*];
                sorted(names.iter().map(|name| name.as_str().unwrap().to_owned()).collect())
            }};
        }
        assert_eq!(report("/$defs/mode/enum"), serialised!(Mode: Full Quick));
        assert_eq!(
            report("/$defs/check/properties/state/enum"),
            serialised!(State: Done Partial Skipped)
        );
        let map = list(include_str!("../../docs/map.schema.json"), "/$defs/what/enum");
        assert_eq!(map, serialised!(What: Data Zero Unallocated Compressed Unreadable));
    }
}
