use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::{BytesRef, Event};

/// The namespace of S3's documents.
pub(super) const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// An XML document, written from its beginning to its end.
#[derive(Debug)]
pub(super) struct Xml(String);

impl Xml {
    pub(super) fn new() -> Xml {
        Xml("<?xml version=\"1.0\" encoding=\"UTF-8\"?>".to_owned())
    }

    /// The outermost element of an answer.
    pub(super) fn answer(name: &str) -> Xml {
        let mut xml = Xml::new();
        xml.0 += &format!("<{name} xmlns=\"{NAMESPACE}\">");
        xml
    }

    pub(super) fn open(&mut self, name: &str) -> &mut Xml {
        self.0 += &format!("<{name}>");
        self
    }

    pub(super) fn text(&mut self, name: &str, text: &str) -> &mut Xml {
        let text: Cow<'_, str> = escape(text);
        self.0 += &format!("<{name}>{text}</{name}>");
        self
    }

    /// Markup as it is.
    pub(super) fn raw(&mut self, text: &str) -> &mut Xml {
        self.0 += text;
        self
    }

    pub(super) fn close(&mut self, name: &str) -> &mut Xml {
        self.0 += &format!("</{name}>");
        self
    }

    pub(super) fn finish(&mut self) -> String {
        std::mem::take(&mut self.0)
    }
}

/// The parts that the body of a `CompleteMultipartUpload` names: numbers, and ETags without quotes.
/// `None` if it is no such document.
pub(super) fn parts(body: &str) -> Option<Vec<(u32, String)>> {
    let mut reader = Reader::from_str(body);
    let mut parts = Vec::new();
    let (mut path, mut number, mut etag) = (Vec::new(), String::new(), String::new());
    let mut ended = false;
    loop {
        let field = match path.as_slice() {
            [root, part, field] if root == "CompleteMultipartUpload" && part == "Part" => {
                match field {
                    name if name == "PartNumber" => Some(&mut number),
                    name if name == "ETag" => Some(&mut etag),
                    _ => None,
                }
            }
            _ => None,
        };
        match (reader.read_event().ok()?, field) {
            (Event::Start(start), _) => {
                // Deeper than any such document is.
                if path.len() == 8 {
                    return None;
                }
                path.push(start.local_name().as_ref().to_owned());
                if path.len() == 1 && (ended || path != ["CompleteMultipartUpload"]) {
                    return None;
                }
            }
            (Event::End(_), _) => {
                if path.pop()? == "Part" && path.len() == 1 {
                    let etag = std::mem::take(&mut etag);
                    let etag = etag.trim().trim_matches('"').to_owned();
                    parts.push((std::mem::take(&mut number).trim().parse().ok()?, etag));
                }
                ended = path.is_empty();
            }
            (Event::Text(text), Some(field)) => {
                field.push_str(&text);
            }
            (Event::GeneralRef(entity), Some(field)) => field.push_str(&character(&entity)?),
            (Event::Eof, _) => return ended.then_some(parts),
            _ => {}
        }
    }
}

/// What an entity stands for.
pub(super) fn character(entity: &BytesRef<'_>) -> Option<Cow<'static, str>> {
    match entity.resolve_char_ref().ok()? {
        Some(char) => Some(char.to_string().into()),
        None => resolve_predefined_entity(entity).map(Cow::Borrowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_in_every_spelling() {
        let body = "<?xml version=\"1.0\"?>\n<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n\
             <Part><PartNumber>1</PartNumber><ETag>\"aa\"</ETag></Part>\
             <Part>\n <ETag>&quot;bb&#34;</ETag><PartNumber> 2 </PartNumber><ChecksumCRC32>x</ChecksumCRC32></Part>\
             <Part><ETag>cc</ETag><PartNumber>3</PartNumber></Part></CompleteMultipartUpload>\n";
        let expected = [(1, "aa"), (2, "bb"), (3, "cc")].map(|(n, etag)| (n, etag.to_owned()));
        assert_eq!(parts(body).unwrap(), expected);
        assert_eq!(
            parts("<CompleteMultipartUpload></CompleteMultipartUpload>").unwrap(),
            Vec::new()
        );
    }

    #[test]
    fn other_documents_are_none() {
        for body in [
            "",
            "text",
            "<Other/>",
            "<CompleteMultipartUpload>",
            "<CompleteMultipartUpload><Part><ETag>x</ETag></Part></CompleteMultipartUpload>",
            "<CompleteMultipartUpload><Part><PartNumber>x</PartNumber></Part></CompleteMultipartUpload>",
            "<CompleteMultipartUpload><Part><PartNumber>&no;</PartNumber></Part></CompleteMultipartUpload>",
            "<Part><PartNumber>1</PartNumber><ETag>x</ETag></Part>",
        ] {
            assert_eq!(parts(body), None, "{body}");
        }
    }

    #[test]
    fn text_is_escaped() {
        assert!(
            Xml::new()
                .text("Key", "a<b>&\"")
                .finish()
                .ends_with("<Key>a&lt;b&gt;&amp;&quot;</Key>")
        );
    }
}
