//! A file behind a URL.
//!
//! The first request says what there is; its body is read on as a stream. An object with a validator
//! is read by several connections, and goes on after an interruption where it stopped. One without is
//! read in one piece. So is one whose server turns out to give no parts that are certain to be of one object. What one
//! connection cannot go on with is read anew from its first byte, and what was had before is held against it. What a
//! server says of two answers may be the same for two objects: where one answer goes on after another, both bring the
//! same few KiB, which have to be the same bytes (`seam`). The verdict is always of the bytes that were digested.

mod link;
mod ranges;
mod refusal;
mod seam;
mod served;
mod single;
mod window;

pub use ranges::Ranges;
pub use served::{Head, Pin, Served};

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Method;
use reqwest::header::RANGE;

use self::link::{Link, protocol, value};
use self::refusal::refusal;
use self::served::{ContentRange, accepts_ranges, encoding, length};
use self::single::Single;
use self::window::{Ended, Window};
use super::{Error, Read};
use crate::bytes::{Hostile, Pool, Segment};
use crate::net::{Address, Answer, Backoff, Client, Failure, Kind, Retry};

/// The first bytes that are asked for when only parts will be wanted.
const FIRST_PART: u64 = 64 << 10;

/// Below this, several connections bring nothing.
const SMALL: u64 = 8 << 20;

/// Listens to what is tried again.
pub type Notify<'n> = &'n (dyn Fn(&Retry) + Sync);

/// An object behind a URL that has answered.
pub struct Remote {
    link: Arc<Link>,
    want: Want,
    /// What the first answer brought, until somebody reads it.
    first: Mutex<First>,
}

/// The beginning of an object.
#[derive(Default)]
struct First {
    /// Bytes that were looked at.
    bytes: Vec<u8>,
    /// The answer that goes on after them.
    answer: Option<Answer>,
}

/// What is wanted of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Want {
    /// All of it, from its beginning.
    All,
    /// Some parts of it.
    Parts,
}

impl Remote {
    /// Asks for an object. With `head`, HEAD is asked first, as DigitalOcean does.
    ///
    /// # Errors
    /// If there is none, or nothing answers.
    pub fn open(
        client: &Arc<Client>,
        asked: &Address,
        want: Want,
        head: bool,
        notify: Notify<'_>,
    ) -> Result<Remote, Error> {
        let fail = |failure: Failure| Error::net(asked, None, failure);
        client.wait(async {
            let head = match head {
                true => Some(ask_head(client, asked, notify).await.map_err(fail)?),
                false => None,
            };
            let mut backoff = Backoff::new(client.options().retries);
            let Opening { answer, size, ranges, asked_twice } = loop {
                match first(client, asked, want).await {
                    Ok(found) => break found,
                    Err(failure) => {
                        let retry = backoff.after(failure).map_err(fail)?;
                        notify(&retry);
                        tokio::time::sleep(retry.wait).await;
                    }
                }
            };
            let requests =
                answer.hops.len() as u64 + u64::from(head.is_some()) + u64::from(asked_twice);
            let served = Served::of(&answer, asked, size, ranges, head);
            // Parts are asked for anew: the answer has some of the object only.
            let first = First { bytes: Vec::new(), answer: Some(answer) };
            let link = Link::new(Arc::clone(client), served, requests);
            Ok(Remote { link: Arc::new(link), want, first: Mutex::new(first) })
        })
    }

    /// What the server says of it.
    #[must_use]
    pub fn served(&self) -> &Served {
        &self.link.served
    }

    /// Bytes of the object that were transferred so far.
    #[must_use]
    pub fn transferred(&self) -> u64 {
        self.link.transferred.load(Ordering::Relaxed)
    }

