//! The text that LVM2 keeps metadata in: sections in braces, with numbers, quoted texts and lists of both.

/// Sections within sections at most.
const DEEPEST: usize = 8;

/// Values of a text at most: what stays in memory of 1 MiB of the shortest ones.
const MOST: usize = 1 << 15;

/// A value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value<'t> {
    Number(u64),
    /// A text, without its quotes; what is escaped in it stays so.
    Text(&'t [u8]),
    List(Vec<Value<'t>>),
    Section(Section<'t>),
}

impl Value<'_> {
    pub(super) fn is_text(&self, wanted: &[u8]) -> bool {
        matches!(self, Value::Text(text) if *text == wanted)
    }
}

/// Values by their names, in the order of the text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Section<'t>(pub(super) Vec<(&'t [u8], Value<'t>)>);

impl<'t> Section<'t> {
    fn get(&self, name: &str) -> Option<&Value<'t>> {
        self.0.iter().find(|(other, _)| *other == name.as_bytes()).map(|(_, value)| value)
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        match self.get(name)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<&'t [u8]> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn section(&self, name: &str) -> Option<&Section<'t>> {
        match self.get(name)? {
            Value::Section(section) => Some(section),
            _ => None,
        }
    }

    /// The values of a list; a value alone is a list of one.
    pub(super) fn list(&self, name: &str) -> impl Iterator<Item = &Value<'t>> {
        let values = match self.get(name) {
            Some(Value::List(values)) => values,
            Some(value) => std::slice::from_ref(value),
            None => &[],
        };
        values.iter()
    }

    pub(super) fn sections(&self) -> impl Iterator<Item = (&'t [u8], &Section<'t>)> {
        self.0.iter().filter_map(|(name, value)| match value {
            Value::Section(section) => Some((*name, section)),
            _ => None,
        })
    }
}

/// Reads a text; `None` if it is none, or has more than is kept.
pub(super) fn parse(text: &[u8]) -> Option<Section<'_>> {
    let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
    let mut reader = Reader { rest: &text[..end], left: MOST };
    let section = reader.section(0)?;
    reader.skip();
    reader.rest.is_empty().then_some(section)
}

struct Reader<'t> {
    rest: &'t [u8],
    /// Values that may still come.
    left: usize,
}

impl<'t> Reader<'t> {
    /// Leaves out blanks and comments.
    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_ascii_start();
            if !self.rest.starts_with(b"#") {
                return;
            }
            let end = self.rest.iter().position(|&byte| byte == b'\n');
            self.rest = end.map_or(&[], |end| &self.rest[end..]);
        }
    }

    /// Whether this comes next; it is taken.
    fn takes(&mut self, byte: u8) -> bool {
        self.skip();
        let Some(rest) = self.rest.strip_prefix(&[byte]) else { return false };
        self.rest = rest;
        true
    }

    fn name(&mut self) -> Option<&'t [u8]> {
        self.skip();
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.+/!:@".contains(byte);
        let len = self.rest.iter().position(|byte| !is_part(byte)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(len);
        self.rest = rest;
        (len > 0).then_some(name)
    }

    /// What stands between braces, or in the whole text.
    fn section(&mut self, depth: usize) -> Option<Section<'t>> {
        let mut section = Section::default();
        loop {
            self.skip();
            if self.rest.is_empty() || self.rest.starts_with(b"}") {
                return Some(section);
            }
            let name = self.name()?;
            let value = if self.takes(b'{') {
                if depth == DEEPEST {
                    return None;
                }
                let inner = self.section(depth + 1)?;
                if !self.takes(b'}') {
                    return None;
                }
                Value::Section(inner)
            } else if self.takes(b'=') {
                self.value()?
            } else {
                return None;
            };
            self.left = self.left.checked_sub(1)?;
            section.0.push((name, value));
        }
    }

    fn value(&mut self) -> Option<Value<'t>> {
        if !self.takes(b'[') {
            return self.plain();
        }
        let mut list = Vec::new();
        while !self.takes(b']') {
            self.left = self.left.checked_sub(1)?;
            list.push(self.plain()?);
            self.takes(b',');
        }
        Some(Value::List(list))
    }

    /// A number or a text. Numbers with a fraction are none that anybody asks for.
    fn plain(&mut self) -> Option<Value<'t>> {
        if !self.takes(b'"') {
            let name = self.name()?;
            let number = str::from_utf8(name).ok().and_then(|digits| digits.parse().ok());
            return Some(number.map_or(Value::Text(name), Value::Number));
        }
        let mut escaped = false;
        let end = self.rest.iter().position(|&byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })?;
        let text = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Some(Value::Text(text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sections_have_numbers_texts_and_lists() {
        let text = b"vg {\n\tid = \"a-b\" # said\n\tseqno = 3\n\tflags = []\n\tstripes = [\n\"pv0\", 0\n]\n\
                     lv {\nstatus = [\"READ\", \"VISIBLE\"]\n}\n}\n# end\ncontents = \"x \\\" y\"\n\0junk";
        let top = parse(text).unwrap();
        let group = top.section("vg").unwrap();
        assert_eq!((group.text("id"), group.number("seqno")), (Some(&b"a-b"[..]), Some(3)));
        assert_eq!(group.list("flags").count(), 0);
        let stripes: Vec<_> = group.list("stripes").collect();
        assert_eq!(stripes, [&Value::Text(b"pv0"), &Value::Number(0)]);
        let (name, volume) = group.sections().next().unwrap();
        assert_eq!(name, b"lv");
        assert!(volume.list("status").any(|word| word.is_text(b"VISIBLE")));
        assert_eq!(top.text("contents"), Some(&b"x \\\" y"[..]));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for text in ["a", "a =", "a = [", "a {", "a = \"", "}", "a = [1", "= 1", "a {} }"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        let deep = |levels: usize| "a {".repeat(levels) + &"}".repeat(levels);
        assert!(parse(deep(DEEPEST).as_bytes()).is_some());
        assert_eq!(parse(deep(DEEPEST + 1).as_bytes()), None);
        assert_eq!(parse("a=1 ".repeat(MOST + 1).as_bytes()), None);
        assert_eq!(parse(format!("a=[{}]", "1,".repeat(MOST + 1)).as_bytes()), None);
    }

    proptest! {
        #[test]
        fn any_text_ends(text in "[a-z0-9{}\\[\\]=\",#\\\\ \n]{0,200}") {
            let _ = parse(text.as_bytes());
        }
    }
}
