//! Words of GRUB's script: blanks, quotes, backslashes, comments, as its lexer has them.

use super::environment::Environment;

/// Words of one command, and bytes of one word, at most; what is longer is cut.
const MOST_WORDS: usize = 256;
const LONGEST: usize = 4 << 10;

/// A word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: Vec<u8>,
    /// Whether all of it came without quotes and variables: only then is it a word of the language.
    pub(super) plain: bool,
}

impl Word {
    pub(super) fn is(&self, text: &str) -> bool {
        self.plain && self.text == text.as_bytes()
    }
}

/// Commands of a script, one by one.
pub(super) struct Words<'t> {
    rest: &'t [u8],
    line: u32,
}

impl<'t> Words<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Words { rest: text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text), line: 1 }
    }

    fn take(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        self.line += u32::from(byte == b'\n');
        Some(byte)
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next command with its line, variables expanded; `None` at the end. It ends with its line, with `;`, and before
    /// and after `{` and `}`, which are commands of their own.
    pub(super) fn next(&mut self, environment: &Environment) -> Option<(u32, Vec<Word>)> {
        let mut words: Vec<Word> = Vec::new();
        let mut begin = self.line;
        loop {
            let line = self.line;
            let before = self.rest;
            let Some(byte) = self.take() else {
                return (!words.is_empty()).then_some((begin, words));
            };
            match byte {
                b' ' | b'\t' | b'\r' => continue,
                b'\n' | b';' if words.is_empty() => continue,
                b'\n' | b';' => return Some((begin, words)),
                b'#' => {
                    while self.peek().is_some_and(|byte| byte != b'\n') {
                        self.take();
                    }
                    continue;
                }
                b'\\' if self.peek() == Some(b'\n') => {
                    self.take();
                    continue;
                }
                b'{' | b'}' if self.ends_word() => {
                    if words.is_empty() {
                        return Some((line, vec![Word { text: vec![byte], plain: true }]));
                    }
                    // It comes next time.
                    self.rest = before;
                    return Some((begin, words));
                }
                _ => self.rest = before,
            }
            self.line = line;
            if words.is_empty() {
                begin = line;
            }
            // A variable without a value makes no word.
            if let Some(word) = self.word(environment)
                && words.len() < MOST_WORDS
            {
                words.push(word);
            }
        }
    }

    /// Whether nothing of a word follows.
    fn ends_word(&self) -> bool {
        self.peek().is_none_or(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b';'))
    }

    fn word(&mut self, environment: &Environment) -> Option<Word> {
        let mut word = Word { text: Vec::new(), plain: true };
        let mut quoted = false;
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b';' => break,
                b'\\' => {
                    self.take();
                    match self.take() {
                        Some(b'\n') | None => {}
                        Some(byte) => word.text.push(byte),
                    }
                    word.plain = false;
                }
                b'\'' => {
                    self.take();
                    while let Some(byte) = self.take().filter(|&byte| byte != b'\'') {
                        word.text.push(byte);
                    }
                    (word.plain, quoted) = (false, true);
                }
                b'"' => {
                    self.take();
                    self.double_quoted(&mut word, environment);
                    (word.plain, quoted) = (false, true);
                }
                b'$' => {
                    self.take();
                    self.variable(&mut word, environment);
                    word.plain = false;
                }
                byte => {
                    self.take();
                    word.text.push(byte);
                }
            }
            word.text.truncate(LONGEST);
        }
        (quoted || !word.text.is_empty()).then_some(word)
    }

    fn double_quoted(&mut self, word: &mut Word, environment: &Environment) {
        while let Some(byte) = self.take() {
            match byte {
                b'"' => return,
                b'$' => self.variable(word, environment),
                b'\\' if matches!(self.peek(), Some(b'$' | b'"' | b'\\')) => {
                    word.text.extend(self.take());
                }
                b'\\' if self.peek() == Some(b'\n') => {
                    self.take();
                }
                byte => word.text.push(byte),
            }
            word.text.truncate(LONGEST);
        }
    }

    /// What stands for `$name` or `${name}`, of which the dollar is taken.
    fn variable(&mut self, word: &mut Word, environment: &Environment) {
        let braces = self.peek() == Some(b'{');
        if braces {
            self.take();
        }
        let is_name =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'?' | b'@');
        let end = self.rest.iter().position(|byte| !is_name(byte)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        if braces && self.peek() == Some(b'}') {
            self.take();
        } else if name.is_empty() {
            word.text.push(b'$');
        }
        word.text.extend_from_slice(environment.get(name));
    }
}