    /// Requests for parts of it, or all of it, that were made so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.link.requests.load(Ordering::Relaxed)
    }

    /// Ends the transfer: readers give no more bytes.
    pub fn cut(&self) {
        self.link.cut.store(true, Ordering::Release);
        self.link.wake.notify_one();
    }

    /// Whether a part that is asked for is certain to be of the same object.
    #[must_use]
    pub fn has_parts(&self) -> bool {
        let served = self.served();
        let pinned = served.ranges && served.size.is_some() && served.pin.if_range().is_some();
        pinned && !self.link.is_alone()
    }

    /// What showed, while it was read, that nothing tells the object from others.
    #[must_use]
    pub fn unpinned(&self) -> Option<String> {
        self.link.unpinned()
    }

    /// What the server says of the object that was read, where that is another answer than the first one.
    #[must_use]
    pub fn read(&self) -> Option<Pin> {
        self.link.read()
    }

    /// Reads parts of it at any offset, if that is possible. What the first answer brought is one.
    #[must_use]
    pub fn ranges<'r>(&'r self, notify: Notify<'r>) -> Option<Ranges<'r>> {
        let size = self.served().size.filter(|_| self.has_parts())?;
        let first = match self.want {
            Want::Parts => self.peek(FIRST_PART as usize),
            Want::All => Vec::new(),
        };
        Some(Ranges::new(&self.link, size, first, notify))
    }

    /// Looks at the first bytes, at least `count` of them if there are so many. None if they cannot be
    /// had: the reader asks for them again, and says why if it cannot have them either.
    #[must_use]
    pub fn peek(&self, count: usize) -> Vec<u8> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        while first.bytes.len() < count {
            let Some(answer) = &mut first.answer else { break };
            match self.link.client.wait(answer.chunk()) {
                Ok(Some(bytes)) => {
                    self.link.count(bytes.len());
                    first.bytes.extend_from_slice(&bytes);
                }
                Ok(None) => break,
                Err(_) => *first = First::default(),
            }
        }
        first.bytes.clone()
    }

    /// A reader from the first byte to the last.
    #[must_use]
    pub fn reader<'r>(&'r self, notify: Notify<'r>) -> RemoteReader<'r> {
        let mut first =
            std::mem::take(&mut *self.first.lock().unwrap_or_else(PoisonError::into_inner));
        if self.want == Want::Parts && self.served().ranges {
            // It ends with the part that was asked for.
            first = First::default();
        }
        let connections = self.link.client.options().connections;
        RemoteReader(match self.served().size {
            Some(size) if self.has_parts() && connections > 1 && size > SMALL => {
                Way::Several(Window::new(&self.link, first, size, notify))
            }
            _ => Way::One(Box::new(Single::new(&self.link, first, notify))),
        })
    }
}

/// Reads a [`Remote`] from its beginning to its end.
pub struct RemoteReader<'r>(Way<'r>);

enum Way<'r> {
    /// By one connection.
    One(Box<Single<'r>>),
    /// By several, in order.
    Several(Window<'r>),
}

impl Read for RemoteReader<'_> {
    fn next(&mut self, pool: &mut Pool) -> Result<Option<Segment>, Error> {
        let mut chunk = pool.take();
        if let Way::Several(window) = &mut self.0 {
            match window.fill(&mut chunk) {
                Ok(()) => {}
                Err(Ended::Failed(error)) => return Err(error),
                Err(Ended::Alone(single)) => self.0 = Way::One(single),
            }
        }
        if let Way::One(single) = &mut self.0 {
            single.fill(&mut chunk)?;
        }
        Ok((!chunk.is_empty()).then(|| Segment::Data(Arc::new(chunk))))
    }

    fn is_whole(&self) -> bool {
        match &self.0 {
            Way::One(single) => single.is_whole(),
            Way::Several(window) => window.is_whole(),
        }
    }
}

/// An answer whose body is wanted.
struct Opening {
    answer: Answer,
    /// The size of the object.
    size: Option<u64>,
    /// Whether parts can be had.
    ranges: bool,
    /// Whether it took a second request without a range.
    asked_twice: bool,
}

/// The answer to the first request whose body is wanted. Who wants all of the object asks as the importer does, without a
/// range: what a server or a cache gives for a range may be something else.
async fn first(client: &Client, asked: &Address, want: Want) -> Result<Opening, Failure> {
    match want {
        Want::All => all(client, asked, false).await,
        Want::Parts => beginning(client, asked).await,
    }
}

