//! What all readers of an object share: how a part of it is asked for, and what an answer has to be.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue, IF_RANGE, RANGE};

use super::refusal::refusal;
use super::seam::{SEAM, Tail};
use super::served::{ContentRange, Pin, Served, encoding, length};
use crate::bytes::Hostile;
use crate::net::{Address, Answer, Backoff, Client, Failure, Kind, Retry};
use crate::source::{self, Error};

/// So much that is new in one go is progress, with what comes twice 64 KiB: a server that cuts earlier, again and again,
/// is given up.
pub(super) const PROGRESS: u64 = (64 << 10) - SEAM;

/// Bytes before a part that are skipped at most: some servers begin where their blocks do.
const SKIPPED: u64 = 4 << 20;

/// What everybody shares who reads the object.
pub(super) struct Link {
    pub(super) client: Arc<Client>,
    pub(super) served: Served,
    pub(super) transferred: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) cut: AtomicBool,
    /// Wakes whoever waits for the network when the transfer is cut.
    pub(super) wake: tokio::sync::Notify,
    /// Whether no parts are asked for any more, because they cannot be had or are not certain to be of one object.
    alone: AtomicBool,
    /// What showed that nothing pins the object, and the pin of the answer that was read instead of the first one.
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    unpinned: Option<String>,
    read: Option<Pin>,
}

