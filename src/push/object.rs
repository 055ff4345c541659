//! The staged object, as everybody sees it.

use std::time::Duration;

use super::event::Step;
use super::stop::Stop;
use crate::bytes::Hostile;
use crate::spaces::{Bucket, Key, Seen};

/// How often an object is looked at until it is public, and the pauses in between: rights need not be
/// everywhere at once.
const LOOKS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(500);

/// Looks at an object as DigitalOcean's importer does: without credentials, by HEAD. It has to answer 200
/// with the object's length.
pub(super) async fn is_public(
    bucket: &Bucket,
    key: &Key,
    size: u64,
    step: Step,
) -> Result<(), Stop> {
    let mut look = 1;
    loop {
        let seen = bucket.head_anonymous(key).await.map_err(Stop::spaces(step))?;
        let Some(why) = unfit(&seen, size) else { return Ok(()) };
        if look == LOOKS {
            return Err(Stop::Bucket { step, why });
        }
        tokio::time::sleep(PAUSE * look).await;
        look += 1;
    }
}

/// Why the importer would not take what it sees.
fn unfit(seen: &Seen, size: u64) -> Option<String> {
    if seen.status != 200 {
        let why = match seen.status {
            401 | 403 => {
                "the bucket was asked to let everybody read the object, and does not; does a policy of the \
                 bucket forbid it, or does the key lack the right to set ACLs?"
            }
            404 => "the object is not where it was put",
            _ => "the importer takes no answer but 200",
        };
        return Some(format!("HEAD without credentials was answered {}: {why}", seen.status));
    }
    if let Some(encoding) = &seen.content_encoding {
        let encoding = Hostile::from(encoding.as_str());
        return Some(format!(
            "the object is served with the encoding {encoding}, so with other bytes"
        ));
    }
    match seen.size {
        Some(seen) if seen == size => None,
        Some(seen) => Some(format!("the object has {seen} bytes there, and {size} were sent")),
        None => Some("the server does not tell the object's length".to_owned()),
    }
}
