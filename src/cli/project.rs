//! The images that a command is about: those on the command line, or those of `tidegate.toml`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Once, OnceLock};

use super::{Usage, output};
use crate::bytes::Hostile;
use crate::project::{Image, Place, Project};
use crate::rules::Policy;
use crate::source::{is_url, shown};

/// An image that a command is about.
#[derive(Debug)]
pub(super) struct Subject {
    /// Its path or URL.
    pub(super) argument: OsString,
    /// What the project says of it.
    pub(super) image: Option<Box<Image>>,
}

impl Subject {
    /// Whether the project refuses it with warnings too.
    pub(super) fn is_strict(&self) -> bool {
        let image = self.image.as_ref();
        image.and_then(|image| image.strict.as_ref()).is_some_and(|strict| strict.value)
    }

    /// What the project says of findings, and the arguments over it.
    pub(super) fn policy(&self, arguments: &Policy) -> Result<Policy, Usage> {
        let mut policy = Policy::default();
        let said = self.image.iter().flat_map(|image| image.policy.iter().map(|set| set.value));
        for (code, severity) in said.chain(arguments.said().iter().copied()) {
            policy.set(code.as_str(), severity).map_err(|e| Usage(e.to_string()))?;
        }
        Ok(policy)
    }
}

/// An argument: a path, a URL, `-`, or the name of an image of the project.
pub(super) fn subject(argument: &OsStr) -> Result<Subject, Usage> {
    let there = Path::new(argument).symlink_metadata().is_ok();
    let found = match as_name(argument) {
        Some(name) if there => if_any().and_then(|project| project.image(name).cloned()),
        Some(name) => known()?.and_then(|project| project.image(name).cloned()),
        None => None,
    };
    match found {
        Some(image) if there && !is_at(&image, argument) => Err(Usage(format!(
            "{} is a file here and an image of tidegate.toml, which is another file; write ./{} for the file, or rename one \
             of them",
            shown(argument),
            shown(argument)
        ))),
        Some(image) if !there => of_project(image),
        None if !there => {
            unknown(argument)?;
            Ok(Subject { argument: argument.to_owned(), image: None })
        }
        image => Ok(Subject { argument: argument.to_owned(), image: image.map(Box::new) }),
    }
}

/// Makes sure that what stands for standard input or a URL is no file as well: who wrote `*` means the file, and whoever
/// puts files into a folder may call one so.
pub(super) fn means_one_thing(argument: &OsStr) -> Result<(), Usage> {
    let (is_stdin, there) = (argument == "-", Path::new(argument).symlink_metadata().is_ok());
    match there && (is_stdin || is_url(argument)) {
        true if is_stdin => Err(Usage(
            "\"-\" is standard input, and a file here too; write ./- for the file, or /dev/stdin"
                .into(),
        )),
        true => Err(Usage(format!(
            "{} reads as a URL, and is a file here too; write ./ before it for the file, or rename the file",
            Hostile::from_os(argument)
        ))),
        false => Ok(()),
    }
}

/// So many names of the project are told.
const TOLD: usize = 8;

/// Says which images the project has, where an argument is none of them and no file either.
fn unknown(argument: &OsStr) -> Result<(), Usage> {
    let Some(name) = as_name(argument) else { return Ok(()) };
    let Some(project) = known()?.filter(|project| !project.images.is_empty()) else {
        return Ok(());
    };
    let shown = |name: &str| Hostile::from(name).to_string();
    let names: Vec<&str> = project.images.iter().map(|it| it.name.value.as_str()).collect();
    let mut told: Vec<String> = names.iter().take(TOLD).map(|name| shown(name)).collect();
    if names.len() > TOLD {
        told.push(format!("{} more", names.len() - TOLD));
    }
    let near =
        near(name, &names).map_or(String::new(), |it| format!("; did you mean {}?", shown(it)));
    output::warn(&format!(
        "\"{}\" is no file here and no image of tidegate.toml, which has {}{near}",
        shown(name),
        told.join(", ")
    ));
    Ok(())
}

