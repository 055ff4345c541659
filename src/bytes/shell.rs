//! Text as a shell takes it, and commands that are printed to be pasted.
//!
//! Every command that a message shows is a [`Command`]: its words are quoted, its files are absolute, no value can be
//! taken for an option, and what this run was given and the next one needs ([`Given`]) goes along.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

use super::is_harmless;

/// A word that a shell takes as it is: quoted, if it has anything but what means nothing to one. What a terminal would
/// act on, what is no UTF-8 and back ticks are escapes, which shells have between `$'` and `'` (POSIX.1-2024, XCU 2.2.4).
#[must_use]
pub fn quoted<W: AsRef<OsStr> + ?Sized>(word: &W) -> Cow<'_, str> {
    let word = word.as_ref();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,".contains(c);
    match word.to_str().filter(|text| is_harmless(text) && !text.contains('`')) {
        Some(text) if !text.is_empty() && text.chars().all(plain) => Cow::Borrowed(text),
        Some(text) => Cow::Owned(format!("'{}'", text.replace('\'', r"'\''"))),
        None => Cow::Owned(escaped(word.as_bytes())),
    }
}

/// The same by escapes: of all but what means nothing to a shell, a terminal or a CI system.
fn escaped(bytes: &[u8]) -> String {
    let mut text = "$'".to_owned();
    for &byte in bytes {
        match byte {
            b'\n' => text.push_str("\\n"),
            b' ' | b'/' | b'.' | b'_' | b'-' | b'+' | b'@' | b',' => text.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            // Three digits, whatever follows.
            _ => text.push_str(&format!("\\{byte:03o}")),
        }
    }
    text.push('\'');
    text
}

/// Options of a command, as a shell takes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options(String);

impl Options {
    /// With an option that has no value.
    #[must_use]
    pub fn flag(mut self, name: &str) -> Self {
        let _ = write!(self.0, " {name}");
        self
    }

    /// With an option and its value. One that begins with a dash, or is empty, is no word of its own.
    #[must_use]
    pub fn value(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let value = value.as_ref();
        let between = if value.as_bytes().first().is_none_or(|&b| b == b'-') { '=' } else { ' ' };
        let _ = write!(self.0, " {name}{between}{}", quoted(value));
        self
    }

    /// With an option and its file, wherever the command is pasted.
    #[must_use]
    pub fn file(self, name: &str, file: &Path) -> Self {
        // Without a working directory nothing is found by the other either.
        match std::path::absolute(file) {
            Ok(absolute) => self.value(name, absolute),
            Err(_) => self.value(name, file),
        }
    }
}

/// What this run was given that the commands it prints need as well.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Given {
    /// How the API is reached.
    pub api: Options,
    /// Where the journals are.
    pub journals: Options,
    /// Where the bucket is.
    pub bucket: Options,
    /// That a key for the bucket is made. Without a question: none is made to wait for an answer.
    pub key: Options,
}

static GIVEN: OnceLock<Given> = OnceLock::new();

impl Given {
    /// Says what this process was given, once.
    pub fn tell(self) {
        // The command line of a process does not change.
        let _ = GIVEN.set(self);
    }

    fn told() -> Given {
        GIVEN.get().cloned().unwrap_or_default()
    }
}

/// A command that is printed to be pasted; shown in back ticks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Command(String);

impl Command {
    /// A program, and plain words.
    pub fn new(words: &str) -> Self {
        Command(words.to_owned())
    }

    /// A command of `tidegate image` by the API that this run talks to.
    pub fn image(what: &str) -> Self {
        Command::new(&format!("tidegate image {what}")).with(&Given::told().api)
    }

    /// The sweep of what is in the journals of this run.
    pub fn sweep() -> Self {
        Command::sweep_by_api().with(&Given::told().key)
    }

    /// The same without a key of its own for the bucket.
    pub fn sweep_by_api() -> Self {
        let given = Given::told();
        Command::new("tidegate sweep").with(&given.api).with(&given.journals)
    }

    /// The sweep of what is in the bucket of this run and at the API, without a journal.
    pub fn sweep_remote() -> Self {
        let given = Given::told();
        Command::new("tidegate sweep --remote")
            .with(&given.api)
            .with(&given.journals)
            .with(&given.bucket)
            .with(&given.key)
    }

    /// With options.
    pub fn with(mut self, options: &Options) -> Self {
        self.0 += &options.0;
        self
    }

    /// With a last word that is no option. It is behind `--` if it looks like one.
    pub fn operand(mut self, word: impl AsRef<OsStr>) -> Self {
        let word = word.as_ref();
        let dashes = if word.as_bytes().starts_with(b"-") { "-- " } else { "" };
        let _ = write!(self.0, " {dashes}{}", quoted(word));
        self
    }

    /// With a file, wherever the command is pasted.
    pub fn file(self, file: &Path) -> Self {
        match std::path::absolute(file) {
            Ok(absolute) => self.operand(absolute),
            Err(_) => self.operand(file),
        }
    }

    /// With the number of something.
    pub fn number(mut self, number: u64) -> Self {
        let _ = write!(self.0, " {number}");
        self
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_it_is_quoted() {
        for (word, shown) in [
            ("a/b-1.raw", "a/b-1.raw"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("$(x)", "'$(x)'"),
            ("a\nb`c'1", r"$'a\nb\140c\0471'"),
            ("a ::error::b", r"$'a \072\072error\072\072b'"),
            ("\u{202e}", r"$'\342\200\256'"),
        ] {
            assert_eq!(quoted(word), shown);
        }
        assert_eq!(quoted(OsStr::from_bytes(b"\xff\\")), r"$'\377\134'");
    }

    #[test]
    fn a_shell_reads_every_word_as_it_was() {
        let odd = [
            "-st",
            "a\nb",
            "$(touch x)",
            "`x`",
            "it's !!",
            "\\n",
            "~",
            "\u{7f}é\u{200b}9",
            "",
            "##[x",
        ];
        for word in odd.map(OsStr::new).into_iter().chain([OsStr::from_bytes(b"\xffz")]) {
            let script = format!("printf %s {}", quoted(word));
            let said = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
            assert_eq!(OsStr::from_bytes(&said.stdout), word, "{script}");
        }
    }

    #[test]
    fn no_value_is_an_option_or_relative() {
        let options =
            Options::default().value("--context", "-x").value("--bucket", "b").flag("--yes");
        let command = Command::new("tidegate sweep").with(&options);
        assert_eq!(command.to_string(), "`tidegate sweep --context=-x --bucket b --yes`");
        let file = Options::default().file("--state", Path::new("-st"));
        let folder = std::env::current_dir().unwrap();
        let shown = Command::new("x").with(&file).to_string();
        assert_eq!(shown, format!("`x --state {}`", quoted(&folder.join("-st"))));
        assert_eq!(Command::new("chmod 700").operand("-a b").to_string(), "`chmod 700 -- '-a b'`");
        assert_eq!(Command::image("delete").number(3).to_string(), "`tidegate image delete 3`");
    }
}