/// An answer with bytes of the object.
pub(super) struct Given {
    pub(super) answer: Answer,
    /// Where its body begins.
    pub(super) begins: u64,
    /// Where its body ends, as far as the server says.
    ends: Option<u64>,
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
            alone: AtomicBool::new(false),
            found: Mutex::default(),
        }
    }

    /// No parts are asked for from now on.
    pub(super) fn go_alone(&self) {
        self.alone.store(true, Ordering::Release);
    }

    pub(super) fn is_alone(&self) -> bool {
        self.alone.load(Ordering::Acquire)
    }

    /// What showed that nothing pins the object.
    pub(super) fn unpinned(&self) -> Option<String> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).unpinned.clone()
    }

    /// What the answer says of the object that was read, if it is not the first one.
    pub(super) fn read(&self) -> Option<Pin> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).read.clone()
    }

    /// Notes that the bytes which were read before are those of this answer too, and are read on from it.
    pub(super) fn reads_from(&self, pin: &Pin) {
        if let Some(said) = difference(&self.served.pin, pin) {
            self.note_unpinned(said);
        }
        self.found.lock().unwrap_or_else(PoisonError::into_inner).read = Some(pin.clone());
    }

    fn note_unpinned(&self, said: String) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.unpinned.get_or_insert(said);
    }

    /// Asks for the bytes from `from` to before `to`, or to the end, of the object with this pin, and before them for
    /// what is had already. The body may begin before and end behind.
    ///
    /// # Errors
    /// [`Kind::NoParts`] if the server gives something else than this part of this object.
    async fn part(
        &self,
        pin: &Pin,
        had: &Tail,
        from: u64,
        to: Option<u64>,
    ) -> Result<Given, Failure> {
        let served = &self.served;
        let asked = from - had.len();
        let range = match to {
            Some(to) => format!("bytes={asked}-{}", to - 1),
            None => format!("bytes={asked}-"),
        };
        let mut headers: Vec<(HeaderName, HeaderValue)> =
            vec![(RANGE, value(&range, &served.asked)?)];
        if let Some(validator) = pin.if_range() {
            headers.push((IF_RANGE, value(validator, &served.asked)?));
        }
        let answer = self.send(&headers).await?;
        let none = |said: &str| Err(Failure::new(Kind::NoParts, &answer.address, said));
        let theirs = Pin::of(&answer);
        if matches!(answer.status, 200 | 206)
            && let Some(said) = difference(pin, &theirs)
        {
            self.note_unpinned(said);
            return none("the server has another object there now");
        }
        match answer.status {
            // An answer to If-Range has to say which object it is of (RFC 9110, 15.3.7).
            206 if pin.if_range().is_some() && !pin.is_confirmed_by(&theirs) => {
                let said = "the server does not say that the part is of the same object";
                self.note_unpinned("Parts come without the ETag or date of the whole.".into());
                none(said)
            }
            206 => {
                let Ok(range) = ContentRange::of(&answer) else {
                    return none("the server does not say which part it sends");
                };
                if range.total.is_some() && range.total != served.size {
                    self.note_unpinned("Parts come of an object of another size.".into());
                    return none("the object has another size now");
                }
                let body = length(&answer);
                match range.bytes {
                    Some((first, last))
                        if first <= asked
                            && from <= last
                            && asked - first <= SKIPPED
                            && served.size.is_none_or(|size| last < size)
                            && body.is_none_or(|body| body == last - first + 1) =>
                    {
                        Ok(Given { answer, begins: first, ends: Some(last + 1) })
                    }
                    _ => none("the server sends another part of the object than it was asked for"),
                }
            }
            200 => Ok(Given { begins: 0, ends: length(&answer), answer }),
            412 | 416 => none("the server does not have this part of the object"),
            _ => Err(refusal(&self.client, answer, &served.asked).await),
        }
    }

    /// Asks for a part, for who puts parts together: all of it is only the part if it begins there.
    async fn piece(&self, had: &Tail, from: u64, to: u64) -> Result<Given, Failure> {
        let given = self.part(&self.served.pin, had, from, Some(to)).await?;
        match given.begins == 0 && given.answer.status == 200 && from > 0 {
            true => Err(Failure::new(
                Kind::NoParts,
                &given.answer.address,
                "the server sends all of the object instead of a part",
            )),
            false => Ok(given),
        }
    }

    /// Asks for what is left from `from` on, for who reads by one connection: a part of the object with this pin if it
    /// can be had, and otherwise all of it.
    pub(super) async fn rest(&self, pin: &Pin, had: &Tail, from: u64) -> Result<Given, Failure> {
        if from > 0 && self.served.ranges && pin.if_range().is_some() {
            match self.part(pin, had, from, None).await {
                // There are servers that refuse parts and give the whole; it is refused with a reason of its own.
                Err(failure)
                    if matches!(failure.kind, Kind::NoParts | Kind::Status(_))
                        && !failure.kind.is_passing() => {}
                Ok(given) if given.ends.zip(self.served.size).is_some_and(|(a, b)| a != b) => {}
                given => return given,
            }
        }
        self.whole().await
    }

    /// Asks for all of the object.
    async fn whole(&self) -> Result<Given, Failure> {
        let answer = self.send(&[]).await?;
        let size = match answer.status {
            200 => length(&answer),
            206 => match ContentRange::of(&answer)? {
                ContentRange { bytes: Some((0, last)), total: Some(total) }
                    if last + 1 == total =>
                {
                    Some(total)
                }
                _ => {
                    let said =
                        "the server sends a part of the object to whoever asks for all of it";
                    return Err(Failure::new(Kind::Protocol, &answer.address, said));
                }
            },
            _ => return Err(refusal(&self.client, answer, &self.served.asked).await),
        };
        match (self.served.size, size) {
            (Some(before), Some(now)) if before != now => {
                let said = format!("the object had {before} bytes, and has {now} now");
                Err(Failure::new(Kind::Changed, &answer.address, said))
            }
            _ => Ok(Given { answer, begins: 0, ends: size }),
        }
    }

    /// GET, at the address of the first answer as long as that one is valid.
    async fn send(&self, headers: &[(HeaderName, HeaderValue)]) -> Result<Answer, Failure> {
        let (client, served) = (&self.client, &self.served);
        let mut answer = client.send(Method::GET, &served.address, &served.asked, headers).await?;
        self.requests.fetch_add(answer.hops.len() as u64, Ordering::Relaxed);
        if matches!(answer.status, 401 | 403 | 404 | 410) && served.address != served.asked {
            // What a redirect led to may be valid for a short time only.
            answer = client.send(Method::GET, &served.asked, &served.asked, headers).await?;
            self.requests.fetch_add(answer.hops.len() as u64, Ordering::Relaxed);
        }
        if matches!(answer.status, 200 | 206) && encoding(&answer) != served.encoding {
            // Whoever undoes an encoding gets other bytes than were read here.
            let said = "the server names another Content-Encoding than in its first answer";
            return Err(Failure::new(Kind::Changed, &answer.address, said));
        }
        Ok(answer)
    }

    /// Fetches a part, whatever it takes. `put` is given its bytes in order and says whether it wants
    /// more; `retried` is told what is tried again, unless `give_up` says of a failure that it is not. `had` is what is
    /// known of the bytes before the part. `first` is an answer that begins with the part and may go on after it. False
    /// if `put` wanted no more.
    pub(super) async fn fetch(
        &self,
        part: Range<u64>,
        mut had: Tail,
        mut first: Option<Answer>,
        retried: impl Fn(Retry),
        give_up: impl Fn(&Failure) -> bool,
        mut put: impl FnMut(&[u8]) -> bool,
    ) -> Result<bool, Error> {
        let mut backoff = Backoff::new(self.client.options().retries);
        let mut at = part.start;
        loop {
            let began = at;
            let stretch = self.stretch(&mut at, part.end, &mut had, first.take(), &mut put);
            let failure = match stretch.await {
                Ok(wanted) if !wanted || at == part.end => return Ok(wanted),
                // The server sent a shorter part than it was asked for, as it may.
                Ok(_) if at - began >= PROGRESS => continue,
                Ok(_) => {
                    let said = "the server sends parts that are too short";
                    Failure::new(Kind::NoParts, &self.served.address, said)
                }
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

    /// Fetches what is missing of a part by one request, which moves `at` on; false if no more is wanted.
    async fn stretch(
        &self,
        at: &mut u64,
        end: u64,
        had: &mut Tail,
        first: Option<Answer>,
        put: &mut impl FnMut(&[u8]) -> bool,
    ) -> Result<bool, Failure> {
        if self.is_alone() {
            let said = "the server gives no parts that are certain to be of one object";
            return Err(Failure::new(Kind::NoParts, &self.served.address, said));
        }
        let Given { mut answer, begins, ends } = match first {
            // It goes on to the end of the object.
            Some(answer) => Given { answer, begins: *at, ends: None },
            None => self.piece(had, *at, end).await?,
        };
        let mut again = *at - begins;
        while let Some(mut bytes) = answer.chunk().await? {
            let known = again.min(bytes.len() as u64) as usize;
            let known = bytes::Buf::copy_to_bytes(&mut bytes, known);
            let wanted = (end - *at).min(bytes.len() as u64) as usize;
            if wanted < bytes.len() && ends == Some(end) {
                return Err(surplus(&answer));
            }
            self.count(known.len() + wanted);
            self.hold(had, again, &known)?;
            again -= known.len() as u64;
            had.take(&bytes[..wanted]);
            *at += wanted as u64;
            if wanted > 0 && !put(&bytes[..wanted]) {
                return Ok(false);
            }
            if *at == end {
                // The end of an answer has to be seen before its connection can be used again.
                return match if ends == Some(end) { answer.chunk().await? } else { None } {
                    Some(_) => Err(surplus(&answer)),
                    None => Ok(true),
                };
            }
        }
        if ends == Some(*at) {
            return Ok(true);
        }
        let said = format!("the server ended at byte {at} of {}", self.served.size.unwrap_or(end));
        Err(Failure::new(Kind::Interrupted, &answer.address, said))
    }

    /// Holds bytes that come again, `before` the end of what is had, against it.
    ///
    /// # Errors
    /// [`Kind::Changed`] if they are others.
    pub(super) fn hold(&self, had: &Tail, before: u64, bytes: &[u8]) -> Result<(), Failure> {
        if had.has(before, bytes) {
            return Ok(());
        }
        let mark = if self.served.pin.strong().is_some() { "ETag" } else { "date" };
        let said = format!(
            "answers with the same {mark} have different bytes in the same place: the object was replaced, or the \
             servers behind this URL have different ones; each object needs {} of its own",
            if mark == "ETag" { "an ETag" } else { "a name" },
        );
        Err(Failure::new(Kind::Changed, &self.served.address, said))
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

/// Whether a connection may fare better that asks for no parts.
pub(super) fn is_of_parts(kind: source::Kind) -> bool {
    use source::Kind::{NoParts, Protocol, Status};
    matches!(kind, NoParts | Protocol | Status)
}

/// What tells an object from another one, in a sentence.
fn difference(before: &Pin, now: &Pin) -> Option<String> {
    let (what, one, other) = before.difference(now)?;
    let shown = |text: &str| Hostile::from(text).to_string();
    Some(format!("Answers have different {what}: {} and {}.", shown(one), shown(other)))
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
