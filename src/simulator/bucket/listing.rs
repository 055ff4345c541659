//! Lists of objects, in both versions of the request.

use super::Bucket;
use super::NAME;
use super::contents::Object;
use super::lists::{Asked, page};
use super::problem::{INVALID_ARGUMENT, Problem};
use super::request::{Call, unhex};
use super::serve::{Outcome, document};
use super::xml::Xml;
use crate::bytes::hex;
use crate::simulator::clock;

/// An entry of a list.
enum Entry<'a> {
    Object(&'a str, &'a Object),
    /// What several keys begin with, up to the delimiter.
    Common(&'a str),
}

impl<'a> Entry<'a> {
    fn name(&self) -> &'a str {
        match self {
            Entry::Object(name, _) | Entry::Common(name) => name,
        }
    }
}

/// `ListObjects` and `ListObjectsV2`. The token of a page is the last entry of the one before.
pub(super) fn objects(bucket: &Bucket, call: &Call) -> Outcome {
    let second = call.get("list-type").is_some();
    let asked = Asked::of(call, "max-keys")?;
    let token = call.get("continuation-token");
    let token_of = token.map(untoken).transpose()?;
    let after = match second {
        true => token_of.as_deref().or(call.get("start-after")),
        false => call.get("marker"),
    };
    let after = after.unwrap_or_default();
    let delimiter = call.get("delimiter").unwrap_or_default();
    let contents = bucket.there()?;
    let objects = contents.objects.iter().map(|(key, object)| (key.as_str(), object));
    let (listed, truncated) = page(entries(objects, asked.prefix, delimiter, after), asked.most);

    let mut xml = Xml::answer("ListBucketResult");
    xml.text("Name", NAME).text("Prefix", &asked.key(asked.prefix));
    asked.begin(&mut xml, "MaxKeys", truncated);
    if !delimiter.is_empty() {
        xml.text("Delimiter", &asked.key(delimiter));
    }
    let last = listed.last().map(Entry::name).filter(|_| truncated);
    match second {
        true => {
            xml.text("KeyCount", &listed.len().to_string());
            if let Some(token) = token {
                xml.text("ContinuationToken", token);
            }
            if let Some(last) = last {
                xml.text("NextContinuationToken", &hex(last.as_bytes()));
            }
        }
        false => {
            xml.text("Marker", &asked.key(after));
            if let Some(last) = last {
                xml.text("NextMarker", &asked.key(last));
            }
        }
    }
    for entry in &listed {
        if let Entry::Object(key, object) = entry {
            xml.open("Contents").text("Key", &asked.key(key));
            xml.text("LastModified", &clock::written(object.modified));
            xml.text("ETag", &format!("\"{}\"", object.etag));
            xml.text("Size", &object.size.to_string());
            if !second {
                xml.open("Owner").text("ID", "1").text("DisplayName", "simulator").close("Owner");
            }
            xml.text("StorageClass", "STANDARD").close("Contents");
        }
    }
    for entry in &listed {
        if let Entry::Common(prefix) = entry {
            xml.open("CommonPrefixes").text("Prefix", &asked.key(prefix)).close("CommonPrefixes");
        }
    }
    Ok(document(200, xml.close("ListBucketResult").finish()))
}

/// What is listed behind an entry. Keys that are alike up to the delimiter behind the prefix are one.
fn entries<'a>(
    objects: impl Iterator<Item = (&'a str, &'a Object)>,
    prefix: &str,
    delimiter: &str,
    after: &str,
) -> impl Iterator<Item = Entry<'a>> {
    let mut before: Option<&str> = None;
    objects.filter(move |(key, _)| key.starts_with(prefix) && *key > after).filter_map(
        move |(key, object)| {
            let at = key[prefix.len()..].find(delimiter).filter(|_| !delimiter.is_empty());
            let Some(at) = at else { return Some(Entry::Object(key, object)) };
            let common = &key[..prefix.len() + at + delimiter.len()];
            // It was the last of the page before, or is listed already.
            if common == after || before == Some(common) {
                return None;
            }
            before = Some(common);
            Some(Entry::Common(common))
        },
    )
}

/// The entry of a token: tokens are taken as they are given, and nothing else.
fn untoken(token: &str) -> Result<String, Problem> {
    unhex(token)
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| Problem::because(INVALID_ARGUMENT, "continuation-token"))
}
