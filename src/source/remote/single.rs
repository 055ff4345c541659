//! One connection, from the first byte to the last.

use std::sync::Arc;

use super::link::{Link, PROGRESS};
use super::{First, Notify};
use crate::bytes::{Pool, Segment};
use crate::net::{Answer, Backoff, Failure, Kind};
use crate::source::{Error, Read};

/// Reads by one connection at a time.
pub struct Single<'r> {
    link: &'r Arc<Link>,
    notify: Notify<'r>,
    answer: Option<Answer>,
    backoff: Backoff,
    /// Bytes of the object that were taken from connections.
    at: u64,
    /// Bytes to come that were had before, from a server that begins again.
    again: u64,
    /// Where the connection began.
    began: u64,
    /// What came and found no room.
    left: bytes::Bytes,
    ended: bool,
}

impl<'r> Single<'r> {
    pub(super) fn new(link: &'r Arc<Link>, first: First, notify: Notify<'r>) -> Self {
        let backoff = Backoff::new(link.client.options().retries);
        Single {
            link,
            notify,
            answer: first.answer,
            backoff,
            at: first.bytes.len() as u64,
            again: 0,
            began: 0,
            left: first.bytes.into(),
            ended: false,
        }
    }

    /// The next bytes; none at the end, or when the transfer was cut.
    fn pull(&mut self) -> Result<Option<bytes::Bytes>, Error> {
        let link = Arc::clone(self.link);
        link.client.wait(async {
            tokio::select! {
                bytes = self.receive() => bytes,
                () = link.wake.notified() => Ok(None),
            }
        })
    }

    async fn receive(&mut self) -> Result<Option<bytes::Bytes>, Error> {
        loop {
            if self.link.is_cut() {
                return Ok(None);
            }
            match self.chunk().await {
                Ok(bytes) => return Ok(bytes),
                Err(failure) => self.recover(failure).await?,
            }
        }
    }

    /// The next bytes of the connection, which is made if there is none.
    async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, Failure> {
        if self.answer.is_none() {
            // With nothing to hold it against, only a beginning can be asked for a second time.
            let (answer, from) = self.link.part(self.at, None).await?;
            (self.again, self.began) = (self.at - from, self.at);
            self.answer = Some(answer);
        }
        let Some(answer) = &mut self.answer else { return Ok(None) };
        while let Some(mut bytes) = answer.chunk().await? {
            let known = self.again.min(bytes.len() as u64);
            self.again -= known;
            bytes::Buf::advance(&mut bytes, known as usize);
            if bytes.is_empty() {
                continue;
            }
            self.at += bytes.len() as u64;
            self.link.count(bytes.len());
            return match self.link.served.size {
                Some(size) if self.at > size => Err(Failure::new(
                    Kind::Protocol,
                    &answer.address,
                    format!("the server sends more than the {size} bytes that it announced"),
                )),
                _ => Ok(Some(bytes)),
            };
        }
        match self.link.served.size {
            Some(size) if self.at < size => Err(Failure::new(
                Kind::Interrupted,
                &answer.address,
                format!("the server ended after {} of {size} bytes", self.at),
            )),
            _ => Ok(None),
        }
    }

    /// Gets ready to go on after a failure, or gives up.
    async fn recover(&mut self, failure: Failure) -> Result<(), Error> {
        self.answer = None;
        let pinned = self.link.served.ranges && self.link.served.pin.if_range().is_some();
        if self.at > 0 && !pinned && self.link.served.pin.strong().is_none() {
            let said = format!(
                "{}; the server gives nothing by which the rest could be asked for",
                failure.said
            );
            return Err(self.link.error(self.at, Failure { said, ..failure }));
        }
        if self.at >= self.began.saturating_add(PROGRESS) {
            self.backoff.succeeded();
        }
        let retry = self.backoff.after(failure).map_err(|e| self.link.error(self.at, e))?;
        (self.notify)(&retry);
        tokio::time::sleep(retry.wait).await;
        Ok(())
    }
}

impl Read for Single<'_> {
    fn next(&mut self, pool: &mut Pool) -> Result<Option<Segment>, Error> {
        if self.ended && self.left.is_empty() {
            return Ok(None);
        }
        let mut chunk = pool.take();
        while !chunk.space().is_empty() {
            if self.left.is_empty() {
                match self.pull()? {
                    Some(bytes) => self.left = bytes,
                    None => {
                        self.ended = true;
                        break;
                    }
                }
            }
            let space = chunk.space();
            let count = space.len().min(self.left.len());
            space[..count].copy_from_slice(&self.left[..count]);
            bytes::Buf::advance(&mut self.left, count);
            chunk.grow(count);
        }
        Ok((!chunk.is_empty()).then(|| Segment::Data(Arc::new(chunk))))
    }

    fn is_whole(&self) -> bool {
        !self.link.is_cut()
    }
}
