//! YAML of a guest, as a tree that is no larger than its text: aliases are not followed, and depth and number of values
//! are bounded.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// Values of all documents together.
pub(super) const MOST_VALUES: usize = 20_000;

/// How deep they lie in each other.
const DEEPEST: usize = 24;

/// A value and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// The number of its file.
    pub(super) file: usize,
    /// Its line, from 1.
    pub(super) line: u32,
    pub(super) value: Value,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing.
    Null,
    /// A scalar, as it is written.
    Text(String),
    List(Vec<Node>),
    Map(BTreeMap<String, Node>),
    /// Behind an alias.
    Hidden,
}

impl Node {
    /// What a map has at this key.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(map) => map.get(key),
            _ => None,
        }
    }

    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The members of a list.
    pub(super) fn list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    /// Whether it is a scalar that means yes.
    pub(super) fn is_true(&self) -> bool {
        let yes = ["true", "yes", "on", "1"];
        self.text().is_some_and(|text| yes.iter().any(|yes| text.trim().eq_ignore_ascii_case(yes)))
    }

    /// Lets `over` go over it: maps are merged, everything else is replaced.
    pub(super) fn merge(&mut self, over: Node) {
        match (&mut self.value, over.value) {
            (Value::Map(under), Value::Map(over)) => {
                for (key, node) in over {
                    match under.get_mut(&key) {
                        Some(there) => there.merge(node),
                        None => {
                            under.insert(key, node);
                        }
                    }
                }
            }
            (_, value) => *self = Node { value, ..over },
        }
    }
}

/// What is begun and has no end yet.
enum Open {
    List(Vec<Node>),
    /// A map, and the key whose value comes next.
    Map(BTreeMap<String, Node>, Option<String>),
}

/// Reads the one document of a text, and takes its values off `left`. The error says why it cannot be read, as a clause
/// without a period, and the line.
pub(super) fn read(text: &str, file: usize, left: &mut usize) -> Result<Node, (String, u32)> {
    // The parser would take it, and that of cloud-init does not.
    if let Some((line, _)) =
        (1..).zip(text.lines()).find(|(_, line)| line.starts_with('\t') && !line.trim().is_empty())
    {
        return Err(("a line begins with a tab".to_owned(), line));
    }
    let mut open: Vec<(u32, Open)> = Vec::new();
    let mut root = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event
            .map_err(|e| (format!("it is no YAML: {}", e.info()), e.marker().line() as u32))?;
        let line = line_of(span);
        let node = |value| Node { file, line, value };
        *left = left.saturating_sub(1);
        if *left == 0 || open.len() > DEEPEST {
            return Err(("it has more values than tidegate reads".to_owned(), line));
        }
        let done = match event {
            Event::Scalar(text, style, ..) => {
                let is_null = style == ScalarStyle::Plain
                    && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                node(if is_null { Value::Null } else { Value::Text(text.into_owned()) })
            }
            Event::Alias(_) => node(Value::Hidden),
            Event::SequenceStart(..) => {
                open.push((line, Open::List(Vec::new())));
                continue;
            }
            Event::MappingStart(..) => {
                open.push((line, Open::Map(BTreeMap::new(), None)));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some((line, Open::List(list))) => Node { file, line, value: Value::List(list) },
                Some((line, Open::Map(map, _))) => Node { file, line, value: Value::Map(map) },
                None => continue,
            },
            _ => continue,
        };
        match open.last_mut() {
            Some((_, Open::List(list))) => list.push(done),
            Some((_, Open::Map(map, key))) => match key.take() {
                Some(key) => {
                    map.insert(key, done);
                }
                None => {
                    // A key that is no scalar is none that anybody asks for.
                    *key = Some(match done.value {
                        Value::Text(text) => text,
                        _ => String::new(),
                    });
                }
            },
            None if root.is_none() => root = Some(done),
            None => return Err(("it has several documents".to_owned(), line)),
        }
    }
    Ok(root.unwrap_or(Node { file, line: 1, value: Value::Null }))
}

fn line_of(span: Span) -> u32 {
    u32::try_from(span.start.line()).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Result<Node, (String, u32)> {
        read(text, 0, &mut MOST_VALUES.clone())
    }

    fn shown(node: &Node) -> String {
        match &node.value {
            Value::Null => "~".to_owned(),
            Value::Hidden => "*".to_owned(),
            Value::Text(text) => text.clone(),
            Value::List(list) => {
                format!("[{}]", list.iter().map(shown).collect::<Vec<_>>().join(","))
            }
            Value::Map(map) => {
                let pairs = map.iter().map(|(key, node)| format!("{key}:{}", shown(node)));
                format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
            }
        }
    }

    #[test]
    fn documents_become_trees() {
        for (text, tree) in [
            ("a: 1\nb: [x, 'y', {c: d}]\n", "{a:1,b:[x,y,{c:d}]}"),
            ("users:\n   - default\n   - name: bob\n", "{users:[default,{name:bob}]}"),
            ("a: &x [1]\nb: *x\n<<: *x\n", "{<<:*,a:[1],b:*}"),
            ("a: ~\nb: '~'\nc:\n", "{a:~,b:~,c:~}"),
            ("", "~"),
            ("# nothing\n", "~"),
            ("--- \na: 1\na: 2\n", "{a:2}"),
            ("a: |\n  one\n  two\n", "{a:one\ntwo\n}"),
        ] {
            assert_eq!(shown(&parsed(text).unwrap()), tree, "{text:?}");
        }
        for text in ["a: [", "a: 1\n---\nb: 2\n", "a: b: c\n", "\ta: 1\n", "{a: 1}}"] {
            assert!(parsed(text).is_err(), "{text:?}");
        }
        let node = read("a: 1\n\nb:\n  c: 2\n", 3, &mut 99).unwrap();
        let c = node.get("b").and_then(|b| b.get("c")).unwrap();
        assert_eq!((c.file, c.line), (3, 4));
    }

    #[test]
    fn what_goes_over_replaces_all_but_maps() {
        let mut under = read("a: {x: 1, y: [1]}\nb: 1\nc: {d: 1}\n", 0, &mut 99).unwrap();
        under.merge(read("a: {y: [2]}\nb: {z: 1}\nc: 1\n", 1, &mut 99).unwrap());
        assert_eq!(shown(&under), "{a:{x:1,y:[2]},b:{z:1},c:1}");
    }

    #[test]
    fn no_text_takes_long_or_grows() {
        for part in [
            "[", "{", "- ", "? ", "a: ", "&a ", "*a ", "!a ", "[a, ", "{a: ", "\"", "a\n", "- a\n",
            " \n", "'", "|\n ", "%a\n", ",", "]",
        ] {
            let text = part.repeat((1 << 18) / part.len());
            let _ = parsed(&text);
        }
        let bomb = (0..40).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
            format!("{text}a{}: &a{} [*a{n}, *a{n}]\n", n + 1, n + 1)
        });
        assert!(shown(&parsed(&bomb).unwrap()).len() < bomb.len());
    }

    proptest! {
        #[test]
        fn any_text_ends(text in "[-a-c:\\[\\]{},&*!|>'\"%@`#? \t\n\r~.]{0,200}") {
            let _ = parsed(&text);
        }
    }
}
