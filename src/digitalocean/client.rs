use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::budget::{Budget, Shared};
use super::error::{Error, Kind, documents, excerpt, until};
use super::token::Token;
use super::{Accounts, Actions, Images, Keys, Regions, Unread};
use crate::bytes::hex;
use crate::net::{self, Address, Backoff, Called, Failure, Header, LONGEST_ASKED, Method, Retry};

/// Where DigitalOcean's API is (`servers` of its description).
pub const PUBLISHED: &str = "https://api.digitalocean.com";

/// The longest answer that is read. A list of 200 images takes about 200 kB.
const LARGEST: usize = 4 << 20;

/// What a client says while it waits.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A call failed and will be made again.
    Retry(&'a Retry),
    /// There are no calls left for so long.
    Limited(Duration),
    /// Something is under way on DigitalOcean's side.
    Waiting {
        /// What.
        what: &'a str,
        /// How far it is; hostile text.
        status: &'a str,
        /// What DigitalOcean says beside it; hostile text.
        remark: Option<&'a str>,
        /// Why the last look showed nothing, if it failed.
        trouble: Option<&'a Error>,
        /// For how long.
        elapsed: Duration,
        /// When it is looked at again.
        next: Duration,
    },
    /// Something of a list cannot be read; the rest is.
    Unread(&'a Unread),
    /// Nobody knows whether an image was made; it is looked for.
    Settling {
        /// Why.
        because: &'a Error,
        /// For how long.
        elapsed: Duration,
        /// For how long at most.
        most: Duration,
    },
    /// No calls are taken for so long, and a create waits for that.
    CreateWaits(Duration),
    /// It was not found, and is posted once more, as was asked for. There may be two images then.
    PostingAgain {
        /// For how long it was looked for.
        looked: Duration,
    },
}

/// Is told of events.
pub type Listener = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// How a client is made.
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Options {
    /// Where the API is.
    pub base: Address,
    /// How requests are made. Its headers are replaced by the token's; plain http is spoken with loopback
    /// only.
    pub net: net::Options,
    /// Is told of events.
    pub listener: Option<Listener>,
}

/// DigitalOcean's API. Clones share one budget of calls and one set of connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    /// When its calls end, with or without an answer.
    end: Option<Instant>,
}

struct Inner {
    net: net::Client,
    base: Address,
    budget: Shared,
    token: Token,
    listener: Option<Listener>,
}

/// When a call is made again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// Never: nobody knows what the first one did.
    Never,
    /// If it was refused because there were too many: it had no effect.
    Refused,
    /// Whenever that may help: it changes nothing.
    Always,
}

/// A call.
pub(super) struct Call {
    pub(super) method: Method,
    /// Below the base, such as `v2/images`.
    pub(super) path: String,
    pub(super) body: Option<Vec<u8>>,
    /// What it needs, by the API's documentation.
    pub(super) scope: &'static str,
    pub(super) again: Again,
    /// Whether the answer may have a secret that nobody knows yet: nothing of its body is shown then.
    pub(super) hushed: bool,
}

impl Call {
    pub(super) fn get(path: impl Into<String>, scope: &'static str) -> Self {
        let (method, path, again) = (Method::GET, path.into(), Again::Always);
        Call { method, path, body: None, scope, again, hushed: false }
    }

    /// One that changes something.
    pub(super) fn change(
        method: Method,
        path: impl Into<String>,
        scope: &'static str,
        body: Option<&impl Serialize>,
    ) -> Result<Self, Error> {
        let body = body.map(serde_json::to_vec).transpose();
        let body = body.map_err(|e| Error::new(Kind::Unexpected, e.to_string()))?;
        let (path, again) = (path.into(), Again::Refused);
        Ok(Call { method, path, body, scope, again, hushed: false })
    }

    /// One of whose answer nothing is shown but its status.
    pub(super) fn hushed(self) -> Self {
        Call { hushed: true, ..self }
    }

