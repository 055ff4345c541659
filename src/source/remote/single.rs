//! One connection, from the first byte to the last.
//!
//! What cannot be continued is read anew from its first byte, and what was had before is held against it: all that a
//! reader gets is of one object.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::link::{Given, Link, PROGRESS};
use super::seam::Tail;
use super::served::Pin;
use super::{First, Notify};
use crate::bytes::Chunk;
use crate::net::{Answer, Backoff, Failure, Kind};
use crate::source::Error;

/// Bytes of the object that readers were given, their digest and the last of them, so that they can be held against
/// others.
#[derive(Clone, Default)]
pub(super) struct Taken {
    pub(super) bytes: u64,
    digest: Sha256,
    pub(super) tail: Tail,
}

impl Taken {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.digest.update(bytes);
        self.tail.take(bytes);
    }

    fn is(&self, other: &Taken) -> bool {
        self.bytes == other.bytes
            && self.digest.clone().finalize() == other.digest.clone().finalize()
    }
}

/// Reads by one connection at a time.
pub(super) struct Single<'r> {
    link: &'r Arc<Link>,
    notify: Notify<'r>,
    answer: Option<Answer>,
    backoff: Backoff,
    /// What the connection says of the object.
    pin: Pin,
    /// Bytes of the object that were taken from connections.
    taken: Taken,
    /// Bytes to come that were had before.
    again: u64,
    /// Those of them that came, from the first byte of the object on, if the connection began there.
    anew: Option<Taken>,
    /// Where the connection began to bring something new.
    began: u64,
    /// What came and found no room.
    left: bytes::Bytes,
    ended: bool,
}

impl<'r> Single<'r> {
    pub(super) fn new(link: &'r Arc<Link>, first: First, notify: Notify<'r>) -> Self {
        let mut taken = Taken::default();
        taken.take(&first.bytes);
        let single = Single::after(link, taken, notify);
        Single { answer: first.answer, began: 0, left: first.bytes.into(), ..single }
    }

    /// Goes on after what others have read.
    pub(super) fn after(link: &'r Arc<Link>, taken: Taken, notify: Notify<'r>) -> Self {
        let backoff = Backoff::new(link.client.options().retries);
        Single {
            link,
            notify,
            answer: None,
            backoff,
            pin: link.served.pin.clone(),
            began: taken.bytes,
            taken,
            again: 0,
            anew: None,
            left: bytes::Bytes::new(),
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

    /// Makes a connection that goes on with what is missing.
    async fn connect(&mut self) -> Result<Answer, Failure> {
        let Taken { bytes, tail, .. } = &self.taken;
        let Given { answer, begins, .. } = self.link.rest(&self.pin, tail, *bytes).await?;
        self.again = self.taken.bytes - begins;
        self.began = self.taken.bytes;
        self.anew = (begins == 0).then(Taken::default);
        if begins == 0 {
            self.pin = Pin::of(&answer);
        }
        self.hold()?;
        Ok(answer)
    }

    /// Holds what was had before against what comes again, once all of it has come.
    fn hold(&mut self) -> Result<(), Failure> {
        let Some(anew) = self.anew.take_if(|_| self.again == 0) else { return Ok(()) };
        match anew.is(&self.taken) {
            true => {
                self.link.reads_from(&self.pin);
                Ok(())
            }
            false => {
                let said = "the first bytes of the object are others now";
                Err(Failure::new(Kind::Changed, &self.link.served.address, said))
            }
        }
    }

    /// The next bytes of the connection, which is made if there is none.
    async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, Failure> {
        let mut answer = match self.answer.take() {
            Some(answer) => answer,
            None => self.connect().await?,
        };
        while let Some(mut bytes) = answer.chunk().await? {
            self.link.count(bytes.len());
            let known = self.again.min(bytes.len() as u64);
            if known > 0 {
                let known = bytes::Buf::copy_to_bytes(&mut bytes, known as usize);
                match &mut self.anew {
                    Some(anew) => anew.take(&known),
                    None => self.link.hold(&self.taken.tail, self.again, &known)?,
                }
                self.again -= known.len() as u64;
                self.hold()?;
            }
            if bytes.is_empty() {
                continue;
            }
            self.taken.take(&bytes);
            if let Some(size) = self.link.served.size.filter(|size| self.taken.bytes > *size) {
                let said = format!("the server sends more than the {size} bytes that it announced");
                return Err(Failure::new(Kind::Protocol, &answer.address, said));
            }
            self.answer = Some(answer);
            return Ok(Some(bytes));
        }
        let had = self.taken.bytes - self.again;
        match self.link.served.size {
            Some(size) if had < size => Err(Failure::new(
                Kind::Interrupted,
                &answer.address,
                format!("the server ended after {had} of {size} bytes"),
            )),
            _ if self.again > 0 => Err(Failure::new(
                Kind::Changed,
                &answer.address,
                format!("the object had {} bytes or more, and has {had} now", self.taken.bytes),
            )),
            _ => Ok(None),
        }
    }

    /// Gets ready to go on after a failure, or gives up.
    async fn recover(&mut self, failure: Failure) -> Result<(), Error> {
        let at = self.taken.bytes;
        // Whoever begins anew each time gets little further each time, however much comes.
        let anew = self.again > 0 || !self.link.served.ranges || self.pin.if_range().is_none();
        if !anew && at >= self.began.saturating_add(PROGRESS) {
            self.backoff.succeeded();
        }
        self.anew = None;
        let retry = self.backoff.after(failure).map_err(|e| self.link.error(at, e))?;
        (self.notify)(&retry);
        tokio::time::sleep(retry.wait).await;
        Ok(())
    }

    /// Fills a chunk, unless the object ends before.
    pub(super) fn fill(&mut self, chunk: &mut Chunk) -> Result<(), Error> {
        while !chunk.space().is_empty() && (!self.ended || !self.left.is_empty()) {
            if self.left.is_empty() {
                match self.pull()? {
                    Some(bytes) => self.left = bytes,
                    None => self.ended = true,
                }
                continue;
            }
            let space = chunk.space();
            let count = space.len().min(self.left.len());
            space[..count].copy_from_slice(&self.left[..count]);
            bytes::Buf::advance(&mut self.left, count);
            chunk.grow(count);
        }
        Ok(())
    }

    pub(super) fn is_whole(&self) -> bool {
        !self.link.is_cut()
    }
}
