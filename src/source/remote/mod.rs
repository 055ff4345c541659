//! A file behind a URL.
//!
//! The first request says what there is; its body is read on as a stream. An object with a validator
//! is read by several connections, and goes on after an interruption where it stopped. One without is
//! read once, in one piece or not at all: nobody could tell whether two requests bring the same bytes.

mod ranges;
mod served;
mod single;
mod window;

pub use ranges::Ranges;
pub use served::{Head, Pin, Served};

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue, IF_RANGE, RANGE};

use self::served::{ContentRange, length};
use self::single::Single;
use self::window::Window;
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
    /// The first answer, with its body, until somebody reads it.
    first: Mutex<Option<Answer>>,
}

/// What everybody shares who reads the object.
struct Link {
    client: Arc<Client>,
    served: Served,
    transferred: AtomicU64,
    requests: AtomicU64,
    cut: AtomicBool,
    wake: tokio::sync::Notify,
}

/// What is wanted of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
            let (answer, size) = loop {
                match first(client, asked, want).await {
                    Ok(found) => break found,
                    Err(failure) => {
                        let retry = backoff.after(failure).map_err(fail)?;
                        notify(&retry);
                        tokio::time::sleep(retry.wait).await;
                    }
                }
            };
            let link = Link {
                client: Arc::clone(client),
                served: Served::of(&answer, asked, size, head),
                transferred: AtomicU64::new(0),
                requests: AtomicU64::new(1),
                cut: AtomicBool::new(false),
                wake: tokio::sync::Notify::new(),
            };
            Ok(Remote { link: Arc::new(link), first: Mutex::new(Some(answer)) })
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
        served.ranges && served.size.is_some() && served.pin.if_range().is_some()
    }

    /// Reads parts of it at any offset, if that is possible.
    #[must_use]
    pub fn ranges<'r>(&'r self, notify: Notify<'r>) -> Option<Ranges<'r>> {
        let size = self.served().size.filter(|_| self.has_parts())?;
        Some(Ranges::new(&self.link, size, notify))
    }

    /// A reader from the first byte to the last.
    #[must_use]
    pub fn reader<'r>(&'r self, notify: Notify<'r>) -> RemoteReader<'r> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let connections = self.link.client.options().connections;
        match self.served().size {
            Some(size) if self.has_parts() && connections > 1 && size > SMALL => {
                RemoteReader::Several(Window::new(&self.link, first, size, notify))
            }
            _ => RemoteReader::One(Box::new(Single::new(&self.link, first, notify))),
        }
    }
}

/// Reads a [`Remote`] from its beginning to its end.
pub enum RemoteReader<'r> {
    /// By one connection.
    One(Box<Single<'r>>),
    /// By several, in order.
    Several(Window<'r>),
}

impl Read for RemoteReader<'_> {
    fn next(&mut self, pool: &mut Pool) -> Result<Option<Segment>, Error> {
        match self {
            RemoteReader::One(single) => single.next(pool),
            RemoteReader::Several(window) => window.next(pool),
        }
    }

    fn is_whole(&self) -> bool {
        match self {
            RemoteReader::One(single) => single.is_whole(),
            RemoteReader::Several(window) => window.is_whole(),
        }
    }
}

/// The answer to the first request whose body is wanted, and the size of the object.
async fn first(
    client: &Client,
    asked: &Address,
    want: Want,
) -> Result<(Answer, Option<u64>), Failure> {
    // An open range reads like the whole, and its answer says whether parts can be had.
    let range = match want {
        Want::All => "bytes=0-".to_owned(),
        Want::Parts => format!("bytes=0-{}", FIRST_PART - 1),
    };
    let answer = client.send(Method::GET, asked, asked, &[(RANGE, value(&range, asked)?)]).await?;
    match answer.status {
        200 => {
            let size = length(&answer);
            Ok((answer, size))
        }
        206 => {
            let range = ContentRange::of(&answer)?;
            match range.bytes {
                Some((0, last)) => {
                    // A server that does not say how much there is may send less than all of it.
                    let size = range.total.ok_or_else(|| protocol(&answer, "the server sends a part of the object and does not say of how many bytes"))?;
                    let whole = want == Want::Parts || last + 1 == size;
                    if !whole || length(&answer).is_some_and(|length| length != last + 1) {
                        return Err(protocol(
                            &answer,
                            "the server sends another part of the object than it was asked for",
                        ));
                    }
                    Ok((answer, Some(size)))
                }
                _ => Err(protocol(
                    &answer,
                    "the server sends another part of the object than it was asked for",
                )),
            }
        }
        416 => {
            // Of an empty object no range can be had.
            let answer = client.send(Method::GET, asked, asked, &[]).await?;
            match answer.status {
                200 => {
                    let size = length(&answer);
                    Ok((answer, size))
                }
                _ => Err(answer.refusal()),
            }
        }
        _ => Err(answer.refusal()),
    }
}

/// Asks HEAD. Only what makes GET useless as well is a failure.
async fn ask_head(client: &Client, asked: &Address, notify: Notify<'_>) -> Result<Head, Failure> {
    let mut backoff = Backoff::new(client.options().retries);
    loop {
        let failure = match client.send(Method::HEAD, asked, asked, &[]).await {
            Ok(answer) if matches!(answer.status, 429 | 500..600) => answer.refusal(),
            Ok(answer) => {
                return Ok(Head {
                    status: Ok(answer.status),
                    size: length(&answer),
                    pin: Pin::of(&answer),
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
                    Kind::Interrupted | Kind::TimedOut | Kind::Protocol => Err(failure.said),
                    _ => return Err(failure),
                };
                return Ok(Head { status, size: None, pin: Pin::default() });
            }
        }
    }
}

fn value(text: &str, address: &Address) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|_| {
        Failure::new(Kind::Protocol, address, "the server's headers cannot be sent back to it")
    })
}

fn protocol(answer: &Answer, said: &str) -> Failure {
    Failure::new(Kind::Protocol, &answer.address, said)
}

impl Link {
    /// Asks for the bytes from `from` to before `to`, or to the end. The answer's body begins there;
    /// or at the beginning of the object, if the server has no parts but says that it is the same.
    async fn part(&self, from: u64, to: Option<u64>) -> Result<(Answer, u64), Failure> {
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
        self.requests.fetch_add(1, Ordering::Relaxed);
        let client = &self.client;
        let mut answer = client.send(Method::GET, &served.address, &served.asked, &headers).await?;
        if matches!(answer.status, 401 | 403 | 404 | 410) && served.address != served.asked {
            // What a redirect led to may be valid for a short time only.
            answer = client.send(Method::GET, &served.asked, &served.asked, &headers).await?;
        }
        let changed =
            |answer: &Answer, said: &str| Err(Failure::new(Kind::Changed, &answer.address, said));
        if matches!(answer.status, 200 | 206) && served.pin.contradicts(&Pin::of(&answer)) {
            return changed(&answer, "the server has another object there now");
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

    fn count(&self, bytes: usize) {
        self.transferred.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    fn error(&self, at: u64, failure: Failure) -> Error {
        Error::net(&self.served.asked, Some(at), failure)
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
        };
        let subject = Hostile::from(asked.to_string().as_str());
        let said = Hostile::from(failure.said.as_str()).to_string();
        Error { kind, subject, offset, source: Some(std::io::Error::other(said)) }
    }
}
