//! `tidegate.toml`: the images of a project, and how each is checked.
//!
//! The file lies in a folder that somebody else may have made, so it is not trusted: it says which images there
//! are and what is asked of them, and nothing of whom the program speaks with, by which credentials, and what it
//! believes.

mod fault;
mod file;
mod search;

use std::path::{Path, PathBuf};

pub use self::fault::Fault;
use super::Below;
use crate::bytes::{Hostile, Small};
use crate::facts::Code;
use crate::inspect::Guest;
use crate::rules::Severity;

/// The name of the file.
pub const NAME: &str = "tidegate.toml";

/// What names some thousand images.
const PROJECT: Small = Small { what: "a tidegate.toml", most: 512 << 10 };

/// What a project says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Project {
    /// Where its file is.
    pub file: PathBuf,
    /// Its images, in the order of the file; no two have one name.
    pub images: Vec<Image>,
}

/// An image of a project.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Image {
    /// What it is called, here and at DigitalOcean.
    pub name: Set<String>,
    /// Where it is.
    pub place: Set<Place>,
    /// The SHA-256 that the file has to have.
    pub sha256: Option<Set<[u8; 32]>>,
    /// Regions of DigitalOcean: it is imported to the first one, and copied to the others.
    pub regions: Option<Set<Vec<String>>>,
    /// Its distribution, such as Debian.
    pub distribution: Option<Set<String>>,
    /// What is written about it.
    pub description: Option<Set<String>>,
    /// Whether system and kernel that are found inside are written behind that.
    pub describe: Option<Set<bool>>,
    /// Its tags.
    pub tags: Option<Set<Vec<String>>>,
    /// Bytes that image and disk have to stay under.
    pub max_size: Option<Set<u64>>,
    /// Findings that weigh otherwise than the catalogue says.
    pub policy: Vec<Set<(Code, Severity)>>,
    /// Whether warnings refuse it.
    pub strict: Option<Set<bool>>,
    /// When what is inside its disk is examined.
    pub guest: Option<Set<Guest>>,
    /// Whether a push boots it first.
    pub boot: Option<Set<bool>>,
    /// The bucket that it is staged in.
    pub bucket: Option<Set<String>>,
    /// Where a receipt of its check goes.
    pub receipt: Option<Set<Below>>,
}

/// Something that the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Set<T> {
    /// What.
    pub value: T,
    /// In which line, from 1.
    pub line: usize,
}

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A file below the folder of the project.
    Path(Below),
    /// A URL.
    Url(String),
}

/// Why there is no project.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {file}: {why}")]
    Unreadable {
        /// The file, escaped.
        file: Hostile,
        /// What the operating system says, or why it is not to be believed.
        why: String,
    },
    /// Something in it is wrong.
    #[error(transparent)]
    Wrong(#[from] Fault),
}

impl Project {
    /// The project that a folder is part of: its file is in the folder or above it, up to the root of the git
    /// repository.
    ///
    /// # Errors
    /// If the file cannot be read, is a link, may have been put there by somebody else, or something in it is wrong.
    pub fn find(folder: &Path) -> Result<Option<Project>, ConfigError> {
        search::find(folder).map(|file| Project::read(&file)).transpose()
    }

    /// The image of this name.
    #[must_use]
    pub fn image(&self, name: &str) -> Option<&Image> {
        self.images.iter().find(|image| image.name.value == name)
    }

    fn read(file: &Path) -> Result<Project, ConfigError> {
        let shown = Hostile::from_os(file.as_os_str());
        let fail = |why: String| ConfigError::Unreadable { file: shown.clone(), why };
        let bytes = search::read(file).map_err(|e| fail(e.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|e| fail(format!("it is no UTF-8: {e}")))?;
        let folder = file.parent().unwrap_or(Path::new(""));
        let images =
            file::parse(&text, folder).map_err(|wrong| Fault::new(&shown, &text, wrong))?;
        Ok(Project { file: file.to_owned(), images })
    }
}
