use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, LOCATION, RANGE,
    RETRY_AFTER, TRANSFER_ENCODING,
};
use reqwest::{Method, Response, Version, redirect};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use crate::bytes::Hostile;

use super::flow::Flow;
use super::reach::{NotPublic, PublicOnly, is_public};
use super::retry::{LONGEST_ASKED, retry_after};
use super::secret::masked;
use super::{Address, Failure, Header, Kind, header, trust};

/// Bytes a second that a server has to send at least. A line that is slower takes more than two years for 100 GB.
const LEAST_RATE: u64 = 1 << 10;

/// How requests are made.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Options {
    /// Go to the origin that the user named, and nowhere else.
    pub headers: Vec<Header>,
    /// If there is one, the headers go to its origin only, whatever else is asked for.
    pub headers_for: Option<Address>,
    /// A PEM file of further certificate authorities.
    pub cacert: Option<PathBuf>,
    /// Whether http is spoken without TLS.
    pub insecure_http: bool,
    /// If given, only the machine itself and these hosts are asked, redirects included.
    pub only: Option<Vec<String>>,
    /// Whether only addresses that can be reached from anywhere are asked, redirects included: the address that is
    /// connected to decides, before anything is sent.
    pub public_only: bool,
    /// How many redirects in a row are followed at most.
    pub redirects: usize,
    /// Whether no proxy is asked, whatever the environment says.
    pub direct: bool,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long nothing may come.
    pub idle_timeout: Duration,
    /// How many bytes a second have to come at least of one reading, by all its connections together; each is held
    /// against its share over a time of waiting as long as `idle_timeout`. None is no rate.
    pub least_rate: u64,
    /// How often in a row something is tried again.
    pub retries: u32,
    /// How many connections read one object at once.
    pub connections: usize,
    /// Is told of every request and its answer, without secrets.
    pub log: Option<Log>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            headers: Vec::new(),
            headers_for: None,
            cacert: None,
            insecure_http: false,
            only: None,
            public_only: false,
            redirects: 10,
            direct: false,
            connect_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(30),
            least_rate: LEAST_RATE,
            retries: 5,
            connections: 4,
            log: None,
        }
    }
}

impl Options {
    /// Whether no proxy is asked: if nothing but this machine is meant, a proxy would look for the addresses of
    /// this machine on its own.
    fn is_direct(&self) -> bool {
        self.direct || self.only.as_ref().is_some_and(Vec::is_empty)
    }
}

/// Who is told of requests.
#[derive(Clone)]
pub struct Log(Arc<dyn Fn(&str) + Send + Sync>);

impl Log {
    /// Tells this function.
    pub fn new(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Log(Arc::new(tell))
    }

    /// Tells a line.
    pub fn tell(&self, line: &str) {
        (self.0)(line);
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}

/// Makes requests. It never decompresses, and follows redirects itself, because it has to know where
/// they lead and who answered.
pub struct Client {
    runtime: Handle,
    http: reqwest::Client,
    /// Without a limit of time: a body on its way out is no silence, which that limit does not know.
    pub(super) patient: reqwest::Client,
    proxies: Arc<Matcher>,
    options: Options,
    /// What the last answer to a call said of the time, and when it came.
    pub(super) dated: Mutex<Option<(SystemTime, Instant)>>,
}

/// One answer on the way to the last one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Hop {
    /// What was asked.
    pub address: Address,
    /// The status.
    pub status: u16,
    /// Who answered, unless a proxy stands between.
    pub peer: Option<IpAddr>,
}

/// An answer whose body has not been read.
pub struct Answer {
    /// What was asked last.
    pub address: Address,
    /// The status.
    pub status: u16,
    /// All answers, this one last.
    pub hops: Vec<Hop>,
    response: Response,
    flow: Flow,
}