    /// What stands in its answer, under `key`.
    pub(super) fn read<T: DeserializeOwned>(
        &self,
        called: &Called,
        key: &'static str,
    ) -> Result<T, Error> {
        let read = || {
            let mut value = document(called)?;
            part(called, value.get_mut(key).map_or(Value::Null, Value::take), key)
        };
        read().map_err(|error: Error| match self.hushed {
            true => {
                let said = format!("there is no \"{key}\" in it of the form that it has to have");
                Error::unusable(error.kind, called, said)
            }
            false => error,
        })
    }
}

impl Client {
    /// A client that speaks with this token.
    ///
    /// # Errors
    /// If the base is neither https nor loopback, or has credentials or a query; if certificates cannot be
    /// used.
    pub fn new(token: &Token, options: Options) -> Result<Client, String> {
        let Options { base, mut net, listener } = options;
        if !base.is_https() && !base.is_loopback() {
            return Err(format!("{base} is plain http: the token could be read on the way"));
        }
        if base.has_credentials() || base.has_query() {
            return Err(format!("{base} has more than a host and a path"));
        }
        net.insecure_http = base.is_loopback();
        // A proxy would have the token in plain text, and its own machine would be meant.
        net.only = base.is_loopback().then(Vec::new);
        net.headers = vec![Header::parse(&format!("Authorization: Bearer {}", token.reveal()))?];
        let net = net::Client::new(net)?;
        let (budget, token) = (Shared::default(), token.clone());
        Ok(Client { inner: Arc::new(Inner { net, base, budget, token, listener }), end: None })
    }

    /// The same client, whose calls end by then: a call that hangs, or would wait for longer, fails with
    /// what is known.
    #[must_use]
    pub fn until(&self, end: Instant) -> Client {
        let end = self.end.map_or(end, |known| known.min(end));
        Client { inner: Arc::clone(&self.inner), end: Some(end) }
    }

    /// What tells its token from others, with salt, in hexadecimal. It tells nothing of the token: nobody tries out
    /// all that are possible.
    #[must_use]
    pub fn token_digest(&self, salt: &str) -> String {
        hex(&Sha256::digest(format!("{salt} token {}", self.inner.token.reveal())))
    }

    /// The time by the API's clock, by which alone it is known how old something of the account is.
    ///
    /// # Errors
    /// If no answer has said it.
    pub fn time(&self) -> Result<SystemTime, Error> {
        let said = "no answer has a date, so nobody knows how old anything is";
        self.inner.net.server_time().ok_or_else(|| Error::new(Kind::Incomplete, said))
    }

    /// The account that the token is of.
    #[must_use]
    pub fn account(&self) -> Accounts {
        Accounts(self.clone())
    }

    /// Images.
    #[must_use]
    pub fn images(&self) -> Images {
        Images(self.clone())
    }

    /// Actions of all kinds.
    #[must_use]
    pub fn actions(&self) -> Actions {
        Actions(self.clone())
    }

    /// Keys for Spaces.
    #[must_use]
    pub fn keys(&self) -> Keys {
        Keys(self.clone())
    }

    /// Regions.
    #[must_use]
    pub fn regions(&self) -> Regions {
        Regions(self.clone())
    }

    /// How many calls are left, as far as it is known.
    #[must_use]
    pub fn budget(&self) -> Budget {
        self.inner.budget.get()
    }

