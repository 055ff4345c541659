use super::contents::Contents;
use super::problem::{INVALID_ARGUMENT, Problem};
use super::request::{Call, encode};
use super::serve::{Outcome, document};
use super::xml::Xml;
use super::{Bucket, NAME, REGION};
use crate::bytes::hex;
use crate::simulator::clock;

/// The most entries of one list; S3's own limit.
const MOST: usize = 1000;

/// `ListBuckets`.
pub(super) fn buckets(bucket: &Bucket) -> Outcome {
    let mut xml = Xml::answer("ListAllMyBucketsResult");
    xml.open("Owner").text("ID", "1").text("DisplayName", "simulator").close("Owner");
    xml.open("Buckets");
    if !bucket.contents().vanished {
        let created = &bucket.root.created_at;
        xml.open("Bucket").text("Name", NAME).text("CreationDate", created);
        xml.text("BucketRegion", REGION).close("Bucket");
    }
    Ok(document(200, xml.close("Buckets").close("ListAllMyBucketsResult").finish()))
}

/// How a request wants its list.
pub(super) struct Asked<'a> {
    pub(super) prefix: &'a str,
    pub(super) most: usize,
    /// Whether keys are written as in URLs.
    encoded: bool,
}

impl<'a> Asked<'a> {
    pub(super) fn of(call: &'a Call, most: &str) -> Result<Asked<'a>, Problem> {
        let wrong = |name: &str| Problem::because(INVALID_ARGUMENT, name.to_owned());
        let encoded = match call.get("encoding-type") {
            None | Some("") => false,
            Some("url") => true,
            Some(_) => return Err(wrong("encoding-type")),
        };
        let most = match call.get(most) {
            None => MOST,
            Some(number) => number.parse::<usize>().map_err(|_| wrong(most))?.min(MOST),
        };
        Ok(Asked { prefix: call.get("prefix").unwrap_or_default(), most, encoded })
    }

    pub(super) fn key(&self, key: &str) -> String {
        if self.encoded { encode(key.as_bytes(), b"/") } else { key.to_owned() }
    }

    pub(super) fn begin(&self, xml: &mut Xml, most: &str, truncated: bool) {
        xml.text(most, &self.most.to_string()).text("IsTruncated", &truncated.to_string());
        if self.encoded {
            xml.text("EncodingType", "url");
        }
    }
}

/// `ListMultipartUploads`, by key and then by id.
pub(super) fn uploads(bucket: &Bucket, call: &Call) -> Outcome {
    let asked = Asked::of(call, "max-uploads")?;
    let contents = bucket.there()?;
    let marker = call.get("key-marker").unwrap_or_default();
    // Without a marker of uploads, the key of the marker is not listed any more.
    let after = |key: &str, id: &str| match call.get("upload-id-marker") {
        Some(upload) if !upload.is_empty() => (key, id) > (marker, upload),
        _ => key > marker,
    };
    let mut all: Vec<_> =
        contents.uploads.iter().map(|(id, upload)| (&upload.key, id, upload)).collect();
    all.sort_by_key(|(key, id, _)| (*key, *id));
    let wanted =
        all.into_iter().filter(|(key, id, _)| key.starts_with(asked.prefix) && after(key, id));
    let (listed, truncated) = page(wanted, asked.most);
    let mut xml = Xml::answer("ListMultipartUploadsResult");
    xml.text("Bucket", NAME).text("Prefix", &asked.key(asked.prefix));
    xml.text("KeyMarker", &asked.key(marker));
    xml.text("UploadIdMarker", call.get("upload-id-marker").unwrap_or_default());
    asked.begin(&mut xml, "MaxUploads", truncated);
    if let Some((key, id, _)) = listed.last().filter(|_| truncated) {
        xml.text("NextKeyMarker", &asked.key(key)).text("NextUploadIdMarker", id);
    }
    for (key, id, upload) in listed {
        xml.open("Upload").text("Key", &asked.key(key)).text("UploadId", id);
        xml.text("StorageClass", "STANDARD");
        xml.text("Initiated", &clock::written(upload.initiated)).close("Upload");
    }
    Ok(document(200, xml.close("ListMultipartUploadsResult").finish()))
}

/// `ListParts`.
pub(super) fn parts(bucket: &Bucket, call: &Call) -> Outcome {
    let asked = Asked::of(call, "max-parts")?;
    let marker = match call.get("part-number-marker") {
        None | Some("") => 0,
        Some(number) => {
            number.parse().map_err(|_| Problem::because(INVALID_ARGUMENT, "part-number-marker"))?
        }
    };
    let (key, id) = (call.object()?, call.get("uploadId").unwrap_or_default());
    let mut contents = bucket.there()?;
    let upload = Contents::upload(&mut contents, key, id)?;
    let wanted = upload.parts.iter().filter(|(number, _)| **number > marker);
    let (listed, truncated) = page(wanted, asked.most);
    let mut xml = Xml::answer("ListPartsResult");
    xml.text("Bucket", NAME).text("Key", &asked.key(key)).text("UploadId", id);
    xml.text("StorageClass", "STANDARD").text("PartNumberMarker", &marker.to_string());
    if let Some((last, _)) = listed.last() {
        xml.text("NextPartNumberMarker", &last.to_string());
    }
    asked.begin(&mut xml, "MaxParts", truncated);
    for (number, part) in listed {
        xml.open("Part").text("PartNumber", &number.to_string());
        xml.text("LastModified", &clock::written(part.modified));
        xml.text("ETag", &format!("\"{}\"", hex(&part.md5)));
        xml.text("Size", &part.size.to_string()).close("Part");
    }
    Ok(document(200, xml.close("ListPartsResult").finish()))
}

/// The first entries, and whether there are more.
pub(super) fn page<T>(all: impl Iterator<Item = T>, most: usize) -> (Vec<T>, bool) {
    let mut listed: Vec<T> = all.take(most + 1).collect();
    let truncated = listed.len() > most;
    listed.truncate(most);
    // A page of nothing leads nowhere.
    let truncated = truncated && most > 0;
    (listed, truncated)
}
