//! What cloud-init's YAML says, as a tree that is no larger than its text: aliases are not followed, and depth and number
//! of values are bounded.

use std::collections::BTreeMap;

use super::super::super::super::yaml::{self, Refused};

/// Values of all documents together.
pub(super) const MOST_VALUES: usize = 20_000;

/// How deep they lie in each other, the outermost and the innermost one counted.
const DEEPEST: usize = 25;

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

/// Reads the one document of a text, and takes its values off `left`. The error says why it cannot be read, as a clause
/// without a period, and the line.
pub(super) fn read(text: &str, file: usize, left: &mut usize) -> Result<Node, (String, u32)> {
    // The parser would take it, and that of cloud-init does not.
    if let Some((line, _)) =
        (1..).zip(text.lines()).find(|(_, line)| line.starts_with('\t') && !line.trim().is_empty())
    {
        return Err(("a line begins with a tab".to_owned(), line));
    }
    let read = yaml::parse_without_aliases(text.as_bytes(), DEEPEST, left);
    let mut documents = read.map_err(|refused| match refused {
        Refused::Syntax { line, said } => (format!("it is no YAML: {said}"), line),
        Refused::Limit(why) => (why.to_owned(), 1),
    })?;
    match (documents.pop(), documents.is_empty()) {
        (None, _) => Ok(Node { file, line: 1, value: Value::Null }),
        (Some(root), true) => Ok(node(root, file)),
        (Some(last), false) => Err(("it has several documents".to_owned(), last.line)),
    }
}

/// The parser has bounded how deep it goes.
fn node(found: yaml::Node, file: usize) -> Node {
    let value = match found.value {
        yaml::Value::Scalar { text, quoted: false } if means_nothing(&text) => Value::Null,
        yaml::Value::Scalar { text, .. } => Value::Text(text),
        yaml::Value::List(items) => {
            Value::List(items.into_iter().map(|item| node(item, file)).collect())
        }
        yaml::Value::Map(pairs) => Value::Map(
            pairs.into_iter().map(|(key, value)| (name(key), node(value, file))).collect(),
        ),
        yaml::Value::Alias => Value::Hidden,
    };
    Node { file, line: found.line, value }
}

fn means_nothing(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// A key as text. One that is no scalar is none that anybody asks for.
fn name(key: yaml::Node) -> String {
    match key.value {
        yaml::Value::Scalar { text, quoted } if quoted || !means_nothing(&text) => text,
        _ => String::new(),
    }
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
