use std::borrow::Cow;
use std::fmt;
use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{
    ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue,
};

use super::client::masked_headers;
use super::pace::{Pieces, Progress};
use super::secret::masked;
use super::{Address, Client, Failure, Header, Kind, Pace, header};

/// An answer has to be whole after so many times the time that nothing may come: it is short, and a server that
/// sends a byte now and then is never silent.
pub const WHOLE_AFTER: u32 = 2;

/// An answer that was read to its end, without the secrets of this process wherever a server may have put them.
pub struct Called {
    /// What was asked.
    pub address: Address,
    /// The status, whatever it is; redirects are not followed.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    headers: HeaderMap,
}

impl Called {
    /// The one value of a header: none if there are several that differ, or one that is no text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header::only(&self.headers, name)
    }

    /// All values of a header, as one list.
    #[must_use]
    pub fn list(&self, name: &str) -> Option<String> {
        header::list(&self.headers, name)
    }
}

impl fmt::Debug for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {} with {} bytes", self.status, self.address, self.body.len())
    }
}

/// A request with all that it needs; what its headers say is a secret.
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Request {
    /// The method.
    pub method: Method,
    /// What is asked.
    pub address: Address,
    /// All headers but those that every request has.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What is sent along.
    pub body: Bytes,
    /// How fast it is sent at most.
    pub pace: Option<Pace>,
    /// How long nothing may be sent or come.
    pub idle: Duration,
    /// How long the body of the answer may take; without it, as long as something comes.
    pub whole: Option<Duration>,
    /// The longest body of an answer that is read, in bytes.
    pub largest: usize,
}

impl Client {
    /// One request of a program's interface, with a JSON body if there is one, and its answer, of at most
    /// `largest` bytes. The user's headers go along; nothing is asked twice and no redirect is followed, so
    /// they go nowhere else. It takes twice the time at most that nothing may come.
    ///
    /// # Errors
    /// If there is no whole answer. [`Failure::unsent`] tells whether the server can know of the request.
    pub async fn call(
        &self,
        method: Method,
        address: &Address,
        body: Option<Vec<u8>>,
        largest: usize,
    ) -> Result<Called, Failure> {
        let mut headers = vec![(ACCEPT, HeaderValue::from_static("application/json"))];
        for Header { name, value } in &self.options().headers {
            headers.push((name.clone(), value.clone()));
        }
        if body.is_some() {
            headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        }
        let (address, body) = (address.clone(), body.unwrap_or_default().into());
        let idle = self.options().idle_timeout;
        let most = idle.saturating_mul(WHOLE_AFTER);
        let late = late(&address, most);
        let request =
            Request { method, address, headers, body, pace: None, idle, whole: None, largest };
        tokio::time::timeout(most, self.exchange(request)).await.unwrap_or(Err(late))
    }

    /// One request and its answer. The user's headers do not go along; nothing is asked twice and no
    /// redirect is followed.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn exchange(&self, request: Request) -> Result<Called, Failure> {
        let Request { method, address, headers, body, pace, idle, whole, largest } = request;
        self.allow(&address).map_err(|failure| Failure { unsent: true, ..failure })?;
        let progress = Progress::new();
        let mut builder = self.patient.request(method.clone(), address.url().clone());
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        if body.is_empty() && matches!(method, Method::POST | Method::PUT) {
            // There are servers that want to be told that nothing comes.
            builder = builder.header(CONTENT_LENGTH, 0);
        } else if !body.is_empty() {
            let pieces = Pieces::new(body, pace, progress.clone());
            builder = builder.body(reqwest::Body::wrap(pieces));
        }
        let stalled = || Failure::new(Kind::TimedOut, &address, "nothing came for too long");
        let asked = Instant::now();
        let result = tokio::select! {
            result = builder.send() => result.map_err(|e| Failure::from_client(&address, e)),
            () = progress.stalled(idle) => Err(stalled()),
        };
        self.log(&method, &address, &[], asked, &result);
        let mut response = masked_headers(result?);
        let mut body = Vec::new();
        let began = Instant::now();
        loop {
            let left = whole.map_or(idle, |whole| whole.saturating_sub(began.elapsed()));
            let chunk = tokio::time::timeout(left.min(idle), response.chunk()).await;
            let chunk = chunk.map_err(|_| match whole {
                Some(whole) if left < idle => late(&address, whole),
                _ => stalled(),
            })?;
            let Some(chunk) = chunk.map_err(|e| Failure::from_client(&address, e))? else { break };
            if body.len() + chunk.len() > largest {
                let said = format!("the answer is larger than {largest} bytes");
                return Err(Failure::new(Kind::Protocol, &address, said));
            }
            body.extend_from_slice(&chunk);
        }
        let (status, headers) =
            (response.status().as_u16(), std::mem::take(response.headers_mut()));
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        if let Some(date) = date.and_then(|date| httpdate::parse_http_date(date).ok()) {
            *self.dated.lock().unwrap_or_else(PoisonError::into_inner) =
                Some((date, Instant::now()));
        }
        if let Cow::Owned(clean) = masked(&body) {
            body = clean;
        }
        Ok(Called { address, status, body, headers })
    }
}

impl Client {
    /// The time by the clock of the server that answered a call last; it may be a little behind, and is never ahead.
    /// `None` if none has said it.
    #[must_use]
    pub fn server_time(&self) -> Option<SystemTime> {
        let (date, came) = (*self.dated.lock().unwrap_or_else(PoisonError::into_inner))?;
        date.checked_add(came.elapsed())
    }
}

fn late(address: &Address, most: Duration) -> Failure {
    let said = format!("the answer was not whole after {} s", most.as_secs_f64().round());
    Failure::new(Kind::TimedOut, address, said)
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} with {} bytes", self.method, self.address, self.body.len())
    }
}