impl Answer {
    /// The one value of a header: none if there are several that differ, or one that is no text.
    #[must_use]
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        header::only(self.response.headers(), name)
    }

    /// All values of a header, as one list.
    #[must_use]
    pub fn list(&self, name: HeaderName) -> Option<String> {
        header::list(self.response.headers(), name)
    }

    /// The next bytes of the body, `None` at its end.
    ///
    /// # Errors
    /// If the connection fails before, or is slower than it may be.
    pub async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, Failure> {
        let asked = Instant::now();
        let chunk = self.response.chunk().await;
        let chunk = chunk.map_err(|e| Failure::from_client(&self.address, e))?;
        if let Some(bytes) = &chunk {
            self.flow.note(bytes.len(), asked.elapsed()).map_err(|little| {
                let said = format!("{little}; --min-rate says how slow it may be");
                Failure::new(Kind::TimedOut, &self.address, said)
            })?;
        }
        Ok(chunk)
    }

    /// Whether the end of the body can be told from a connection that broke: by a length, by chunks or by frames.
    #[must_use]
    pub fn is_framed(&self) -> bool {
        let chunked = self.list(TRANSFER_ENCODING);
        self.header(CONTENT_LENGTH).is_some()
            || chunked.is_some_and(|coding| coding.to_ascii_lowercase().contains("chunked"))
            || self.response.version() > Version::HTTP_11
    }

    /// The failure that a refusing status is.
    #[must_use]
    pub fn refusal(&self) -> Failure {
        let name = reqwest::StatusCode::from_u16(self.status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or("(no known status)");
        let mut said = format!("the server answered {} {name}", self.status);
        let asked = self.header(RETRY_AFTER).and_then(retry_after);
        if let Some(asked) = asked.filter(|asked| *asked > LONGEST_ASKED) {
            said.push_str(&format!(", and wants to be asked again after {} s", asked.as_secs()));
        }
        let kind = match self.status {
            300..400 => {
                said.push_str(", and does not say where to");
                Kind::Redirect
            }
            status => Kind::Status(status),
        };
        Failure { retry_after: asked, ..Failure::new(kind, &self.address, said) }
    }
}

