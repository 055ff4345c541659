//! YAML of a guest as a tree of values, within bounds.
//!
//! It knows the syntax alone: what a word such as `yes` means is decided by whoever reads the value, as programs
//! differ there. Aliases are resolved or left as such, as the reader wants; merge keys (`<<`) and tags are not resolved.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// Values of a text at most, those of aliases counted each time.
const MOST_NODES: usize = 1 << 16;

/// Values inside each other at most, where aliases are resolved.
const DEEPEST: usize = 64;

/// Bytes of all words at most, those of aliases counted each time.
const MOST_BYTES: usize = 2 << 20;

/// A value, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// The line, from 1 on.
    pub(super) line: u32,
    pub(super) value: Value,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A word or a text. Without quotes it may stand for a number, a truth or nothing.
    Scalar { text: String, quoted: bool },
    /// `[a, b]`, or lines that begin with a dash.
    List(Vec<Node>),
    /// `{a: b}`, or lines with a colon, in their order. Keys may come twice.
    Map(Vec<(Node, Node)>),
    /// An alias that was not resolved.
    Alias,
}

/// What becomes of aliases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aliases {
    /// What each stands for is copied.
    Resolved,
    /// Each is a [`Value::Alias`].
    Kept,
}

/// Why a text was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is no YAML: in which line, and what a parser says of it.
    Syntax { line: u32, said: String },
    /// It is larger or deeper than any configuration; the words say what was met, as a sentence without a period.
    Limit(&'static str),
}

impl Node {
    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            Value::List(_) | Value::Map(_) | Value::Alias => None,
        }
    }

    /// The members of a list; none if it is no list.
    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            Value::Scalar { .. } | Value::Map(_) | Value::Alias => &[],
        }
    }

    /// The pairs of a map; none if it is no map.
    pub(super) fn pairs(&self) -> &[(Node, Node)] {
        match &self.value {
            Value::Map(pairs) => pairs,
            Value::Scalar { .. } | Value::List(_) | Value::Alias => &[],
        }
    }

    /// The value of a key of a map: the last one, if the key comes twice.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        let pairs = self.pairs().iter().rev();
        pairs.into_iter().find_map(|(name, value)| (name.text() == Some(key)).then_some(value))
    }
}

/// What is open while a text is read.
struct Open {
    node: Node,
    /// Of a map, the key whose value is awaited.
    key: Option<Node>,
    anchor: usize,
    size: Size,
}

/// How large a value is.
#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
    depth: usize,
}

/// A value that aliases may stand for.
struct Anchor {
    id: usize,
    node: Node,
    size: Size,
}

/// What is read so far.
struct Reader {
    aliases: Aliases,
    /// Values inside each other at most.
    deepest: usize,
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: Vec<Anchor>,
    room: Room,
}

/// What may still come.
struct Room {
    nodes: usize,
    bytes: usize,
}

impl Room {
    fn take(&mut self, size: Size) -> Result<(), Refused> {
        let left = (self.nodes.checked_sub(size.nodes), self.bytes.checked_sub(size.bytes));
        let (Some(nodes), Some(bytes)) = left else {
            *self = Room { nodes: 0, bytes: 0 };
            return Err(Refused::Limit("it has more values than any configuration"));
        };
        *self = Room { nodes, bytes };
        Ok(())
    }
}

/// The documents of a text, of which there is usually one; none if it is empty. Aliases are resolved.
///
/// # Errors
/// If it is no YAML, or meets a bound.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Node>, Refused> {
    documents(text, Aliases::Resolved, DEEPEST, &mut MOST_NODES.clone())
}

/// The same with aliases left as such, so that it is no larger than the text. Values lie `deepest` inside each other at
/// most, and their number is taken off `left`.
///
/// # Errors
/// If it is no YAML, or meets a bound.
pub(super) fn parse_without_aliases(
    text: &[u8],
    deepest: usize,
    left: &mut usize,
) -> Result<Vec<Node>, Refused> {
    documents(text, Aliases::Kept, deepest, left)
}

