//! What all readers of an object share: how a part of it is asked for, and what an answer has to be.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue, IF_RANGE, RANGE};

use super::served::{ContentRange, Pin, Served, length};
use crate::net::{Address, Answer, Backoff, Client, Failure, Kind, Retry};
use crate::source::Error;

/// So much in one go is progress: a server that cuts earlier, again and again, is given up.
pub(super) const PROGRESS: u64 = 64 << 10;

/// What everybody shares who reads the object.
pub(super) struct Link {
    pub(super) client: Arc<Client>,
    pub(super) served: Served,
    pub(super) transferred: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) cut: AtomicBool,
    /// Wakes whoever waits for the network when the transfer is cut.
    pub(super) wake: tokio::sync::Notify,
}

impl Link {
    pub(super) fn new(client: Arc<Client>, served: Served, requests: u64) -> Self {
        Link {
            client,
            served,
            transferred: AtomicU64::new(0),
            requests: AtomicU64::new(requests),
            cut: AtomicBool::new(false),
            wake: tokio::sync::Notify::new(),
        }
    }

    /// Asks for the bytes from `from` to before `to`, or to the end. The answer's body begins there;
    /// or at the beginning of the object, if the server has no parts but says that it is the same.
    pub(super) async fn part(&self, from: u64, to: Option<u64>) -> Result<(Answer, u64), Failure> {
        let served = &self.served;
        let range = match to {
            Some(to) => format!("bytes={from}-{}", to - 1),
            None => format!("bytes={from}-"),
        };
        let mut headers: Vec<(HeaderName, HeaderValue)> =
            vec![(RANGE, value(&range, &served.asked)?)];
        if let Some(validator) = served.pin.if_range() {
            headers.push((IF_RANGE, value(validator, &served.asked)?));
        }
        let client = &self.client;
        let mut answer = client.send(Method::GET, &served.address, &served.asked, &headers).await?;
        if matches!(answer.status, 401 | 403 | 404 | 410) && served.address != served.asked {
            // What a redirect led to may be valid for a short time only.
            answer = client.send(Method::GET, &served.asked, &served.asked, &headers).await?;
        }
        let changed =
            |answer: &Answer, said: &str| Err(Failure::new(Kind::Changed, &answer.address, said));
        self.requests.fetch_add(answer.hops.len() as u64, Ordering::Relaxed);
        let pin = Pin::of(&answer);
        if matches!(answer.status, 200 | 206) && served.pin.contradicts(&pin) {
            return changed(&answer, "the server has another object there now");
        }
        // An answer to If-Range has to say which object it is of (RFC 9110, 15.3.7).
        if answer.status == 206
            && served.pin.if_range().is_some()
            && !served.pin.is_confirmed_by(&pin)
        {
            return changed(&answer, "the server does not say that the part is of the same object");
        }
        match answer.status {
            206 => {
                let range = ContentRange::of(&answer)?;
                if range.total.is_some() && range.total != served.size {
                    return changed(&answer, "the object has another size now");
                }
                let last = to.or(served.size).map(|to| to - 1);
                let Some((first, end)) = range.bytes else {
                    return Err(protocol(&answer, "the server sends no part of the object"));
                };
                if first != from
                    || last.is_some_and(|last| last != end)
                    || length(&answer).is_some_and(|length| length != end - first + 1)
                {
                    return Err(protocol(
                        &answer,
                        "the server sends another part of the object than it was asked for",
                    ));
                }
                Ok((answer, from))
            }
            200 if served.pin.strong().is_some()
                && Pin::of(&answer).strong() == served.pin.strong() =>
            {
                Ok((answer, 0))
            }
            // Nothing was had before that it could differ from.
            200 if from == 0 && to.is_none() && length(&answer) == served.size => Ok((answer, 0)),
            // To If-Range this is the answer that says so.
            200 => changed(&answer, "the server does not go on with the object that it began with"),
            416 => changed(&answer, "the object is shorter now"),
            412 => changed(&answer, "the server has another object there now"),
            _ => Err(answer.refusal()),
        }
    }

    /// Fetches a part, whatever it takes. `put` is given its bytes in order and says whether it wants
    /// more; `retried` is told what is tried again, unless `give_up` says of a failure that it is not. `first` is an answer that begins with the part and
    /// may go on after it. False if `put` wanted no more.
    pub(super) async fn fetch(
        &self,
        part: Range<u64>,
        mut first: Option<Answer>,
        retried: impl Fn(Retry),
        give_up: impl Fn(&Failure) -> bool,
        mut put: impl FnMut(&[u8]) -> bool,
    ) -> Result<bool, Error> {
        let mut backoff = Backoff::new(self.client.options().retries);
        let mut at = part.start;
        loop {
            let began = at;
            let failure = match self.stretch(&mut at, part.end, first.take(), &mut put).await {
                Ok(wanted) => return Ok(wanted),
                Err(failure) => failure,
            };
            if at - began >= PROGRESS {
                backoff.succeeded();
            }
            if give_up(&failure) {
                return Err(self.error(at, failure));
            }
            let retry = backoff.after(failure).map_err(|failure| self.error(at, failure))?;
            let wait = retry.wait;
            retried(retry);
            tokio::time::sleep(wait).await;
        }
    }

    /// Fetches what is missing of a part by one request, which moves `at` on.
    async fn stretch(
        &self,
        at: &mut u64,
        end: u64,
        first: Option<Answer>,
        put: &mut impl FnMut(&[u8]) -> bool,
    ) -> Result<bool, Failure> {
        let open = first.is_some();
        let mut answer = match first {
            Some(answer) => answer,
            None => {
                let (answer, begins) = self.part(*at, Some(end)).await?;
                if begins != *at {
                    return Err(protocol(
                        &answer,
                        "the server sent parts of the object before, and now sends all of it",
                    ));
                }
                answer
            }
        };
        while let Some(bytes) = answer.chunk().await? {
            let wanted = (end - *at).min(bytes.len() as u64) as usize;
            if wanted < bytes.len() && !open {
                return Err(surplus(&answer));
            }
            self.count(wanted);
            *at += wanted as u64;
            if !put(&bytes[..wanted]) {
                return Ok(false);
            }
            if *at == end {
                // The end of an answer has to be seen before its connection can be used again.
                return match if open { None } else { answer.chunk().await? } {
                    Some(_) => Err(surplus(&answer)),
                    None => Ok(true),
                };
            }
        }
        let said = format!("the server ended at byte {at} of {}", self.served.size.unwrap_or(end));
        Err(Failure::new(Kind::Interrupted, &answer.address, said))
    }

    pub(super) fn count(&self, bytes: usize) {
        self.transferred.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    pub(super) fn error(&self, at: u64, failure: Failure) -> Error {
        Error::net(&self.served.asked, Some(at), failure)
    }
}

pub(super) fn value(text: &str, address: &Address) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|_| {
        Failure::new(Kind::Protocol, address, "the server's headers cannot be sent back to it")
    })
}

pub(super) fn protocol(answer: &Answer, said: &str) -> Failure {
    Failure::new(Kind::Protocol, &answer.address, said)
}

fn surplus(answer: &Answer) -> Failure {
    protocol(answer, "the server sends more bytes than it announced")
}