#[cfg(feature = "net")]
fn near<'n>(name: &str, names: &[&'n str]) -> Option<&'n str> {
    crate::digitalocean::nearest(name, names.iter().copied())
}

#[cfg(not(feature = "net"))]
fn near<'n>(_: &str, _: &[&'n str]) -> Option<&'n str> {
    None
}

/// An argument that is no name. What the project says of an image that has this name and is this file counts.
pub(super) fn path(argument: &OsStr) -> Subject {
    let image = as_name(argument)
        .and_then(|name| if_any()?.image(name).cloned())
        .filter(|image| is_at(image, argument));
    Subject { argument: argument.to_owned(), image: image.map(Box::new) }
}

/// The project, for a file that was named: that is checked whatever is wrong with a `tidegate.toml` which was not asked
/// for. It is told, once, as something in it could have been about this file.
fn if_any() -> Option<&'static Project> {
    static TOLD: Once = Once::new();
    known().unwrap_or_else(|Usage(why)| {
        TOLD.call_once(|| {
            output::warn(&format!("no tidegate.toml counts for what was named: {why}"))
        });
        None
    })
}

/// The project, which is read once however many images are named.
fn known() -> Result<Option<&'static Project>, Usage> {
    static KNOWN: OnceLock<Result<Option<Project>, String>> = OnceLock::new();
    match KNOWN.get_or_init(|| project().map_err(|Usage(why)| why)) {
        Ok(project) => Ok(project.as_ref()),
        Err(why) => Err(Usage(why.clone())),
    }
}

/// The argument as it could be the name of an image.
fn as_name(argument: &OsStr) -> Option<&str> {
    argument.to_str().filter(|name| *name != "-" && !name.contains('/') && !is_url(argument))
}

/// Whether the image is this very file.
fn is_at(image: &Image, file: &OsStr) -> bool {
    let Place::Path(path) = &image.place.value else { return false };
    match (path.path().canonicalize(), Path::new(file).canonicalize()) {
        (Ok(there), Ok(here)) => there == here,
        _ => false,
    }
}

/// All images of the project, of which there has to be one.
pub(super) fn all() -> Result<Vec<Subject>, Usage> {
    let Some(project) = project()? else {
        return Err(Usage(
            "no image was named, and there is no tidegate.toml here or above: name one, \
             or write a tidegate.toml with `tidegate init`"
                .into(),
        ));
    };
    if project.images.is_empty() {
        return Err(Usage(format!(
            "{} has no [[image]]; add one with name and path, or name an image on the command line",
            Hostile::from_os(project.file.as_os_str())
        )));
    }
    project.images.into_iter().map(of_project).collect()
}

/// The project that the working directory is part of.
pub(super) fn project() -> Result<Option<Project>, Usage> {
    let here = std::env::current_dir()
        .map_err(|e| Usage(format!("there is no working directory: {e}")))?;
    Project::find(&here).map_err(|e| Usage(e.to_string()))
}

fn of_project(image: Image) -> Result<Subject, Usage> {
    let argument = match &image.place.value {
        Place::Url(url) => url.into(),
        Place::Path(path) => {
            let found = path.to_read().map_err(|e| {
                let place = Hostile::from_os(path.path().as_os_str()).to_string();
                Usage(format!("{place}, in line {} of tidegate.toml: {e}", image.place.line))
            })?;
            relative(found).into_os_string()
        }
    };
    Ok(Subject { argument, image: Some(Box::new(image)) })
}

/// The path as seen from here, if it leads down.
fn relative(path: PathBuf) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    match path.strip_prefix(&here) {
        // One that looks like an option or a URL is told from them.
        Ok(inner)
            if inner.as_os_str().as_encoded_bytes().starts_with(b"-")
                || is_url(inner.as_os_str()) =>
        {
            Path::new(".").join(inner)
        }
        Ok(inner) => inner.to_owned(),
        Err(_) => path,
    }
}
