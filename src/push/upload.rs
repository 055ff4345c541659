//! The parts of an upload on their way to the bucket, several at once.

use std::collections::BTreeMap;

use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;

use super::event::Event;
use super::parts::{Cut, Home};
use super::world::{Cancel, World};
use crate::spaces::{Bucket, Error, Part, PartNumber, Upload};

/// How parts are sent.
pub(super) struct Sending<'a> {
    pub(super) world: &'a World,
    pub(super) bucket: &'a Bucket,
    pub(super) upload: &'a Upload,
    /// Parts on their way at once.
    pub(super) at_once: usize,
    /// Bytes of the file, where they are known.
    pub(super) total: Option<u64>,
    /// Parts that have arrived before, by number.
    pub(super) there: BTreeMap<PartNumber, Part>,
}

/// Why an upload ended before its end.
pub(super) enum Broken {
    /// The push is to end.
    Cancelled,
    /// There are more parts than an object can have.
    TooMany,
    /// The bucket refused or failed.
    Bucket(Error),
}

impl Sending<'_> {
    /// Sends all parts that come, unless the push is to end. However it ends, no part is on its way then: what is under
    /// way would come after the end of the upload.
    pub(super) async fn run(
        self,
        cuts: Receiver<Cut>,
        home: Home,
        cancel: &Cancel,
    ) -> Result<Vec<Part>, Broken> {
        let mut sending = JoinSet::new();
        let sent = cancel.unless(self.send(cuts, &home, &mut sending)).await;
        sending.shutdown().await;
        sent.unwrap_or(Err(Broken::Cancelled))
    }

    async fn send(
        &self,
        mut cuts: Receiver<Cut>,
        home: &Home,
        sending: &mut JoinSet<Result<Part, Error>>,
    ) -> Result<Vec<Part>, Broken> {
        let mut parts: Vec<Part> = Vec::new();
        let mut arrived = 0;
        loop {
            let part = tokio::select! {
                cut = cuts.recv(), if sending.len() < self.at_once => match cut {
                    Some(cut) => {
                        self.begin(cut, home, sending)?;
                        continue;
                    }
                    None => break,
                },
                Some(done) = sending.join_next() => finished(done)?,
            };
            self.count(part, &mut parts, &mut arrived);
        }
        while let Some(done) = sending.join_next().await {
            self.count(finished(done)?, &mut parts, &mut arrived);
        }
        parts.sort_by_key(|part| part.number);
        Ok(parts)
    }

    fn count(&self, part: Part, parts: &mut Vec<Part>, arrived: &mut u64) {
        *arrived += part.size;
        parts.push(part);
        self.world.tell(&Event::Uploaded { bytes: *arrived, total: self.total });
    }

    /// Sends a part, unless it is there already.
    fn begin(
        &self,
        cut: Cut,
        home: &Home,
        sending: &mut JoinSet<Result<Part, Error>>,
    ) -> Result<(), Broken> {
        let number = u16::try_from(cut.number).ok().and_then(PartNumber::new);
        let number = number.ok_or(Broken::TooMany)?;
        let size = cut.body.size();
        let there = self.there.get(&number).filter(|there| there.size == size).cloned();
        let (bucket, upload, home) = (self.bucket.clone(), self.upload.clone(), home.clone());
        sending.spawn(async move {
            let part = match there {
                Some(there) if there.etag == cut.body.etag().await => there,
                _ => {
                    let etag = bucket.put_part(&upload, number, &cut.body).await?;
                    Part { number, size, etag }
                }
            };
            home.take(cut.body);
            Ok(part)
        });
        Ok(())
    }
}

fn finished(done: Result<Result<Part, Error>, tokio::task::JoinError>) -> Result<Part, Broken> {
    match done {
        Ok(result) => result.map_err(Broken::Bucket),
        // Nobody ends one of the tasks alone, so this one panicked.
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}
