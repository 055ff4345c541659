//! The staged object, read again: whether the bucket has what was sent, whatever it acknowledged.

use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use super::event::Event;
use super::world::World;
use crate::bytes::{Hostile, Pool, Segment, hex};
use crate::inspect;
use crate::net::{Address, Retry};
use crate::source::remote::{Remote, Want};
use crate::source::{self, Read as _};
use crate::spaces::limits::LONGEST_PRESIGNED;
use crate::spaces::{Bucket, Key};

/// Buffers that bytes go through to their digest, and the bytes of each.
const BUFFERS: usize = 2;
const BUFFER: usize = 256 << 10;

/// What a bucket gives out for an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// All of it, and its SHA-256 in hexadecimal.
    Whole { size: u64, sha256: String },
    /// The bucket says another length: nothing was read.
    Said(u64),
    /// More bytes come than were sent: no more were read.
    Longer,
}

impl Found {
    /// What tells it from what was sent, in words.
    pub(super) fn difference(&self, sent: u64, sent_sha256: &str) -> Option<String> {
        Some(match self {
            Found::Whole { size, sha256 } if *size == sent => {
                if sha256 == sent_sha256 {
                    return None;
                }
                format!(
                    "the bucket took what was sent, and the object has other bytes: its SHA-256 is {sha256}, and that of \
                     what was sent {sent_sha256}"
                )
            }
            Found::Whole { size, .. } | Found::Said(size) => {
                format!("the object has {size} bytes in the bucket, and {sent} were sent")
            }
            Found::Longer => format!("the object has more than the {sent} bytes that were sent"),
        })
    }
}

/// Reads an object as its owner, from the first byte to the last, on a thread of its own.
///
/// It is read as any object behind a URL: a request that fails is made again within the retries of the bucket, and
/// reading goes on at the byte where it stopped, by a range of the object with the same ETag. No redirect is followed:
/// bytes from elsewhere prove nothing of the bucket. Whoever does not wait any more ends it at the next bytes.
///
/// # Errors
/// Says why it cannot be read, without the URL.
pub(super) async fn read(
    world: &World,
    bucket: &Bucket,
    key: &Key,
    size: u64,
) -> Result<Found, String> {
    // The URL is a secret: it opens the object for whoever has it. An address shows itself without its query.
    let url = bucket.presigned(key, LONGEST_PRESIGNED)?;
    let reading = Reading {
        world: world.clone(),
        bucket: bucket.clone(),
        url: Address::parse(&url)?,
        shown: format!("{}/{key}", bucket.name()),
        size,
    };
    let (say, said) = oneshot::channel();
    std::thread::spawn(move || {
        let found = reading.all(&|| !say.is_closed());
        // Nobody may want to know any more.
        let _ = say.send(found);
    });
    match said.await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) if matches!(error.kind, source::Kind::Changed) => {
            Err("it changed while it was read, and nobody but this push should write to it".into())
        }
        Ok(Err(error)) => Err(Hostile::message(&inspect::Error::from(&error).message).to_string()),
        Err(_) => Err("nothing was found out".to_owned()),
    }
}

struct Reading {
    world: World,
    bucket: Bucket,
    url: Address,
    /// For people.
    shown: String,
    size: u64,
}

impl Reading {
    /// Reads and digests, as long as somebody waits for it.
    fn all(&self, wanted: &(dyn Fn() -> bool + Sync)) -> Result<Found, source::Error> {
        let retried = |retry: &Retry| {
            if wanted() {
                self.tell(retry);
            }
        };
        let remote = Remote::open(self.bucket.client(), &self.url, Want::All, false, &retried)?;
        if let Some(other) = remote.served().size.filter(|size| *size != self.size) {
            return Ok(Found::Said(other));
        }
        let mut reader = remote.reader(&retried);
        let mut pool = Pool::new(BUFFERS, BUFFER);
        let (mut sha, mut bytes) = (Sha256::new(), 0);
        while let Some(segment) = reader.next(&mut pool)?.filter(|_| wanted()) {
            // Only files have holes: if there were any, the digest would be another one.
            if let Segment::Data(chunk) = &segment {
                sha.update(&chunk[..]);
            }
            bytes += segment.len();
            if bytes > self.size {
                // A server that does not say how much there is may go on without end.
                return Ok(Found::Longer);
            }
            self.world.tell(&Event::ReadBack { bytes, total: self.size });
        }
        Ok(Found::Whole { size: bytes, sha256: hex(&sha.finalize()) })
    }

    fn tell(&self, retry: &Retry) {
        self.world.watch.event(inspect::Event::Retry {
            source: &self.shown,
            attempt: retry.attempt,
            wait: retry.wait,
            said: &retry.said,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_bytes_are_no_difference() {
        let whole = |size, sha256: &str| Found::Whole { size, sha256: sha256.into() };
        let difference = |found: Found| found.difference(7, "aa");
        assert_eq!(difference(whole(7, "aa")), None);
        for (found, text) in [
            (whole(7, "bb"), "SHA-256 is bb"),
            (whole(6, "aa"), "6 bytes"),
            (Found::Said(8), "8 bytes"),
            (Found::Longer, "more than the 7"),
        ] {
            assert!(difference(found).is_some_and(|why| why.contains(text)), "{text}");
        }
    }
}
