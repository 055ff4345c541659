use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

use super::body::Body;
use super::endpoint::Endpoint;
use super::error::{About, Error, Kind, Operation};
use super::names::{BucketName, ETag, Key, PartNumber};
use crate::bytes::hex;
use crate::net::{
    self, Address, Backoff, Called, Failure, HeaderName, HeaderValue, Headers, Method, Pace,
    Request, Retry, Secret, Signer, WHOLE_AFTER, encode,
};

/// The longest answer that is read, in bytes. A list of 1000 objects takes about 400 kB.
const LARGEST: usize = 4 << 20;

/// A key of Spaces, or of another server. It shows itself nowhere.
#[derive(Clone)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Keys {
    /// Its id.
    pub access: String,
    /// The key itself.
    pub secret: Secret,
    /// What goes along with temporary keys; Spaces has none.
    pub session: Option<Secret>,
}

impl Keys {
    /// A key and its id; blanks around them do not count.
    ///
    /// # Errors
    /// Says what is wrong with one of them, without repeating it.
    pub fn new(access: &str, secret: &str) -> Result<Keys, String> {
        let access = access.trim();
        let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'/' | b',' | b'=');
        if access.is_empty() || access.len() > 256 || !access.bytes().all(plain) {
            return Err("what should be a key's id is none".into());
        }
        let secret = Secret::new(secret).map_err(|why| format!("the secret key: {why}"))?;
        Ok(Keys { access: access.to_owned(), secret, session: None })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

/// What a client says while it waits.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A request failed and will be made again.
    Retry {
        /// What is asked for.
        operation: Operation,
        /// The part, if it is one's upload.
        part: Option<PartNumber>,
        /// When, and why.
        retry: &'a Retry,
    },
}

/// Is told of events.
pub type Listener = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// How a client is made.
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Options {
    /// Where the bucket is.
    pub endpoint: Endpoint,
    /// The bucket.
    pub bucket: BucketName,
    /// What requests are signed with.
    pub keys: Keys,
    /// How requests are made. Its headers do not go along; plain http is spoken with loopback only, and
    /// without a proxy.
    pub net: net::Options,
    /// How fast parts are sent at most, all of them together.
    pub pace: Option<Pace>,
    /// Is told of events.
    pub listener: Option<Listener>,
}

/// A bucket. Clones share one set of connections and one rate.
#[derive(Clone)]
pub struct Bucket(Arc<Inner>, Haste);

/// Whether somebody waits for the end of it all.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Haste {
    None,
    Some,
}

struct Inner {
    net: Arc<net::Client>,
    endpoint: Endpoint,
    bucket: BucketName,
    signer: Signer,
    pace: Option<Pace>,
    listener: Option<Listener>,
}

/// When a request is made again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// If it certainly had no effect.
    Refused,
    /// Whenever that may help: twice is as once.
    Always,
}

/// A request to a bucket.
pub(super) struct Ask<'a> {
    pub(super) operation: Operation,
    pub(super) method: Method,
    pub(super) key: Option<&'a Key>,
    /// Names and values, not encoded.
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) headers: Headers,
    pub(super) body: Body,
    /// Whether the ETag of the answer is held against its MD5.
    pub(super) held: bool,
    pub(super) part: Option<PartNumber>,
    pub(super) again: Again,
    /// A longer silence than usual may come before the answer.
    pub(super) idle: Option<Duration>,
}

impl<'a> Ask<'a> {
    pub(super) fn new(operation: Operation, method: Method, key: Option<&'a Key>) -> Self {
        Ask {
            operation,
            method,
            key,
            query: Vec::new(),
            headers: Vec::new(),
            body: Bytes::new().into(),
            held: false,
            part: None,
            again: Again::Always,
            idle: None,
        }
    }

    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((HeaderName::from_static(name), HeaderValue::from_static(value)));
        self
    }

    /// Takes along what is not to be damaged on the way.
    pub(super) fn digested(&mut self, body: &Body) {
        self.body = body.clone();
        self.held = true;
    }

    fn encoded_query(&self) -> String {
        let pairs: Vec<String> = self
            .query
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name, false), encode(value, false)))
            .collect();
        pairs.join("&")
    }
}

