//! Markup of pages, and text for XML and HTML: the one place that escapes for either.
//!
//! Documents are printed to the logs of CI systems, some of which take `##[` and `##vso[` for commands wherever it
//! stands. So the second of two number signs is never written as itself.

/// Markup of a page. Everything in it is a literal of this program, or was escaped on its way in: there is no way to put text
/// into it as it is.
#[derive(Default)]
pub(super) struct Markup(String);

/// What stands in markup.
pub(super) trait Part {
    /// Puts it there, escaped where it is text.
    fn put(&self, out: &mut Markup);
}

impl Markup {
    /// A literal.
    pub(super) fn literal(text: &'static str) -> Markup {
        Markup(text.to_owned())
    }

    /// A literal with parts in the place of each `{}`.
    pub(super) fn of(template: &'static str, parts: &[&dyn Part]) -> Markup {
        let mut markup = Markup::default();
        markup.add(template, parts);
        markup
    }

    /// Appends a literal with parts in the place of each `{}`.
    pub(super) fn add(&mut self, template: &'static str, parts: &[&dyn Part]) {
        let mut literals = template.split("{}");
        self.0.push_str(literals.next().unwrap_or_default());
        let mut parts = parts.iter();
        for literal in literals {
            let part = parts.next();
            debug_assert!(part.is_some(), "too few parts: {template}");
            part.into_iter().for_each(|part| part.put(self));
            self.0.push_str(literal);
        }
        debug_assert!(parts.next().is_none(), "too many parts: {template}");
    }

    /// The text of it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Part for Markup {
    fn put(&self, out: &mut Markup) {
        out.0.push_str(&self.0);
    }
}

impl Part for str {
    fn put(&self, out: &mut Markup) {
        out.0.push_str(&escape(self));
    }
}

impl Part for &str {
    fn put(&self, out: &mut Markup) {
        (**self).put(out);
    }
}

impl Part for String {
    fn put(&self, out: &mut Markup) {
        self.as_str().put(out);
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl Part for $number {
            fn put(&self, out: &mut Markup) {
                out.0.push_str(&self.to_string());
            }
        })*
    };
}

numbers!(u32, u64, usize);

/// A coordinate of a drawing, with one decimal.
pub(super) struct Coordinate(pub(super) f64);

impl Part for Coordinate {
    fn put(&self, out: &mut Markup) {
        out.0.push_str(&format!("{:.1}", self.0));
    }
}

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
    fn what_is_put_into_markup_is_text() {
        let mut markup = Markup::of("<p>{}</p>{}", &[&"<b>{}", &7u64]);
        markup.add("<i>{}</i>", &[&Markup::literal("<br>")]);
        markup.add("{}", &[&"a&b".to_owned()]);
        assert_eq!(markup.as_str(), "<p>&lt;b&gt;{}</p>7<i><br></i>a&amp;b");
    }

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