impl Client {
    /// A client.
    ///
    /// # Errors
    /// If the certificates cannot be used, or the system gives no threads.
    pub fn new(options: Options) -> Result<Client, String> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let trust = trust::config(options.cacert.as_deref())?;
        let builder = || {
            let mut builder = reqwest::Client::builder();
            if options.is_direct() {
                builder = builder.no_proxy();
            }
            if options.public_only {
                builder = builder.dns_resolver(Arc::new(PublicOnly));
            }
            builder
                .tls_backend_preconfigured(trust.clone())
                .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
                .default_headers(headers.clone())
                .redirect(redirect::Policy::none())
                .referer(false)
                .retry(reqwest::retry::never())
                .no_gzip()
                .no_brotli()
                .no_zstd()
                .no_deflate()
                .connect_timeout(options.connect_timeout)
        };
        let patient = builder().build().map_err(|e| e.to_string())?;
        let http = builder().read_timeout(options.idle_timeout).build();
        let http = http.map_err(|e| e.to_string())?;
        let (proxies, dated) = (Arc::new(Matcher::from_system()), Mutex::default());
        Ok(Client { runtime: runtime()?, http, patient, proxies, options, dated })
    }

    /// How it was made.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Waits for a future, on a thread that is not one of the client's own.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Runs a future beside.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.runtime.spawn(future)
    }

    /// Asks for `address`, follows redirects, and returns the first answer that is none, whatever its
    /// status. The user's headers go along as far as the origin is that of `origin`.
    ///
    /// # Errors
    /// If there is no such answer.
    pub async fn send(
        &self,
        method: Method,
        address: &Address,
        origin: &Address,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<Answer, Failure> {
        let mut address = address.clone();
        let mut hops = Vec::new();
        loop {
            self.allow(&address)?;
            let mut request = self.http.request(method.clone(), address.url().clone());
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let meant = self.options.headers_for.as_ref().unwrap_or(origin);
            if address.same_origin(origin) && address.same_origin(meant) {
                for Header { name, value } in &self.options.headers {
                    request = request.header(name, value);
                }
            }
            let asked = Instant::now();
            let result = request.send().await.map_err(|e| Failure::from_client(&address, e));
            self.log(&method, &address, headers, asked, &result);
            let response = masked_headers(result?);
            let status = response.status();
            let peer = match self.is_proxied(&address) {
                true => None,
                false => response.remote_addr().map(|peer| peer.ip()),
            };
            hops.push(Hop { address: address.clone(), status: status.as_u16(), peer });
            let leads = response.headers().contains_key(LOCATION);
            if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) || !leads {
                let connections = self.options.connections.max(1) as u64;
                let least = self.options.least_rate.div_ceil(connections);
                let flow = Flow::new(least, self.options.idle_timeout);
                return Ok(Answer { address, status: status.as_u16(), hops, response, flow });
            }
            if hops.len() > self.options.redirects {
                let said = match self.options.redirects {
                    0 => "it leads elsewhere by a redirect, and none is followed".to_owned(),
                    most => format!("there are more than {most} redirects"),
                };
                return Err(Failure::new(Kind::Redirect, &address, said));
            }
            address = redirected(&address, &response)?;
        }
    }

    /// Refuses plain http, unless it was asked for, and hosts that are not to be asked.
    pub(super) fn allow(&self, address: &Address) -> Result<(), Failure> {
        if let Some(only) = &self.options.only
            && !address.is_loopback()
            && !only.iter().any(|host| host.eq_ignore_ascii_case(address.host()))
        {
            let said = format!("{} is not among the hosts that may be asked", address.host());
            return Err(Failure::new(Kind::Redirect, address, said));
        }
        if self.options.public_only {
            self.allow_public(address)?;
        }
        match address.is_https() || self.options.insecure_http {
            true => Ok(()),
            false => Err(Failure::new(
                Kind::Redirect,
                address,
                "the address is plain http, which anybody on the way can change; --insecure-http reads it all the same",
            )),
        }
    }

    /// Refuses an address that is private as it is written, and a proxy, which would look for names on its own. What
    /// names lead to is seen when they are resolved.
    fn allow_public(&self, address: &Address) -> Result<(), Failure> {
        let said = match address.ip() {
            _ if self.is_proxied(address) => {
                "a proxy stands between, so nobody here sees which address is asked; NO_PROXY goes around it"
                    .to_owned()
            }
            Some(ip) if !is_public(ip) => NotPublic(ip).to_string(),
            _ => return Ok(()),
        };
        Err(Failure::new(Kind::Private, address, said))
    }

    /// The same client with the same connections; if it tells of its requests, it tells this one.
    #[must_use]
    pub fn telling(&self, log: Log) -> Self {
        let log = self.options.log.as_ref().map(|_| log);
        Client {
            runtime: self.runtime.clone(),
            http: self.http.clone(),
            patient: self.patient.clone(),
            proxies: Arc::clone(&self.proxies),
            options: Options { log, ..self.options.clone() },
            dated: Mutex::default(),
        }
    }

    pub(super) fn log(
        &self,
        method: &Method,
        address: &Address,
        headers: &[(HeaderName, HeaderValue)],
        asked: Instant,
        result: &Result<Response, Failure>,
    ) {
        let Some(log) = &self.options.log else { return };
        let range = headers.iter().find(|(name, _)| *name == RANGE);
        let range = range.and_then(|(_, value)| value.to_str().ok());
        let range = range.map_or(String::new(), |range| format!(" {range}"));
        let answer = match result {
            Ok(response) => response.status().as_u16().to_string(),
            Err(failure) => Hostile::from(failure.said.as_str()).to_string(),
        };
        let millis = asked.elapsed().as_millis();
        log.tell(&format!("{method} {address}{range} → {answer} ({millis} ms)"));
    }

    /// Whether a proxy stands between, so that nobody here sees who answers.
    #[must_use]
    pub fn is_proxied(&self, address: &Address) -> bool {
        let uri = address.url().as_str().parse();
        !self.options.is_direct() && uri.is_ok_and(|uri| self.proxies.intercept(&uri).is_some())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.options).finish()
    }
}

/// An answer whose headers have no secret of this process; of what is no longer a header, nothing is left.
pub(super) fn masked_headers(mut response: Response) -> Response {
    for value in response.headers_mut().values_mut() {
        if let Cow::Owned(clean) = masked(value.as_bytes()) {
            let clean = String::from_utf8_lossy(&clean).replace('…', "...");
            *value = clean.parse().unwrap_or(HeaderValue::from_static(""));
        }
    }
    response
}

/// The threads of the network, once for the whole process: tasks may outlive whoever began them.
fn runtime() -> Result<Handle, String> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime.handle().clone());
    }
    let made = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("net")
        .enable_all()
        .build()
        .map_err(|e| format!("no threads for the network: {e}"))?;
    Ok(RUNTIME.get_or_init(|| made).handle().clone())
}

/// Where a redirect leads to.
fn redirected(from: &Address, response: &Response) -> Result<Address, Failure> {
    let fail = |said: String| Failure::new(Kind::Redirect, from, said);
    let location = header::only(response.headers(), LOCATION);
    let location = location
        .ok_or_else(|| fail("a redirect does not say where to, or names several places".into()))?;
    let to = from.join(location).map_err(|e| fail(format!("a redirect is not followed: {e}")))?;
    if from.is_https() && !to.is_https() {
        return Err(fail(format!("a redirect leads from https to plain http ({to})")));
    }
    Ok(to)
}
