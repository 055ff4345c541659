use md5_simd::Md5;

use super::contents::{Object, Part, now};
use super::faults::{Corruption, Met};
use super::inflow::Inflow;
use super::objects::{check, length, manner, tagged, versioned};
use super::problem::*;
use super::request::Call;
use super::serve::{Outcome, document, empty};
use super::sign::Payload;
use super::xml::{self, Xml};
use super::{Bucket, NAME};
use crate::bytes::hex;

/// The most parts of an upload; S3's own limit.
const MOST_PARTS: u32 = 10_000;
/// The fewest bytes of a part that is not the last one; S3's own limit.
const SMALLEST_PART: u64 = 5 << 20;

/// `CreateMultipartUpload`.
pub(super) fn create(bucket: &Bucket, call: &Call) -> Outcome {
    let (key, manner) = (call.object()?, manner(call)?);
    let id = bucket.there()?.begin(key, manner)?;
    let mut xml = Xml::answer("InitiateMultipartUploadResult");
    xml.text("Bucket", NAME).text("Key", key).text("UploadId", &id);
    Ok(document(200, xml.close("InitiateMultipartUploadResult").finish()))
}

/// The number of a part, if the request has one that a part can have.
pub(super) fn part_number(call: &Call) -> Option<u32> {
    call.get("partNumber")?.parse().ok().filter(|number| (1..=MOST_PARTS).contains(number))
}

fn upload_id(call: &Call) -> &str {
    call.get("uploadId").unwrap_or_default()
}

/// `UploadPart`. A part that comes again takes the place of the first one.
pub(super) async fn upload(
    bucket: &Bucket,
    call: &Call,
    payload: Payload,
    inflow: &mut Inflow,
    met: &Met,
) -> Outcome {
    let number = part_number(call).ok_or_else(|| {
        Problem::because(INVALID_ARGUMENT, format!("partNumber is from 1 to {MOST_PARTS}"))
    })?;
    if call.headers.contains_key("x-amz-copy-source") {
        return Err(Problem::because(NOT_IMPLEMENTED, "copies are not simulated"));
    }
    let (key, id) = (call.object()?, upload_id(call));
    let (file, offset) = bucket.there()?.place(key, id, length(call)?)?;
    let stored = inflow.store(file, offset, payload, met.corrupts.is_some()).await?;
    check(call, payload, &stored)?;
    let md5 = match met.corrupts {
        Some(Corruption::Told) => stored.stored_md5,
        _ => stored.md5,
    };
    let part = Part { md5, offset, size: stored.size, modified: now() };
    // It may have been completed or aborted while this came.
    let mut contents = bucket.there()?;
    contents.upload(key, id)?.parts.insert(number, part);
    contents.saved()?;
    Ok(tagged(&if met.lies { hex(&md5_simd::digest(&md5)) } else { hex(&md5) }))
}

/// `CompleteMultipartUpload`. Only when it is certain that it succeeds the upload is no more.
pub(super) fn complete(bucket: &Bucket, call: &Call, body: &[u8]) -> Outcome {
    let (key, id) = (call.object()?, upload_id(call));
    let mut contents = bucket.there()?;
    let upload = contents.upload(key, id)?;
    let wanted = std::str::from_utf8(body).ok().and_then(xml::parts);
    let wanted = wanted.filter(|wanted| !wanted.is_empty() && wanted.len() <= MOST_PARTS as usize);
    let wanted = wanted.ok_or_else(|| Problem::of(BAD_XML))?;
    if !wanted.is_sorted_by(|(first, _), (second, _)| first < second) {
        return Err(Problem::of(INVALID_PART_ORDER));
    }
    let (mut pieces, mut size, mut all) = (Vec::new(), 0, Md5::new());
    for (at, (number, etag)) in wanted.iter().enumerate() {
        let part = upload.parts.get(number).filter(|part| hex(&part.md5) == *etag);
        let part = part.ok_or_else(|| Problem::because(INVALID_PART, format!("part {number}")))?;
        if part.size < SMALLEST_PART && at + 1 < wanted.len() {
            return Err(Problem::because(ENTITY_TOO_SMALL, format!("part {number}")));
        }
        pieces.push((part.offset, part.size));
        size += part.size;
        all.update(&part.md5);
    }
    let etag = format!("{}-{}", hex(&all.finalize()), wanted.len());
    let object = Object {
        manner: upload.manner.clone(),
        etag: etag.clone(),
        size,
        modified: now(),
        file: upload.file.clone(),
        pieces,
        version: String::new(),
    };
    contents.uploads.remove(id);
    let version = contents.put(key, object)?;
    let mut xml = Xml::answer("CompleteMultipartUploadResult");
    xml.text("Location", &format!("/{NAME}/{key}")).text("Bucket", NAME).text("Key", key);
    xml.text("ETag", &format!("\"{etag}\""));
    let answer = document(200, xml.close("CompleteMultipartUploadResult").finish());
    Ok(versioned(answer, version.as_deref()))
}

/// `AbortMultipartUpload`.
pub(super) fn abort(bucket: &Bucket, call: &Call) -> Outcome {
    let (key, id) = (call.object()?, upload_id(call));
    let mut contents = bucket.there()?;
    let file = contents.upload(key, id)?.file.clone();
    contents.uploads.remove(id);
    contents.saved()?;
    contents.remove_file(&file);
    Ok(empty(204))
}
