use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tokio::task::JoinHandle;

/// So many bytes are read at once.
const BATCH: u64 = 256 << 10;

/// The body of an answer.
#[derive(Debug)]
pub(in crate::simulator) enum Body {
    /// All of it.
    Whole(Option<Bytes>),
    /// From a file, as it is sent.
    File(Outflow),
}

/// Pieces of a file, one after another.
#[derive(Debug)]
pub(in crate::simulator) struct Outflow {
    file: Arc<File>,
    /// Offsets and lengths; none is empty.
    pieces: VecDeque<(u64, u64)>,
    left: u64,
    reading: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl Body {
    pub(in crate::simulator) fn text(text: String) -> Body {
        Body::Whole(Some(Bytes::from(text)).filter(|bytes| !bytes.is_empty()))
    }

    /// So many bytes of the pieces, from `skip` on.
    pub(super) fn file(file: Arc<File>, pieces: &[(u64, u64)], mut skip: u64, take: u64) -> Body {
        let mut wanted = VecDeque::new();
        let mut left = take;
        for (offset, len) in pieces {
            let skipped = skip.min(*len);
            skip -= skipped;
            let taken = left.min(len - skipped);
            left -= taken;
            if taken > 0 {
                wanted.push_back((offset + skipped, taken));
            }
        }
        Body::File(Outflow { file, pieces: wanted, left: take - left, reading: None })
    }
}

impl Outflow {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            if let Some(reading) = &mut self.reading {
                let read = ready!(Pin::new(reading).poll(context));
                self.reading = None;
                let read = read.unwrap_or_else(|e| Err(io::Error::other(e)));
                return Poll::Ready(Some(read.map(|bytes| {
                    self.left -= bytes.len() as u64;
                    Bytes::from(bytes)
                })));
            }
            let Some((offset, len)) = self.pieces.pop_front() else { return Poll::Ready(None) };
            let now = len.min(BATCH);
            if now < len {
                self.pieces.push_front((offset + now, len - now));
            }
            let file = Arc::clone(&self.file);
            self.reading = Some(tokio::task::spawn_blocking(move || {
                // No longer than BATCH.
                let mut bytes = vec![0; now as usize];
                file.read_exact_at(&mut bytes, offset).map(|()| bytes)
            }));
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Body::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Body::File(outflow) => {
                outflow.poll(context).map(|next| next.map(|read| read.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Body::Whole(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Body::File(outflow) => outflow.left,
        })
    }
}
