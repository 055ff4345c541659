//! The documents of S3: small trees of names and texts.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::uploads::Part;

/// Elements within elements; those of S3 are five deep.
const DEEPEST: usize = 16;

/// Elements of a document; a list of 1000 objects has about 10,000.
const MOST: usize = 200_000;

/// An element: others, or text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    text: String,
    children: Vec<Element>,
}

/// A document is its outermost element.
pub(super) type Document = Element;

impl Element {
    pub(super) fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of this name.
    pub(super) fn text<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.children(name).next().map(|child| child.text.trim())
    }

    /// The texts of all elements at the end of a way of names.
    pub(super) fn all(&self, way: &[&str]) -> Vec<&str> {
        match way {
            [] => vec![self.text.trim()],
            [name, rest @ ..] => {
                let children = self.children.iter().filter(|child| child.name == *name);
                children.flat_map(|child| child.all(rest)).collect()
            }
        }
    }
}

/// Reads a document. Names are without their prefixes; of entities only those of XML itself are known.
pub(super) fn parse(body: &[u8]) -> Result<Document, String> {
    let text = std::str::from_utf8(body).map_err(|_| "it is not UTF-8".to_owned())?;
    let fail = |why: &dyn std::fmt::Display| format!("it is not XML: {why}");
    let mut reader = Reader::from_str(text);
    // The outermost is a container for the one element of the document.
    let mut open = vec![Element::default()];
    let mut count = 0;
    loop {
        let event = reader.read_event().map_err(|e| fail(&e))?;
        let (start, empty) = match &event {
            Event::Start(start) => (Some(start), false),
            Event::Empty(start) => (Some(start), true),
            _ => (None, false),
        };
        if let Some(start) = start {
            count += 1;
            if open.len() > DEEPEST || count > MOST {
                return Err("it is larger than any document of S3".into());
            }
            let name = start.local_name().as_ref().to_owned();
            open.push(Element { name, ..Element::default() });
        }
        let text = match &event {
            Event::Text(text) => text.to_string(),
            Event::CData(text) => text.to_string(),
            Event::GeneralRef(name) => reference(name)?.into(),
            _ => String::new(),
        };
        if let Some(element) = open.last_mut() {
            element.text.push_str(&text);
        }
        if (empty || matches!(event, Event::End(_)))
            && let Some(element) = open.pop()
            && let Some(outer) = open.last_mut()
        {
            outer.children.push(element);
        }
        if matches!(event, Event::Eof) {
            break;
        }
    }
    let mut outermost = open.pop().unwrap_or_default();
    match (open.is_empty(), outermost.children.pop()) {
        (true, Some(document)) if outermost.children.is_empty() => Ok(document),
        _ => Err("it is not one whole document".into()),
    }
}

/// The character that an entity stands for.
fn reference(entity: &quick_xml::events::BytesRef<'_>) -> Result<char, String> {
    if let Some(c) = entity.resolve_char_ref().map_err(|e| e.to_string())? {
        return Ok(c);
    }
    match &**entity {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err("it has an entity that S3 does not know".into()),
    }
}

/// What a server says when it refuses.
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) request_id: Option<String>,
    pub(super) region: Option<String>,
    /// Where to ask instead.
    pub(super) endpoint: Option<String>,
}

/// The refusal that a body is, if it is one.
pub(super) fn refusal(body: &[u8]) -> Option<Refusal> {
    let document = parse(body).ok().filter(|document| document.name == "Error")?;
    let text = |name| document.text(name).filter(|text| !text.is_empty()).map(str::to_owned);
    Some(Refusal {
        code: text("Code").unwrap_or_default(),
        message: text("Message").unwrap_or_default(),
        request_id: text("RequestId"),
        region: text("Region"),
        endpoint: text("Endpoint"),
    })
}

/// What completes an upload.
pub(super) fn complete(parts: &[Part]) -> String {
    let parts: String = parts
        .iter()
        .map(|part| {
            let etag = quick_xml::escape::escape(part.etag.as_str());
            format!(
                "<Part><PartNumber>{}</PartNumber><ETag>&quot;{etag}&quot;</ETag></Part>",
                part.number
            )
        })
        .collect();
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_trees() {
        let body = b"<?xml version=\"1.0\"?>\n<a:R xmlns:a='x'><K> v &amp;&#x41;&quot; </K><E/><L><I>1</I></L><L><I>2</I></L></a:R>\n";
        let document = parse(body).unwrap();
        assert_eq!(document.name, "R");
        assert_eq!(document.text("K"), Some("v &A\""));
        assert_eq!(document.text("E"), Some(""));
        assert_eq!(document.all(&["L", "I"]), ["1", "2"]);
    }

    #[test]
    fn what_is_hostile_is_refused() {
        let deep = "<a>".repeat(100_000);
        let bomb = "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>";
        for bad in ["", "x", "<a>", "<a></b>", "<a/><b/>", &deep, bomb, "</a>", "{\"a\":1}"] {
            assert!(parse(bad.as_bytes()).is_err(), "{}", &bad[..bad.len().min(40)]);
        }
        assert!(parse(b"<a>\xff</a>").is_err());
        let wide = format!("<a>{}</a>", "<b/>".repeat(MOST));
        assert!(parse(wide.as_bytes()).is_err());
    }

    #[test]
    fn refusals_have_codes() {
        let said = refusal(b"<Error><Code>SlowDown</Code><Message>no</Message></Error>").unwrap();
        assert_eq!((said.code.as_str(), said.message.as_str()), ("SlowDown", "no"));
        assert!(refusal(b"<Fine/>").is_none() && refusal(b"").is_none());
    }
}
