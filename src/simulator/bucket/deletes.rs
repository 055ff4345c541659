//! Many objects deleted by one request.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::Bucket;
use super::problem::{BAD_XML, Problem};
use super::serve::{Outcome, document};
use super::xml::{Xml, character};

/// The most keys of one request; S3's own limit.
const MOST: usize = 1000;

/// `DeleteObjects`: what it names is not there afterwards, whether it was or not.
pub(super) fn objects(bucket: &Bucket, body: &[u8]) -> Outcome {
    let malformed = || Problem::of(BAD_XML);
    let body = std::str::from_utf8(body).map_err(|_| malformed())?;
    let asked = asked(body).ok_or_else(malformed)?;
    if asked.keys.is_empty() || asked.keys.len() > MOST {
        return Err(malformed());
    }
    let mut contents = bucket.there()?;
    let mut xml = Xml::answer("DeleteResult");
    for key in &asked.keys {
        contents.delete(key, None)?;
        if !asked.quiet {
            xml.open("Deleted").text("Key", key).close("Deleted");
        }
    }
    Ok(document(200, xml.close("DeleteResult").finish()))
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    keys: Vec<String>,
    /// Whether only what went wrong is answered.
    quiet: bool,
}

/// What a body asks for; `None` if it is no such document.
fn asked(body: &str) -> Option<Asked> {
    let mut reader = Reader::from_str(body);
    let (mut path, mut text, mut asked) = (Vec::new(), String::new(), Asked::default());
    let mut ended = false;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                // Deeper than any such document is.
                if path.len() == 8 || ended {
                    return None;
                }
                path.push(start.local_name().as_ref().to_owned());
                text.clear();
                if path[0] != "Delete" {
                    return None;
                }
            }
            Event::End(_) => {
                let way: Vec<&str> = path.iter().map(String::as_str).collect();
                match way.as_slice() {
                    ["Delete", "Object", "Key"] => asked.keys.push(std::mem::take(&mut text)),
                    ["Delete", "Quiet"] => asked.quiet = text.trim() == "true",
                    // Of versions nothing is deleted here.
                    ["Delete", "Object", "VersionId"] => return None,
                    _ => {}
                }
                path.pop()?;
                ended = path.is_empty();
            }
            Event::Text(more) => text.push_str(&more),
            Event::CData(more) => text.push_str(&more),
            Event::GeneralRef(entity) => text.push_str(&character(&entity)?),
            Event::Eof => return ended.then_some(asked),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_every_spelling() {
        let body = "<?xml version=\"1.0\"?>\n<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Object><Key>a &amp; b</Key></Object>\n <Object><Key><![CDATA[<c>]]></Key><ETag>x</ETag></Object>\
             <Quiet>true</Quiet></Delete>";
        let keys = vec!["a & b".to_owned(), "<c>".to_owned()];
        assert_eq!(asked(body), Some(Asked { keys, quiet: true }));
        for none in [
            "",
            "<Delete>",
            "<Other/>",
            "<Delete/><Delete/>",
            "<Delete><Object><Key>&no;</Key></Object></Delete>",
            "<Delete><Object><Key>a</Key><VersionId>x</VersionId></Object></Delete>",
        ] {
            assert_eq!(asked(none), None, "{none}");
        }
    }
}
