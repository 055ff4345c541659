use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use tokio::sync::SetOnce;

use super::names::ETag;
use crate::bytes::hex;

/// Bodies whose MD5s are made together: so many it takes for vectors to be of use.
const TOGETHER: usize = 4;

/// What is sent, with its digests. Its SHA-256 goes along, so that the server can hold it against what arrived;
/// its MD5 is held against the ETag of the answer.
#[derive(Clone)]
pub struct Body {
    bytes: Bytes,
    sha256: [u8; 32],
    md5: Arc<SetOnce<Digest16>>,
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

    /// The ETag of a part with these bytes, where the server makes it of their MD5. What came out of a
    /// [`Digester`] waits for it.
    pub async fn etag(&self) -> ETag {
        self.md5().await.etag()
    }

    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(super) async fn md5(&self) -> Digest16 {
        *self.md5.wait().await
    }

    pub(super) fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        let md5 = Arc::new(SetOnce::new_with(Some(Digest16::of(&bytes))));
        Body { sha256: Sha256::digest(&bytes).into(), bytes, md5 }
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
    sha256: Sha256,
}

impl Filling {
    /// Fills a buffer from its beginning, once it has room for so many bytes.
    #[must_use]
    pub fn new(mut buffer: BytesMut, room: usize) -> Filling {
        buffer.clear();
        buffer.reserve(room);
        Filling { buffer, sha256: Sha256::new() }
    }

    /// How many bytes there are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.buffer.len()
    }

    /// Takes more.
    pub fn take(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.buffer.extend_from_slice(bytes);
    }
}

/// Makes bodies of what was filled, and their MD5s together: MD5 waits for itself most of the time, so that four at
/// once take about a third of the time that they take one after another. Nobody needs one before its body has arrived.
pub struct Digester {
    together: usize,
    owed: Owed,
}

impl Digester {
    /// Lets no more than `most` bodies wait for each other.
    #[must_use]
    pub fn new(most: usize) -> Digester {
        Digester { together: most.min(TOGETHER), owed: Owed::default() }
    }

    /// The body of what was filled. Its MD5 is there soon after enough others have come, or this has gone away.
    #[must_use]
    pub fn body(&mut self, filled: Filling) -> Body {
        let bytes = filled.buffer.freeze();
        let md5 = Arc::new(SetOnce::new());
        self.owed.0.push((bytes.clone(), Arc::clone(&md5)));
        if self.owed.0.len() >= self.together {
            let owed = std::mem::take(&mut self.owed);
            // Whoever fills has other things to do. If there is no thread to be had, it is done here.
            let _ = std::thread::Builder::new().name("md5".into()).spawn(move || drop(owed));
        }
        Body { bytes, sha256: filled.sha256.finalize().into(), md5 }
    }
}

/// Bodies that have no MD5 yet. They get it when this goes away, since somebody may wait for it.
#[derive(Default)]
struct Owed(Vec<(Bytes, Arc<SetOnce<Digest16>>)>);

impl Drop for Owed {
    fn drop(&mut self) {
        let mut bodies: Vec<&[u8]> = self.0.iter().map(|(bytes, _)| &bytes[..]).collect();
        let alike = bodies.iter().take_while(|bytes| bytes.len() == bodies[0].len()).count();
        // Of fewer it makes one after another; the first one again, in the room that is left, costs nothing.
        let again = if alike > 1 { TOGETHER.saturating_sub(alike) } else { 0 };
        for _ in 0..again {
            bodies.insert(0, bodies[0]);
        }
        let mut digests = vec![[0; 16]; bodies.len()];
        md5_simd::md5_many(&bodies, &mut digests);
        for ((bytes, md5), digest) in self.0.drain(..).zip(digests.into_iter().skip(again)) {
            // Whoever hears of the digest may want the buffer for himself.
            drop(bytes);
            // Nobody else sets it.
            let _ = md5.set(Digest16(digest));
        }
    }
}

/// The MD5 of what is sent: it finds what was damaged on the way, and keeps out nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest16([u8; 16]);

impl Digest16 {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Digest16(md5_simd::digest(bytes))
    }

    pub(super) fn etag(self) -> ETag {
        ETag::new(&hex(&self.0))
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
    }

    fn filled(pieces: &[&[u8]]) -> Filling {
        let mut filling = Filling::new(BytesMut::from(&b"of another part"[..]), 5);
        pieces.iter().for_each(|piece| filling.take(piece));
        filling
    }

    fn etag(body: &Body) -> ETag {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(body.etag())
    }

    #[test]
    fn what_is_filled_piece_by_piece_has_the_digest_of_the_whole() {
        let filling = filled(&[b"hel", b"", b"lo"]);
        assert_eq!(filling.size(), 5);
        let (filled, whole) =
            (Digester::new(1).body(filling), Body::from(Bytes::from_static(b"hello")));
        assert_eq!((etag(&filled), filled.size()), (etag(&whole), 5));
        assert_eq!(filled.sha256(), whole.sha256());
        assert_eq!(filled.into_bytes(), whole.into_bytes());
    }

    #[test]
    fn md5s_are_made_together() {
        let texts: [&[u8]; 5] = [b"one", &[7; 1000], b"", &[8; 1000], b"five"];
        let mut digester = Digester::new(9);
        let owed = |bodies: &[Body]| bodies.iter().filter(|body| body.md5.get().is_none()).count();
        let mut bodies: Vec<Body> =
            texts[..3].iter().map(|text| digester.body(filled(&[text]))).collect();
        assert_eq!(owed(&bodies), 3);
        bodies.push(digester.body(filled(&[texts[3]])));
        let etags: Vec<ETag> = bodies.iter().map(etag).collect();
        assert_eq!(etags, texts[..4].iter().map(|text| ETag::of(text)).collect::<Vec<_>>());
        bodies.extend([1, 3, 4].map(|text| digester.body(filled(&[texts[text]]))));
        assert_eq!(owed(&bodies), 3);
        drop(digester);
        assert_eq!(
            [4, 5, 6].map(|body| etag(&bodies[body])),
            [1, 3, 4].map(|text| ETag::of(texts[text]))
        );
        // The buffers are theirs alone again.
        assert!(bodies.into_iter().all(|body| body.into_bytes().try_into_mut().is_ok()));
    }
}