/// Asks for all of the object.
async fn all(client: &Client, asked: &Address, asked_twice: bool) -> Result<Opening, Failure> {
    let answer = client.send(Method::GET, asked, asked, &[]).await?;
    match answer.status {
        200 => {
            let (size, ranges) = (length(&answer), !asked_twice && accepts_ranges(&answer));
            Ok(Opening { answer, size, ranges, asked_twice })
        }
        206 => match begins(&answer) {
            Some((last, size)) if last + 1 == size => {
                Ok(Opening { answer, size: Some(size), ranges: true, asked_twice })
            }
            _ => Err(protocol(
                &answer,
                "the server sends a part of the object to whoever asks for all of it",
            )),
        },
        _ => Err(refusal(client, answer, asked).await),
    }
}

/// Asks for the first bytes of the object, and for all of it if they cannot be had.
async fn beginning(client: &Client, asked: &Address) -> Result<Opening, Failure> {
    let range = format!("bytes=0-{}", FIRST_PART - 1);
    let answer = client.send(Method::GET, asked, asked, &[(RANGE, value(&range, asked)?)]).await?;
    // What an answer that cannot be used says of the size of the whole.
    let said = ContentRange::of(&answer).ok().and_then(|range| range.total);
    match answer.status {
        200 => {
            let size = length(&answer);
            return Ok(Opening { answer, size, ranges: false, asked_twice: false });
        }
        206 => {
            if let Some((_, size)) = begins(&answer) {
                return Ok(Opening { answer, size: Some(size), ranges: true, asked_twice: false });
            }
        }
        // Of an empty object no range can be had, and some servers know no ranges.
        400 | 416 | 501 => {}
        _ => return Err(refusal(client, answer, asked).await),
    }
    let opening = all(client, asked, true).await?;
    if said.zip(opening.size).is_some_and(|(said, size)| said != size) {
        return Err(protocol(&opening.answer, "the server says two sizes of the same object"));
    }
    Ok(opening)
}

/// The last byte that an answer brings, from the first one on, and the size of the object.
fn begins(answer: &Answer) -> Option<(u64, u64)> {
    let ContentRange { bytes: Some((0, last)), total: Some(size) } =
        ContentRange::of(answer).ok()?
    else {
        return None;
    };
    length(answer).is_none_or(|length| length == last + 1).then_some((last, size))
}

/// Asks HEAD. Only what makes GET useless as well is a failure.
async fn ask_head(client: &Client, asked: &Address, notify: Notify<'_>) -> Result<Head, Failure> {
    let mut backoff = Backoff::new(client.options().retries);
    loop {
        let failure = match client.send(Method::HEAD, asked, asked, &[]).await {
            Ok(answer) if matches!(answer.status, 429 | 500..600) => {
                refusal(client, answer, asked).await
            }
            Ok(answer) => {
                return Ok(Head {
                    status: Ok(answer.status),
                    size: length(&answer),
                    pin: Pin::of(&answer),
                    address: Some(answer.address.clone()),
                    encoding: encoding(&answer),
                });
            }
            Err(failure) => failure,
        };
        match backoff.after(failure) {
            Ok(retry) => {
                notify(&retry);
                tokio::time::sleep(retry.wait).await;
            }
            Err(failure) => {
                let status = match failure.kind {
                    Kind::Status(status) => Ok(status),
                    Kind::Interrupted | Kind::TimedOut | Kind::Protocol | Kind::Redirect => {
                        Err(failure.said)
                    }
                    _ => return Err(failure),
                };
                return Ok(Head {
                    status,
                    size: None,
                    pin: Pin::default(),
                    address: None,
                    encoding: None,
                });
            }
        }
    }
}

impl Error {
    /// From a failure of the network.
    fn net(asked: &Address, offset: Option<u64>, failure: Failure) -> Self {
        let kind = match failure.kind {
            Kind::Unreachable => super::Kind::Unreachable,
            Kind::Tls => super::Kind::Tls,
            Kind::TimedOut => super::Kind::TimedOut,
            Kind::Status(_) => super::Kind::Status,
            Kind::Redirect => super::Kind::Redirect,
            Kind::Interrupted => super::Kind::Interrupted,
            Kind::Protocol => super::Kind::Protocol,
            Kind::Changed => super::Kind::Changed,
            Kind::NoParts => super::Kind::NoParts,
            Kind::Private => super::Kind::Private,
        };
        let subject = Hostile::from(asked.to_string().as_str());
        let said = Hostile::message(&failure.said).to_string();
        Error { kind, subject, offset, source: Some(std::io::Error::other(said)) }
    }
}