impl Bucket {
    /// A bucket, of which nothing is known yet.
    ///
    /// # Errors
    /// If certificates cannot be used.
    pub fn new(options: Options) -> Result<Bucket, String> {
        let Options { endpoint, bucket, keys, mut net, pace, listener } = options;
        let address = endpoint.address();
        if keys.session.is_some() && endpoint.is_spaces() {
            return Err("Spaces has no temporary keys, so it takes no session token".into());
        }
        net.insecure_http = address.is_loopback();
        // A proxy would look for the addresses of this machine on its own.
        net.only = address.is_loopback().then(Vec::new);
        net.headers = Vec::new();
        // What is elsewhere is not in the bucket.
        net.redirects = 0;
        let signer = Signer {
            access: keys.access,
            secret: keys.secret,
            session: keys.session,
            region: endpoint.region().as_str().to_owned(),
            service: "s3",
        };
        let net = Arc::new(net::Client::new(net)?);
        let inner = Inner { net, endpoint, bucket, signer, pace, listener };
        Ok(Bucket(Arc::new(inner), Haste::None))
    }

    /// The same for who has no time: a server that is silent or slow is not asked again, and less is waited for it.
    #[must_use]
    pub fn hurried(&self) -> Bucket {
        Bucket(Arc::clone(&self.0), Haste::Some)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &BucketName {
        &self.0.bucket
    }

    /// Where it is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// Where anybody finds an object that is public; there is no query.
    ///
    /// # Errors
    /// If the key makes no URL below the bucket.
    pub fn url(&self, key: &Key) -> Result<Address, String> {
        self.0.endpoint.place(&self.0.bucket, Some(key), "")
    }

    /// The URL by which anybody who has it fetches an object for so many seconds; a secret for that time.
    ///
    /// # Errors
    /// If the key makes no URL below the bucket.
    pub fn presigned(&self, key: &Key, seconds: u32) -> Result<String, String> {
        self.0.signer.presign(&self.url(key)?, SystemTime::now(), seconds)
    }

    /// The time by the server's clock, by which alone it is known how old something of the bucket is.
    ///
    /// # Errors
    /// If no answer has said it.
    pub fn time(&self) -> Result<SystemTime, Error> {
        let said = "no answer has a date, so nobody knows how old anything is";
        let error = || {
            self.error(Operation::HeadBucket, None, |about| {
                Error::new(about, Kind::Incomplete, said)
            })
        };
        self.0.net.server_time().ok_or_else(error)
    }

    /// What tells its key from others, with salt, in hexadecimal.
    #[must_use]
    pub fn key_digest(&self, salt: &str) -> String {
        hex(&Sha256::digest(format!("{salt} key {}", self.0.signer.access)))
    }

    /// What makes its requests: whoever reads an object by [`Bucket::presigned`] reads with the same trust, limits of
    /// time and retries.
    #[must_use]
    pub fn client(&self) -> &Arc<net::Client> {
        &self.0.net
    }

    /// Waits for a future, on a thread that is not one of the client's own.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.0.net.wait(future)
    }

