use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use md5_simd::Md5;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::blocks::blocks;
use super::problem::{ENTITY_TOO_LARGE, INCOMPLETE_BODY, INTERNAL_ERROR, Problem};
use super::sign::Payload;

/// So many bytes are collected before they are digested and written: each time another thread is woken.
const BATCH: usize = 4 << 20;

/// How long the rest of a refused body is awaited.
const LONGEST_DRAIN: Duration = Duration::from_secs(30);

/// The body of a request, on its way in.
#[derive(Debug)]
pub(super) struct Inflow {
    body: Incoming,
    /// Bytes per second, if it is held back.
    rate: Option<u64>,
    began: Instant,
    taken: u64,
}

/// What is known of a body that was stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    pub(super) size: u64,
    /// Of what came, if it was asked for.
    pub(super) sha256: Option<[u8; 32]>,
    /// Of what came.
    pub(super) md5: [u8; 16],
    /// Of what was written.
    pub(super) stored_md5: [u8; 16],
}

impl Inflow {
    pub(super) fn new(body: Incoming) -> Inflow {
        Inflow { body, rate: None, began: Instant::now(), taken: 0 }
    }

    /// From now on it is read at this pace, in bytes per second.
    pub(super) fn slow(&mut self, rate: u64) {
        (self.rate, self.began, self.taken) = (Some(rate), Instant::now(), 0);
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|_| Problem::of(INCOMPLETE_BODY))?;
            let Ok(data) = frame.into_data() else { continue };
            self.taken += data.len() as u64;
            if let Some(rate) = self.rate {
                let due = Duration::from_secs_f64(self.taken as f64 / rate as f64);
                tokio::time::sleep_until(self.began + due).await;
            }
            return Ok(Some(data));
        }
        Ok(None)
    }

    /// Reads to the end, so that the client hears the answer instead of the end of its connection.
    pub(super) async fn drain(&mut self) {
        self.rate = None;
        let all = async { while let Ok(Some(_)) = self.next().await {} };
        // Whoever sends nothing more has no answer to miss.
        let _ = tokio::time::timeout(LONGEST_DRAIN, all).await;
    }

    /// All of a small body.
    pub(super) async fn all(&mut self, most: usize) -> Result<Vec<u8>, Problem> {
        let mut all = Vec::new();
        while let Some(data) = self.next().await? {
            if all.len() + data.len() > most {
                return Err(Problem::of(ENTITY_TOO_LARGE));
            }
            all.extend_from_slice(&data);
        }
        Ok(all)
    }

    /// Writes all of it into the file from this offset on; with `corrupt`, another first byte.
    pub(super) async fn store(
        &mut self,
        file: Arc<File>,
        offset: u64,
        payload: Payload,
        corrupt: bool,
    ) -> Result<Stored, Problem> {
        let failed = |why: String| Problem::because(INTERNAL_ERROR, why);
        let mut sink = Sink::new(file, offset, payload, corrupt);
        let mut batch = Vec::new();
        let mut collected = 0;
        loop {
            let data = self.next().await?;
            let last = data.is_none();
            collected += data.as_ref().map_or(0, Bytes::len);
            batch.extend(data);
            if !last && collected < BATCH {
                continue;
            }
            // Digests and the disk take longer than a thread of the network may be kept.
            let work = tokio::task::spawn_blocking(move || sink.take(batch));
            let written = work.await.map_err(|e| failed(e.to_string()))?;
            sink = written.map_err(|e| failed(e.to_string()))?;
            (batch, collected) = (Vec::new(), 0);
            if last {
                return Ok(sink.finish());
            }
        }
    }
}

/// Where bytes end: in the file, and in the digests.
struct Sink {
    file: Arc<File>,
    offset: u64,
    size: u64,
    /// If the request says one.
    sha256: Option<Sha256>,
    md5: Md5,
    /// If something else is written than what came.
    stored_md5: Option<Md5>,
}

impl Sink {
    fn new(file: Arc<File>, offset: u64, payload: Payload, corrupt: bool) -> Sink {
        let sha256 = matches!(payload, Payload::Sha256(_)).then(Sha256::new);
        let stored_md5 = corrupt.then(Md5::new);
        Sink { file, offset, size: 0, sha256, md5: Md5::new(), stored_md5 }
    }

    fn take(mut self, batch: Vec<Bytes>) -> std::io::Result<Sink> {
        for bytes in batch {
            match &mut self.sha256 {
                None => self.md5.update(&bytes),
                // Block by block both are done in little more than the time of the slower one.
                Some(sha256) => blocks(self.size, &bytes).for_each(|block| {
                    self.md5.update(block);
                    sha256.update(block);
                }),
            }
            let stored = self.stored(bytes);
            self.file.write_all_at(&stored, self.offset + self.size)?;
            self.size += stored.len() as u64;
        }
        Ok(self)
    }

    /// What is written of what came.
    fn stored(&mut self, bytes: Bytes) -> Bytes {
        let Some(digest) = &mut self.stored_md5 else { return bytes };
        let mut stored = bytes.to_vec();
        if let Some(first) = stored.first_mut().filter(|_| self.size == 0) {
            *first ^= 0xff;
        }
        digest.update(&stored);
        stored.into()
    }

    fn finish(self) -> Stored {
        let md5 = self.md5.finalize();
        Stored {
            size: self.size,
            sha256: self.sha256.map(|sha256| sha256.finalize().into()),
            md5,
            stored_md5: self.stored_md5.map_or(md5, Md5::finalize),
        }
    }
}
