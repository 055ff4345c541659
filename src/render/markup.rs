//! Text for XML and HTML: the one place that escapes for either.
//!
//! Documents are printed to the logs of CI systems, some of which take `##[` and `##vso[` for commands wherever it
//! stands. So the second of two number signs is never written as itself.

/// Text for an element or a quoted attribute. Characters that XML does not allow become U+FFFD.
#[must_use]
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '#' if before == '#' => out.push_str("&#35;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if is_legal(c) => out.push(c),
            _ => out.push(char::REPLACEMENT_CHARACTER),
        }
        before = c;
    }
    out
}

/// Whether XML 1.0 (2.2) allows the character. Surrogates are no characters here, and C1 controls,
/// which XML allows, HTML does not.
fn is_legal(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place() {
        assert_eq!(escape("a<b>&\"c'"), "a&lt;b&gt;&amp;&quot;c&#39;");
        assert_eq!(escape("Größe 漢 🦀\n"), "Größe 漢 🦀\n");
    }

    #[test]
    fn begins_no_command_of_a_ci_system() {
        assert_eq!(escape("a##[error]b###vso["), "a#&#35;[error]b#&#35;&#35;vso[");
    }

    #[test]
    fn what_xml_does_not_allow_is_replaced() {
        assert_eq!(
            escape("a\0\u{1b}\u{7f}\u{85}\u{fffe}\u{ffff}b"),
            "a\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}b"
        );
    }
}
