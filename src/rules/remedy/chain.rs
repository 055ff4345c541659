//! Commands that are joined so that each one needs the success of those before it.

use std::fmt;
use std::path::Path;

use super::name::Name;
use super::words::check;
use super::{Case, Input, Without};
use crate::facts::{Compression, Layer};

/// A chain of commands that makes one file. It begins with a look at whether that is there already, and writes it in a
/// folder of its own: `mkdir` makes that for one shell only, so an interrupted chain leaves nothing under the file's name.
pub(super) struct Chain<'a> {
    case: &'a Case<'a>,
    input: Name,
    steps: Vec<String>,
}

/// A file that a chain makes.
pub(super) struct Made {
    /// Its name, once it is whole.
    name: Name,
    /// The folder that it is written in.
    folder: Name,
}

impl Made {
    /// Its name, once it is whole.
    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    /// The path that it is written at.
    pub(super) fn begun(&self) -> Name {
        self.folder.inside("new")
    }

    /// The path of the decompressed image that it is made from.
    fn image(&self) -> Name {
        self.folder.inside("image")
    }
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
        Ok(Chain { case, input, steps: Vec::new() })
    }

    /// The file that was checked.
    pub(super) fn input(&self) -> &Name {
        &self.input
    }

    /// Whether a file lies in the folder of the input.
    pub(super) fn is_beside(&self, name: &Name) -> bool {
        name.path().parent() == self.input.path().parent()
    }

    /// A free name with this ending after the input's own name.
    pub(super) fn name(&self, ending: &str) -> Result<Name, Without> {
        let free = |path: &Path| {
            (self.case.free)(path)
                && path != self.input.path()
                && (self.case.free)(&Name::unfinished(path))
        };
        let (stem, _) = self.input.parts();
        self.input.beside(stem, ending, &free)
    }

    /// The same, with the ending of the image that the input's name promises, packed with gzip. `.img` is used for every
    /// format.
    pub(super) fn packed_name(&self) -> Result<Name, Without> {
        let ending = self.input.parts().1.unwrap_or(".img");
        self.name(&format!("{ending}.gz"))
    }

    /// Begins a file of this name.
    pub(super) fn begin(&mut self, name: Name) -> Made {
        let folder = name.beside_unfinished();
        self.step(exists(&name));
        self.step(format!("mkdir {folder}"));
        Made { name, folder }
    }

    /// Begins a file with this ending.
    pub(super) fn make(&mut self, ending: &str) -> Result<Made, Without> {
        Ok(self.begin(self.name(ending)?))
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

    /// Lets a command read the image, decompressed if the input is packed, which is gone after that.
    pub(super) fn read_image(
        &mut self,
        made: &Made,
        command: impl FnOnce(&Name) -> String,
    ) -> Result<(), Without> {
        let Some(unpacker) = self.unpacker()? else {
            self.step(command(&self.input));
            return Ok(());
        };
        let image = made.image();
        self.step(format!("{unpacker} {} > {image}", self.input));
        self.step(command(&image));
        self.step(format!("rm {image}"));
        Ok(())
    }

    /// Gives the file its name. `mv -n` may do nothing and say nothing, and then `rmdir` fails.
    pub(super) fn finish(&mut self, made: Made) -> Name {
        let Made { name, folder } = &made;
        self.step(format!("mv -n {} {name}", made.begun()));
        self.step(format!("rmdir {folder}"));
        made.name
    }

    /// The chain, with a check of what it made at its end.
    pub(super) fn checked(mut self, made: Made) -> String {
        let name = self.finish(made);
        self.step(check(&name, self.case.limit));
        self.to_string()
    }
}

/// Says that a file exists, and ends the chain then.
pub(super) fn exists(name: &Name) -> String {
    format!("test ! -e {name} || ! echo {name} exists already")
}

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.steps.join(" && "))
    }
}
