use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use md5::{Digest, Md5};
use sha2::Sha256;

use super::names::ETag;
use crate::bytes::{blocks, hex};

/// What is sent, with its digests: the server holds them against what arrived.
#[derive(Clone)]
pub struct Body {
    bytes: Bytes,
    md5: Digest16,
    sha256: [u8; 32],
}

impl Body {
    /// The bytes; they can be had back once nobody sends them any more.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// How many bytes there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The ETag of a part with these bytes, where the server makes it of their MD5.
    #[must_use]
    pub fn etag(&self) -> ETag {
        self.md5.etag()
    }

    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(super) fn md5(&self) -> Digest16 {
        self.md5
    }

    pub(super) fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        let mut digests = Digests::default();
        digests.take(0, &bytes);
        digests.body(bytes)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.bytes.len())
    }
}

/// A [`Body`] that is being filled. Bytes are digested as they come, while the processor has them at hand.
pub struct Filling {
    buffer: BytesMut,
    digests: Digests,
}

impl Filling {
    /// Fills a buffer from its beginning, once it has room for so many bytes.
    #[must_use]
    pub fn new(mut buffer: BytesMut, room: usize) -> Filling {
        buffer.clear();
        buffer.reserve(room);
        Filling { buffer, digests: Digests::default() }
    }

    /// How many bytes there are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.buffer.len()
    }

    /// Takes more.
    pub fn take(&mut self, bytes: &[u8]) {
        self.digests.take(self.buffer.len() as u64, bytes);
        self.buffer.extend_from_slice(bytes);
    }

    /// The body of all of it.
    #[must_use]
    pub fn done(self) -> Body {
        self.digests.body(self.buffer.freeze())
    }
}

#[derive(Default)]
struct Digests {
    md5: Md5,
    sha256: Sha256,
}

impl Digests {
    /// Takes the bytes that begin at this offset of the body.
    fn take(&mut self, at: u64, bytes: &[u8]) {
        // Each of the two waits for itself most of the time: block by block the processor has both at work,
        // and the second one costs a third of what it costs alone.
        for block in blocks(at, bytes) {
            self.md5.update(block);
            self.sha256.update(block);
        }
    }

    fn body(self, bytes: Bytes) -> Body {
        let md5 = Digest16(self.md5.finalize().into());
        Body { bytes, md5, sha256: self.sha256.finalize().into() }
    }
}

/// The MD5 of what is sent: it finds what was damaged on the way, and keeps out nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest16([u8; 16]);

impl Digest16 {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Digest16(Md5::digest(bytes).into())
    }

    pub(super) fn etag(self) -> ETag {
        ETag::new(&hex(&self.0))
    }

    /// For `Content-MD5`.
    pub(super) fn base64(self) -> String {
        STANDARD.encode(self.0)
    }

    /// Whether an ETag says something else.
    pub(super) fn differs_from(self, etag: &ETag) -> bool {
        etag.md5().is_some_and(|said| said != self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_held_against_etags() {
        let hello = ETag::new("\"5D41402ABC4B2A76B9719D911017C592\"");
        assert!(!Digest16::of(b"hello").differs_from(&hello));
        assert!(Digest16::of(b"hullo").differs_from(&hello));
        // One of another making proves nothing.
        assert!(!Digest16::of(b"hello").differs_from(&ETag::new("\"abc-2\"")));
        assert_eq!(Digest16::of(b"hello").base64(), "XUFAKrxLKna5cZ2REBfFkg==");
    }

    #[test]
    fn what_is_filled_piece_by_piece_has_the_digest_of_the_whole() {
        let mut filling = Filling::new(BytesMut::from(&b"of another part"[..]), 5);
        filling.take(b"hel");
        filling.take(b"");
        filling.take(b"lo");
        assert_eq!(filling.size(), 5);
        let (filled, whole) = (filling.done(), Body::from(Bytes::from_static(b"hello")));
        assert_eq!((filled.etag(), filled.size()), (whole.etag(), 5));
        assert_eq!(filled.into_bytes(), whole.into_bytes());
    }
}
