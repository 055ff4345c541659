//! Commands that are joined so that each one needs the success of those before it.

use std::fmt;
use std::path::Path;

use super::name::Name;
use super::words::check;
use super::{Case, Input, Without};
use crate::facts::{Compression, Layer};

/// A chain of commands. It begins with a look at whether what it makes is there already.
pub(super) struct Chain<'a> {
    case: &'a Case<'a>,
    input: Name,
    made: Vec<Name>,
    steps: Vec<String>,
}

impl<'a> Chain<'a> {
    /// A chain that reads the input of this case.
    pub(super) fn new(case: &'a Case<'a>) -> Result<Self, Without> {
        let input = match case.input {
            Input::File(path) => Name::new(path)?,
            Input::General => Name::new(Path::new("IMAGE"))?,
            Input::Pipe => return Err(Without::Pipe),
            Input::Url => return Err(Without::Url),
            Input::Inside => return Err(Without::Inside),
        };
        Ok(Chain { case, input, made: Vec::new(), steps: Vec::new() })
    }

    /// The file that was checked.
    pub(super) fn input(&self) -> &Name {
        &self.input
    }

    /// A name for a file that the chain makes, with this ending after the input's own name.
    pub(super) fn make(&mut self, ending: &str) -> Result<Name, Without> {
        let known: Vec<&Path> = self.made.iter().chain([&self.input]).map(Name::path).collect();
        let free = |path: &Path| (self.case.free)(path) && !known.contains(&path);
        let (stem, _) = self.input.parts();
        let name = self.input.beside(stem, ending, &free)?;
        self.made.push(name.clone());
        Ok(name)
    }

    /// The same, with the ending of the image that the input's name promises, packed with gzip. `.img` is used for every
    /// format.
    pub(super) fn make_packed(&mut self) -> Result<Name, Without> {
        let ending = self.input.parts().1.unwrap_or(".img");
        self.make(&format!("{ending}.gz"))
    }

    /// The next command.
    pub(super) fn step(&mut self, command: impl Into<String>) {
        self.steps.push(command.into());
    }

    /// The program that decompresses the file, if what is wrong is inside of it.
    pub(super) fn unpacker(&self) -> Result<Option<&'static str>, Without> {
        if self.case.layer == Layer::File {
            return Ok(None);
        }
        match self.case.compression {
            None | Some(Compression::None) => Ok(None),
            Some(Compression::Gzip) => Ok(Some("gzip -dc")),
            Some(Compression::Bzip2) => Ok(Some("bzip2 -dc")),
            Some(_) => Err(Without::Inside),
        }
    }

    /// The image, decompressed to a file with this ending if the input is packed.
    pub(super) fn image(&mut self, ending: &str) -> Result<Name, Without> {
        let Some(unpacker) = self.unpacker()? else { return Ok(self.input.clone()) };
        let name = self.make(ending)?;
        self.step(format!("{unpacker} {} > {name}", self.input));
        Ok(name)
    }

    /// The chain, with a check of what it made at its end.
    pub(super) fn checked(mut self, made: &Name) -> String {
        self.step(check(made, self.case.limit));
        self.to_string()
    }
}

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guards = self.made.iter().map(|name| format!("test ! -e {name}"));
        let all: Vec<String> = guards.chain(self.steps.iter().cloned()).collect();
        f.write_str(&all.join(" && "))
    }
}
