//! JSON, `tidegate.report/1`; [`super::written`] reads it back. Its schema is published as
//! `docs/report.schema.json`; keys may be added, never renamed.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::Document;
use super::pieces::Elements;
use crate::inspect::{Look, Report};
use crate::project::{Shard, Terms};

/// Name and version of the format.
pub const SCHEMA: &str = "tidegate.report/1";

/// Version of the program that writes it.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

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
    /// Whether it was merged from others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub merged: bool,
}

/// One document for all images of a scope.
pub struct Json {
    scope: Scope,
    images: Elements,
}

impl Json {
    /// A document about no image yet.
    #[must_use]
    pub fn new(scope: Scope) -> Self {
        Json { scope, images: Elements::new(2) }
    }
}

impl Document for Json {
    fn add(&mut self, report: &Report, _: &dyn Fn() -> Look) -> io::Result<()> {
        self.images.push(report)
    }

    fn write(self: Box<Self>, out: &mut dyn Write) -> io::Result<()> {
        #[derive(Serialize)]
        struct Head<'a> {
            schema: &'static str,
            tidegate: &'static str,
            #[serde(flatten)]
            scope: &'a Scope,
        }
        let head = Head { schema: SCHEMA, tidegate: VERSION, scope: &self.scope };
        let head = serde_json::to_string_pretty(&head)?;
        let open = head.strip_suffix("\n}").unwrap_or(&head);
        write!(out, "{open},\n  \"images\": ")?;
        self.images.pour(out)?;
        out.write_all(b"\n}\n")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

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
        let report = |pointer: &str| list(include_str!("../../docs/report.schema.json"), pointer);
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
        let mut kinds = names!(Kind: NotFound PermissionDenied Directory Unsupported Part Changed Spool Url
                Unreachable Tls TimedOut Status Redirect Interrupted Protocol NoParts
                Private Io);
        // No source has failed then.
        kinds.extend(["incomplete", "not-checked"].map(str::to_owned));
        assert_eq!(report("/$defs/error_kind/enum"), sorted(kinds));
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
        {
            use crate::inspect::booted::{Stage, State};
            let stages = "/$defs/boot/properties/stages/items/properties";
            assert_eq!(
                report(&format!("{stages}/stage/enum")),
                names!(Stage: BootLoader Kernel Address Data Ssh Login CloudInit Growth Command Shutdown)
            );
            assert_eq!(
                report(&format!("{stages}/state/enum")),
                serialised!(State: Reached Failed Missed Skipped)
            );
        }
        let map = list(include_str!("../../docs/map.schema.json"), "/$defs/what/enum");
        assert_eq!(map, serialised!(What: Data Zero Unallocated Compressed Unreadable));
    }
}