fn documents(
    text: &[u8],
    aliases: Aliases,
    deepest: usize,
    left: &mut usize,
) -> Result<Vec<Node>, Refused> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if text.len() > MOST_BYTES {
        return Err(Refused::Limit("it has more bytes than any configuration"));
    }
    let text = std::str::from_utf8(text).map_err(|error| {
        let before = &text[..error.valid_up_to()];
        let line = line(1 + before.iter().filter(|&&byte| byte == b'\n').count());
        Refused::Syntax { line, said: "it is not UTF-8".to_owned() }
    })?;
    let room = Room { nodes: *left, bytes: MOST_BYTES };
    let (documents, open, anchors) = Default::default();
    let mut reader = Reader { aliases, deepest, documents, open, anchors, room };
    let read = reader.read(text);
    *left = reader.room.nodes;
    read.map(|()| reader.documents)
}

/// From 1 on, also where the parser has 0: at the end of an empty text.
fn line(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX).max(1)
}

impl Reader {
    fn read(&mut self, text: &str) -> Result<(), Refused> {
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| Refused::Syntax {
                line: line(error.marker().line()),
                said: error.info().to_owned(),
            })?;
            self.take(event, span)?;
        }
        Ok(())
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Refused> {
        let line = line(span.start.line());
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let size = Size { nodes: 1, bytes: text.len(), depth: 1 };
                let quoted = style != ScalarStyle::Plain;
                let value = Value::Scalar { text: text.into_owned(), quoted };
                self.room.take(size)?;
                self.put(Node { line, value }, anchor, size)
            }
            Event::SequenceStart(anchor, _) => self.begin(line, Value::List(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.begin(line, Value::Map(Vec::new()), anchor),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { node, anchor, mut size, .. }) => {
                    size.depth += 1;
                    self.put(node, anchor, size)
                }
                None => Ok(()),
            },
            Event::Alias(_) if self.aliases == Aliases::Kept => {
                let size = Size { nodes: 1, bytes: 0, depth: 1 };
                self.room.take(size)?;
                self.put(Node { line, value: Value::Alias }, 0, size)
            }
            Event::Alias(id) => {
                let Some(known) = self.anchors.iter().rev().find(|anchor| anchor.id == id) else {
                    let said = "an alias stands for something that it is a part of".to_owned();
                    return Err(Refused::Syntax { line, said });
                };
                let size = known.size;
                // Counted before it is copied.
                self.room.take(size)?;
                let node = Node { line, ..known.node.clone() };
                self.put(node, 0, size)
            }
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin(&mut self, line: u32, value: Value, anchor: usize) -> Result<(), Refused> {
        let size = Size { nodes: 1, bytes: 0, depth: 0 };
        self.room.take(size)?;
        self.open.push(Open { node: Node { line, value }, key: None, anchor, size });
        if self.open.len() >= self.deepest { Err(Refused::Limit(TOO_DEEP)) } else { Ok(()) }
    }

    /// Puts a value that is whole where it belongs.
    fn put(&mut self, node: Node, anchor: usize, size: Size) -> Result<(), Refused> {
        if self.open.len() + size.depth > self.deepest {
            return Err(Refused::Limit(TOO_DEEP));
        }
        if anchor != 0 && self.aliases == Aliases::Resolved {
            self.room.take(size)?;
            self.anchors.push(Anchor { id: anchor, node: node.clone(), size });
        }
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        open.size.nodes += size.nodes;
        open.size.bytes += size.bytes;
        open.size.depth = open.size.depth.max(size.depth);
        match &mut open.node.value {
            Value::List(items) => items.push(node),
            Value::Map(pairs) => match open.key.take() {
                Some(key) => pairs.push((key, node)),
                None => open.key = Some(node),
            },
            Value::Scalar { .. } | Value::Alias => {}
        }
        Ok(())
    }
}

