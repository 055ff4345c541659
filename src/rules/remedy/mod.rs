//! What to do about a finding: commands that are pasted as they are printed, or words where it takes judgement.
//!
//! A row of the catalogue has a [`Remedy`]: words, or a [`Recipe`] with the words around it. A report makes an
//! [`Advice`] of it for its own [`Case`]: the input's name, how it is packed, its format and sizes. The commands hold to
//! these rules, which `tests/remedies` proves by pasting every one of them:
//!
//! - The input is only read. What a command makes is a new file, named after the input.
//! - No file is written over. A name is chosen that is free when the report is made. The command looks once more, and says
//!   what exists.
//! - A new file gets its name when it is whole: `tidegate repack` sees to it, and other programs write into a folder beside
//!   it (`NAME.part`), which only one shell can make.
//! - The steps are joined by `&&`. The last one names the file that came out, and checks it where that is possible.
//! - Whatever cannot be said for this input (its name, a missing size, a partition in the way) leaves the words alone.
//!
//! The room does no I/O: which names are free is known by whoever makes the case.

mod chain;
mod name;
mod recipe;
mod words;

use std::path::Path;

use crate::bytes::{is_harmless, quoted};
use crate::facts::{Code, Compression, DiskFormat, Layer};
use crate::guest::PartitionTable;

pub use recipe::Recipe;

/// What to do about a kind of finding.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Remedy {
    /// It takes judgement, or another program than those that can be counted on: sentences without a command.
    Judge(&'static str),
    /// Commands do it.
    Run {
        /// What they do, as the beginning of a sentence: a colon and the commands follow, or a period.
        first: &'static str,
        /// How they are made.
        recipe: Recipe,
        /// Sentences that follow; empty if there is nothing to say.
        then: &'static str,
    },
    /// Commands do it inside the guest, run by root in the build, before the image is made of it.
    Guest {
        /// What they do, as the beginning of a sentence: where to run them and the commands follow.
        first: &'static str,
        /// The commands, for sh. PATH stands for the path that the finding names.
        command: &'static str,
        /// Sentences that follow; empty if there is nothing to say.
        then: &'static str,
    },
}

/// Where the bytes came from, as far as a command can name it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// A file.
    File(&'a Path),
    /// A pipe, which has no name.
    Pipe,
    /// A URL, which may have secrets in it.
    Url,
    /// A file inside of another one.
    Inside,
    /// No input: what is said in general.
    General,
}

/// What a remedy is made from.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Case<'a> {
    /// Where the bytes came from.
    pub input: Input<'a>,
    /// The layer that the finding is about.
    pub layer: Layer,
    /// Byte offset of the finding in that layer, where it has a place.
    pub offset: Option<u64>,
    /// How the file is packed, if that is known.
    pub compression: Option<Compression>,
    /// What the image is, if that is known.
    pub format: Option<DiskFormat>,
    /// The path of the guest that the finding names, escaped.
    pub path: Option<&'a str>,
    /// Bytes of the disk, if that is known.
    pub virtual_size: Option<u64>,
    /// Bytes that image and disk have to stay under.
    pub limit: u64,
    /// The partition table, if it was read.
    pub partitions: Option<&'a PartitionTable>,
    /// Whether a file of this name could be made: there is none, nor anything else.
    pub free: &'a dyn Fn(&Path) -> bool,
}

impl<'a> Case<'a> {
    /// A case of which nothing but its input is known.
    #[must_use]
    pub fn new(
        input: Input<'a>,
        layer: Layer,
        limit: u64,
        free: &'a dyn Fn(&Path) -> bool,
    ) -> Self {
        Case {
            input,
            layer,
            offset: None,
            compression: None,
            format: None,
            path: None,
            virtual_size: None,
            limit,
            partitions: None,
            free,
        }
    }
}

/// A remedy, made for one case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Advice {
    /// Sentences; each command is between backticks, and has none itself.
    pub text: String,
    /// The commands alone, for bash or zsh.
    pub commands: Vec<String>,
}

/// Why there is no command for a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Without {
    /// The input is a pipe.
    Pipe,
    /// The input is behind a URL.
    Url,
    /// The finding is about a file inside of another one, or packed as no command here can undo.
    Inside,
    /// The image takes files beside it, which it does not have once it is decompressed elsewhere.
    Apart,
    /// The name cannot be given to a shell, or not be shown as it is.
    Name,
    /// All the names that the output could have are taken.
    Taken,
    /// The commands would have no effect here, or fail: the words say enough.
    Useless,
}

