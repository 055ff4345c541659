use std::fmt;

/// Longest message shown: a server's reason is worth reading to its end.
const MESSAGE: usize = 2000;

/// Text from outside: from an image, a path, an archive. It can only be shown escaped.
///
/// Control characters (C0, C1, DEL), line and paragraph separators, bidirectional, zero-width and
/// other format characters and invalid UTF-8 are written as escapes, a backslash is doubled, and the
/// text is cut at 200 characters. So are `::` where a line could begin (at the start and after a blank)
/// and `##` anywhere, as in `##[`, `##vso[` and `##teamcity[`: CI systems take these for commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hostile(String);

impl Hostile {
    /// Longest text shown, in characters.
    pub const SHOWN: usize = 200;

    /// From bytes that ought to be UTF-8.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let mut shown = Shown::default();
        for piece in bytes.utf8_chunks() {
            piece.valid().chars().for_each(|c| shown.char(c));
            for byte in piece.invalid() {
                shown.escape(&format!("\\x{byte:02x}"));
            }
            if shown.full() {
                break;
            }
        }
        Hostile(shown.text)
    }

    /// From little-endian UTF-16, as VHDX and GPT keep names; ends at the first NUL.
    #[must_use]
    pub fn from_utf16le(bytes: &[u8]) -> Self {
        let units = bytes
            .as_chunks::<2>()
            .0
            .iter()
            .map(|pair| u16::from_le_bytes(*pair))
            .take_while(|&unit| unit != 0);
        let mut shown = Shown::default();
        for unit in char::decode_utf16(units) {
            match unit {
                Ok(c) => shown.char(c),
                Err(lone) => shown.escape(&format!("\\u{{{:x}}}", lone.unpaired_surrogate())),
            }
        }
        Hostile(shown.text)
    }

    /// A path or argument of the operating system.
    #[must_use]
    pub fn from_os(text: &std::ffi::OsStr) -> Self {
        Hostile::new(text.as_encoded_bytes())
    }

    /// A sentence for people, such as a server's reason: cut at 2000 characters instead.
    #[must_use]
    pub fn message(text: &str) -> Self {
        let mut shown = Shown { most: MESSAGE, ..Shown::default() };
        text.chars().take(MESSAGE + 1).for_each(|c| shown.char(c));
        Hostile(shown.text)
    }

    /// Whether nothing is left to show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Hostile {
    fn from(text: &str) -> Self {
        Hostile::new(text.as_bytes())
    }
}

impl fmt::Display for Hostile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

struct Shown {
    text: String,
    count: usize,
    most: usize,
    /// The last two characters, the last one first; before the first one there is a blank.
    before: [char; 2],
}

impl Default for Shown {
    fn default() -> Self {
        Shown { text: String::new(), count: 0, most: Hostile::SHOWN, before: [' '; 2] }
    }
}

impl Shown {
    fn full(&self) -> bool {
        self.count >= self.most
    }

    fn char(&mut self, c: char) {
        let commands = commands(c, self.before);
        self.before = [c, self.before[0]];
        if c == '\\' {
            self.escape("\\\\");
        } else if commands || is_unsafe(c) {
            self.escape(&c.escape_unicode().to_string());
        } else {
            self.escape(c.encode_utf8(&mut [0; 4]));
        }
    }

    /// Adds one source character in its shown form.
    fn escape(&mut self, form: &str) {
        if self.count < self.most {
            self.text.push_str(form);
        } else if self.count == self.most {
            self.text.push('…');
        }
        self.count += 1;
    }
}

/// Whether a character begins a command of a CI system after the two before it, the last one first.
fn commands(c: char, before: [char; 2]) -> bool {
    match (c, before) {
        (':', [':', blank]) => blank.is_whitespace(),
        ('#', ['#', _]) => true,
        _ => false,
    }
}

/// Whether a text, of any length, has nothing that is shown as an escape: what was escaped once stays as it is.
#[must_use]
pub fn is_harmless(text: &str) -> bool {
    let mut before = [' '; 2];
    text.chars().all(|c| {
        let harmless = !commands(c, before) && !is_unsafe(c);
        before = [c, before[0]];
        harmless
    })
}

/// Characters that act on a terminal or hide: category Cc and Cf of Unicode 16, Zl and Zp.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_acts_on_a_terminal_as_escapes() {
        let shown = Hostile::new(b"a\x1b[31m\r\n\x7f\xc2\x9b\xffz\\").to_string();
        assert_eq!(shown, "a\\u{1b}[31m\\u{d}\\u{a}\\u{7f}\\u{9b}\\xffz\\\\");
        assert_eq!(Hostile::from("x\u{202e}y\u{200b}").to_string(), "x\\u{202e}y\\u{200b}");
    }

    #[test]
    fn begins_no_command_of_a_ci_system() {
        for (text, shown) in [
            ("::error::x", ":\\u{3a}error::x"),
            ("a ::error::x", "a :\\u{3a}error::x"),
            ("\u{a0}::x", "\u{a0}:\\u{3a}x"),
            ("a##[error]", "a#\\u{23}[error]"),
            ("a###vso[x]", "a#\\u{23}\\u{23}vso[x]"),
            ("http://[::1]/a::b", "http://[::1]/a::b"),
        ] {
            assert_eq!(Hostile::from(text).to_string(), shown);
            assert_eq!(Hostile::message(text).to_string(), shown);
            assert_eq!(is_harmless(text), text == shown, "{text}");
            assert!(is_harmless(shown));
        }
    }

    #[test]
    fn keeps_honest_text_as_it_is() {
        assert_eq!(Hostile::from("Größe 漢字.qcow2").to_string(), "Größe 漢字.qcow2");
    }

    #[test]
    fn cuts_at_two_hundred_characters() {
        let exact = "é".repeat(Hostile::SHOWN);
        assert_eq!(Hostile::from(exact.as_str()).to_string(), exact);
        let shown = Hostile::from("é".repeat(Hostile::SHOWN + 1).as_str()).to_string();
        assert_eq!(shown, format!("{exact}…"));
    }

    #[test]
    fn messages_may_be_longer() {
        let exact = "\u{1b}é".repeat(MESSAGE / 2);
        let shown = "\\u{1b}é".repeat(MESSAGE / 2);
        assert_eq!(Hostile::message(&exact).to_string(), shown);
        assert_eq!(Hostile::message(&format!("{exact}x")).to_string(), format!("{shown}…"));
    }

    #[test]
    fn reads_utf16_up_to_the_first_nul() {
        let bytes: Vec<u8> = "boot\0junk".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(Hostile::from_utf16le(&bytes).to_string(), "boot");
        assert_eq!(Hostile::from_utf16le(&[0x00, 0xd8]).to_string(), "\\u{d800}");
    }
}