const TOO_DEEP: &str = "its values lie deeper inside each other than those of any configuration";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> Node {
        let mut documents = parse(text.as_bytes()).unwrap();
        assert_eq!(documents.len(), 1, "{text}");
        documents.remove(0)
    }

    #[test]
    fn values_come_with_their_lines() {
        let text = "\u{feff}network:\r\n  version: 2\r\n  list: [a, 'b']\r\n  block:\r\n    - \"yes\"\r\n    - yes\r\n  empty:\r\n";
        let root = one(text);
        let network = root.get("network").unwrap();
        assert_eq!((network.line, network.pairs().len()), (2, 4));
        assert_eq!(network.get("version").unwrap().text(), Some("2"));
        let items = network.get("list").unwrap().items();
        assert_eq!(items.iter().map(|item| item.text().unwrap()).collect::<String>(), "ab");
        let block = network.get("block").unwrap().items();
        let is_quoted = |node: &Node| matches!(node.value, Value::Scalar { quoted: true, .. });
        assert!(is_quoted(&block[0]) && !is_quoted(&block[1]));
        assert_eq!((block[0].line, block[1].line), (5, 6));
        assert_eq!(network.get("empty").unwrap().text(), Some(""));
        assert!(network.get("nothing").is_none() && network.text().is_none());
    }

    #[test]
    fn the_last_of_a_key_counts_and_aliases_are_resolved() {
        let root = one("a: &x {k: 1}\nb: *x\na: 2\n");
        assert_eq!(root.get("a").unwrap().text(), Some("2"));
        assert_eq!(root.get("b").unwrap().get("k").unwrap().text(), Some("1"));
        assert_eq!(parse(b"").unwrap(), []);
        assert_eq!(parse(b"# nothing\n").unwrap(), []);
        assert_eq!(parse(b"---\na: 1\n---\nb: 2\n").unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_yaml_is_refused_with_its_line() {
        for (text, wanted) in [
            (&b"a: 1\nb: [1, 2\n"[..], 3),
            (b"a: 1\n b: 2\n", 2),
            (b"a: 1\nb: \xff\n", 2),
            (b"a: &x [*x]\n", 1),
            (b"a: *x\n", 1),
            (b"\xff\xfea\0:\0", 1),
        ] {
            match parse(text) {
                Err(Refused::Syntax { line, said }) => {
                    assert!(line.abs_diff(wanted) <= 1 && !said.is_empty(), "{line} {said}");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn hostile_texts_meet_a_bound() {
        let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        let mut chain = String::from("b0: &b0 [x]\n");
        for n in 1..100 {
            let list = vec![format!("*a{}", n - 1); 9].join(", ");
            laughs += &format!("a{n}: &a{n} [{list}]\n");
            chain += &format!("b{n}: &b{n} [*b{}]\n", n - 1);
        }
        let long = format!("a: &a {}\nb: [{}]", "x".repeat(1 << 19), "*a, ".repeat(1000));
        let mut nested = String::new();
        for n in 0..500 {
            nested += &format!("{}a:\n", " ".repeat(n));
        }
        let many = "- x\n".repeat(1 << 18);
        for text in [laughs, chain, long, nested, many] {
            let refused = parse(text.as_bytes()).unwrap_err();
            assert!(matches!(refused, Refused::Limit(_)), "{refused:?}");
        }
        // The parser has a bound of its own for these.
        for text in ["[".repeat(1 << 20), "{a: ".repeat(1 << 18)] {
            assert!(parse(text.as_bytes()).is_err());
        }
        for text in ["? ", "- ", "&a ", "*a ", "!a ", "a: b: ", "\"\\", "| ", ": ", ", ", "%", "\t"]
        {
            let text = text.repeat((1 << 20) / text.len());
            let _ = parse(text.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[-a:?*&!|>'\"%#{}\\[\\], \n\t]{0,60}") {
            let _ = parse(text.as_bytes());
        }
    }
}