    /// Waits for a future, on a thread that is not one of the client's own.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.inner.net.wait(future)
    }

    /// How often a call may be made again.
    pub(super) fn retries(&self) -> u32 {
        self.inner.net.options().retries
    }

    pub(super) fn tell(&self, event: &Event<'_>) {
        if let Some(listener) = &self.inner.listener {
            listener(event);
        }
    }

    /// Makes a call, as often as it may be made; the answer is one of success.
    pub(super) async fn call(&self, call: &Call) -> Result<Called, Error> {
        let inner = &*self.inner;
        let address = inner.base.below(&call.path);
        let address = address.map_err(|why| Error::new(Kind::Unexpected, why))?;
        let mut backoff = Backoff::new(self.retries());
        loop {
            let taken = loop {
                match inner.budget.take() {
                    Ok(taken) => break taken,
                    Err((wait, _)) if wait <= LONGEST_ASKED && self.has(wait) => {
                        self.tell(&Event::Limited(wait));
                        tokio::time::sleep(wait).await;
                    }
                    Err((_, until)) => {
                        return Err(Error::limited(until));
                    }
                }
            };
            let (error, failure) = match self.exchange(call, &address).await {
                Err(failure) => (Error::transport(&failure), failure),
                Ok(called) => {
                    self.log_budget(&called);
                    taken.answered(&called);
                    if (200..300).contains(&called.status) {
                        return Ok(called);
                    }
                    let error = match call.hushed {
                        true => Error::hushed(&called, call.scope),
                        false => Error::refusal(&called, call.scope),
                    };
                    let failure = failure(&called, &error);
                    (error, failure)
                }
            };
            let again = match call.again {
                Again::Never => false,
                Again::Refused => matches!(error.kind, Kind::RateLimited { .. }),
                Again::Always => true,
            };
            if !again {
                return Err(error);
            }
            let Ok(retry) = backoff.after(failure) else { return Err(error) };
            if !self.has(retry.wait) {
                return Err(error);
            }
            self.tell(&Event::Retry(&retry));
            tokio::time::sleep(retry.wait).await;
        }
    }

    /// Whether there is so much time left.
    fn has(&self, wait: Duration) -> bool {
        self.end.is_none_or(|end| Instant::now() + wait < end)
    }

    /// One request and its answer.
    async fn exchange(&self, call: &Call, address: &Address) -> Result<Called, Failure> {
        let answer = self.inner.net.call(call.method.clone(), address, call.body.clone(), LARGEST);
        let Some(end) = self.end else { return answer.await };
        tokio::time::timeout_at(end.into(), answer).await.unwrap_or_else(|_| {
            Err(Failure::new(net::Kind::TimedOut, address, "the API did not answer in time"))
        })
    }

    /// Says how many calls are left, to who wants to see what is answered.
    fn log_budget(&self, called: &Called) {
        let number = |name| called.header(name)?.trim().parse::<u64>().ok();
        if let (Some(log), Some(left)) =
            (&self.inner.net.options().log, number("ratelimit-remaining"))
        {
            let of =
                number("ratelimit-limit").map_or_else(String::new, |limit| format!(" of {limit}"));
            log.tell(&format!("rate limit: {left}{of} calls left"));
        }
    }

    /// What stands in an answer, under `key`.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        call: &Call,
        key: &'static str,
    ) -> Result<T, Error> {
        call.read(&self.call(call).await?, key)
    }
}

/// The JSON document that an answer is.
pub(super) fn document(called: &Called) -> Result<Value, Error> {
    documents(&called.body)
        .next()
        .ok_or_else(|| Error::unusable(Kind::NotJson, called, excerpt(&called.body)))
}

/// A value out of an answer as what it has to be.
pub(super) fn part<T: DeserializeOwned>(
    called: &Called,
    value: Value,
    key: &str,
) -> Result<T, Error> {
    serde_json::from_value(value)
        .map_err(|e| Error::unusable(Kind::Incomplete, called, format!("\"{key}\": {e}")))
}

/// The failure that a refusing answer is, for the rules of trying again.
fn failure(called: &Called, error: &Error) -> Failure {
    let kind = net::Kind::Status(called.status);
    // What the server asks for in so many words comes before the end of the hour.
    let wait = until(called)
        .filter(|_| matches!(called.status, 429 | 503))
        .and_then(|until| until.duration_since(SystemTime::now()).ok());
    Failure { retry_after: wait, ..Failure::new(kind, &called.address, error.to_string()) }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.inner.base).finish()
    }
}