    /// Runs a future beside.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.0.net.spawn(future)
    }

    /// Makes sure that the bucket is there and that the key is known.
    ///
    /// # Errors
    /// If not, or if nobody says.
    pub async fn head_bucket(&self) -> Result<(), Error> {
        let ask = Ask::new(Operation::HeadBucket, Method::HEAD, None);
        let Err(error) = self.ask(&ask).await else { return Ok(()) };
        if error.status.is_none() || error.kind == Kind::Server {
            return Err(error);
        }
        // An answer to HEAD has no body, which would say why: this one has.
        let ask = Ask::new(Operation::HeadBucket, Method::GET, None);
        self.ask(&ask.query("list-type", "2").query("max-keys", "1")).await.map(|_| ())
    }

    /// What an error is about.
    pub(super) fn place(&self, key: Option<&Key>) -> String {
        match key {
            Some(key) => format!("{}/{}", self.0.bucket, key.as_str()),
            None => self.0.bucket.to_string(),
        }
    }

    /// An error of this bucket.
    pub(super) fn error(
        &self,
        operation: Operation,
        key: Option<&Key>,
        make: impl FnOnce(About<'_>) -> Error,
    ) -> Error {
        let access = &self.0.signer.access;
        make(About { operation, place: &self.place(key), access })
    }

    /// Makes a signed request, as often as it may be made; the answer is one of success.
    pub(super) async fn ask(&self, ask: &Ask<'_>) -> Result<Called, Error> {
        let error = |kind, said: &str| {
            self.error(ask.operation, ask.key, |about| Error::new(about, kind, said))
        };
        let inner = &*self.0;
        let address = inner.endpoint.place(&inner.bucket, ask.key, &ask.encoded_query());
        let address = address.map_err(|why| error(Kind::Invalid, &why))?;
        let mut backoff = Backoff::new(inner.net.options().retries);
        loop {
            let request = self.request(ask, &address).map_err(|why| error(Kind::Invalid, &why))?;
            let (error, failure) = match inner.net.exchange(request).await {
                Err(failure) => {
                    let error = self
                        .error(ask.operation, ask.key, |about| Error::transport(about, &failure));
                    (error, failure)
                }
                Ok(called) => match self.refusal(ask, &called).await {
                    None => return Ok(called),
                    Some(error) => {
                        let failure = error.failure(&called);
                        (error, failure)
                    }
                },
            };
            let again = match ask.again {
                Again::Always => true,
                Again::Refused => !error.is_ambiguous(),
            };
            if !again || self.1 == Haste::Some && failure.kind == net::Kind::TimedOut {
                return Err(error);
            }
            self.rest(&mut backoff, failure, ask).await.map_err(|_| error)?;
        }
    }

    /// Waits until something may be tried again.
    async fn rest(
        &self,
        backoff: &mut Backoff,
        failure: Failure,
        ask: &Ask<'_>,
    ) -> Result<(), Failure> {
        let retry = backoff.after(failure)?;
        if let Some(listener) = &self.0.listener {
            listener(&Event::Retry { operation: ask.operation, part: ask.part, retry: &retry });
        }
        tokio::time::sleep(retry.wait).await;
        Ok(())
    }

    /// The error that an answer is, if it is one.
    async fn refusal(&self, ask: &Ask<'_>, called: &Called) -> Option<Error> {
        let error = |make: &dyn Fn(About<'_>) -> Error| self.error(ask.operation, ask.key, make);
        if !(200..300).contains(&called.status) || super::xml::refusal(&called.body).is_some() {
            return Some(error(&|about| Error::refusal(about, called)));
        }
        let etag = called.header("etag").map(ETag::new).filter(|_| ask.held)?;
        let md5 = ask.body.md5().await;
        md5.differs_from(&etag).then(|| {
            let said = format!("its MD5 is {}, and the ETag of it {etag}", md5.etag());
            error(&|about| Error::answered(about, Kind::Corrupted, called, &said))
        })
    }

    /// How long an answer may take.
    fn whole(&self) -> Duration {
        let idle = self.0.net.options().idle_timeout;
        match self.1 {
            Haste::None => idle.saturating_mul(WHOLE_AFTER),
            Haste::Some => idle,
        }
    }

    /// The signed request. Its time is that of now, so each try has its own.
    fn request(&self, ask: &Ask<'_>, address: &Address) -> Result<Request, String> {
        let inner = &*self.0;
        let mut headers = ask.headers.clone();
        let (payload, now) = (ask.body.sha256(), SystemTime::now());
        inner.signer.sign(&ask.method, address, payload, now, &mut headers)?;
        let idle = inner.net.options().idle_timeout;
        Ok(Request {
            method: ask.method.clone(),
            address: address.clone(),
            headers,
            body: ask.body.bytes().clone(),
            pace: inner.pace.clone(),
            idle: ask.idle.map_or(idle, |least| idle.max(least)),
            // Who puts parts together sends blanks meanwhile, for as long as it takes.
            whole: ask.idle.is_none().then(|| self.whole()),
            largest: LARGEST,
        })
    }

    /// A HEAD as anybody would make it.
    pub(super) async fn anonymous(&self, key: &Key) -> Result<Called, Error> {
        let operation = Operation::HeadAnonymous;
        let error = |make: &dyn Fn(About<'_>) -> Error| self.error(operation, Some(key), make);
        let address =
            self.url(key).map_err(|why| error(&|about| Error::new(about, Kind::Invalid, &why)))?;
        let ask = Ask::new(operation, Method::HEAD, Some(key));
        let mut backoff = Backoff::new(self.0.net.options().retries);
        loop {
            let request = Request {
                method: Method::HEAD,
                address: address.clone(),
                headers: Vec::new(),
                body: Bytes::new(),
                pace: None,
                idle: self.0.net.options().idle_timeout,
                whole: Some(self.whole()),
                largest: LARGEST,
            };
            let (error, failure) = match self.0.net.exchange(request).await {
                Ok(called) if called.status == 429 || called.status >= 500 => {
                    let error = error(&|about| Error::refusal(about, &called));
                    let failure = error.failure(&called);
                    (error, failure)
                }
                Ok(called) => return Ok(called),
                Err(failure) => (error(&|about| Error::transport(about, &failure)), failure),
            };
            self.rest(&mut backoff, failure, &ask).await.map_err(|_| error)?;
        }
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({} at {})", self.0.bucket, self.0.endpoint.address())
    }
}