impl Without {
    /// What to do to have the command of a recipe.
    fn why(self, recipe: &Recipe) -> &'static str {
        match self {
            Without::Pipe if recipe.is_repack() => {
                "Save the image to a file, and let tidegate repack read that."
            }
            Without::Url if recipe.is_repack() => {
                "tidegate repack takes the URL, and a name for the new file."
            }
            Without::Pipe => "Save the image to a file and check that: its report has the command.",
            Without::Url => "Download the image and check the file: its report has the command.",
            Without::Inside => "Take the image out of the file around it first, and check that.",
            Without::Apart => {
                "Decompress it in the folder of the files that it needs, and check that: its report has the command."
            }
            Without::Name => {
                "Give the file a plain name and check it again: then the report has the command."
            }
            Without::Taken => {
                "All names for the new file are taken: check a copy in another folder to get the command."
            }
            Without::Useless => "",
        }
    }
}

impl Remedy {
    /// The remedy for this case.
    #[must_use]
    pub fn advice(&self, case: &Case<'_>) -> Advice {
        let (first, recipe, then) = match self {
            Remedy::Judge(words) => {
                return Advice { text: (*words).to_owned(), commands: Vec::new() };
            }
            Remedy::Run { first, recipe, then } => (*first, recipe, *then),
            Remedy::Guest { first, command, then } => {
                let command = in_guest(command, case.path);
                let said = match command {
                    Some(command) => {
                        format!("{first}; as root in the guest, in the build: `{command}`.")
                    }
                    None => format!("{first}, in the build."),
                };
                return Advice { text: sentences(&[&said, then]), commands: Vec::new() };
            }
        };
        match recipe.command(case) {
            Ok(command) => Advice {
                text: sentences(&[&format!("{first}: `{command}`."), then]),
                commands: vec![command],
            },
            Err(without) => Advice {
                text: sentences(&[&format!("{first}."), without.why(recipe), then]),
                commands: Vec::new(),
            },
        }
    }

    /// What is said of a finding without an input, with IMAGE in the place of its name.
    #[must_use]
    pub fn in_general(&self, code: Code) -> Advice {
        let anything = |_: &Path| true;
        let case = Case::new(Input::General, Layer::File, super::SIZE_LIMIT, &anything);
        self.advice(&Case { format: format_of(code), ..case })
    }

    /// The sentences alone, without a command.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Remedy::Judge(words) => (*words).to_owned(),
            Remedy::Run { first, then, .. } | Remedy::Guest { first, then, .. } => {
                sentences(&[&format!("{first}."), then])
            }
        }
    }

    /// Whether there are cases with a command.
    #[must_use]
    pub fn has_command(&self) -> bool {
        matches!(self, Remedy::Run { .. })
    }
}

/// A command for the guest with the path that it is about; `None` if there is none to be given to a shell.
fn in_guest(command: &str, path: Option<&str>) -> Option<String> {
    if !command.contains("PATH") {
        return Some(command.to_owned());
    }
    let path = path.filter(|path| is_harmless(path) && !path.contains(['`', '\\', '…']))?;
    Some(command.replace("PATH", &quoted(path)))
}

/// The format that all images with this finding have, if it is one.
fn format_of(code: Code) -> Option<DiskFormat> {
    match code {
        Code::FormatVpc => return Some(DiskFormat::Vpc),
        Code::FormatQcow1 => return Some(DiskFormat::Qcow),
        Code::FormatQed => return Some(DiskFormat::Qed),
        Code::FormatParallels => return Some(DiskFormat::Parallels),
        Code::FormatVmdkDescriptor => return Some(DiskFormat::Vmdk),
        _ => {}
    }
    match code.as_str().split('-').next()? {
        "raw" => Some(DiskFormat::Raw),
        "qcow2" => Some(DiskFormat::Qcow2),
        "vhdx" => Some(DiskFormat::Vhdx),
        "vdi" => Some(DiskFormat::Vdi),
        "vmdk" => Some(DiskFormat::Vmdk),
        _ => None,
    }
}

fn sentences(parts: &[&str]) -> String {
    let parts: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}
