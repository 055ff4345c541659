use std::fmt;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::api::{self, Request};
use super::bucket::{self, Body, Bucket};
use super::faults::{Plan, Trouble};
use super::limits::{Left, Limits, Rates};
use super::log::{Line, Log};
use super::model::{Progress, Status};
use super::reply::Reply;
use super::store::Store;
use super::token::{Token, request_id};
use super::{actions, import};
use crate::net::{self, Client};

/// Images that are examined at once.
const IMPORTS_AT_ONCE: usize = 4;
/// No body of a request of this API is near it.
const LARGEST_BODY: usize = 1 << 20;

/// How to simulate.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Options {
    /// Where to listen; the port 0 is any that is free.
    pub listen: SocketAddr,
    /// Where images and actions are kept from one run to the next.
    pub state: Option<PathBuf>,
    /// Which requests go wrong.
    pub faults: Plan,
    /// Gets a JSON line for each request.
    pub log: Option<Arc<File>>,
    /// Hosts beside this machine that images are fetched from.
    pub allow_fetch: Vec<String>,
    /// How long each step of an import or an action takes at least.
    pub pace: Duration,
    /// How many requests may be made.
    pub rates: Rates,
    /// How actions are answered.
    pub shape: Shape,
    /// Whether some public images are there.
    pub public_images: bool,
    /// Is told what went wrong beside the answers.
    pub complain: fn(&str),
}

impl Default for Options {
    /// On any free port of this machine, with nothing kept and nothing wrong; steps take no time.
    fn default() -> Self {
        Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            state: None,
            faults: Plan::default(),
            log: None,
            allow_fetch: Vec::new(),
            pace: Duration::ZERO,
            rates: Rates::default(),
            shape: Shape::default(),
            public_images: false,
            complain: |_| {},
        }
    }
}

/// The form of an answer that is one action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// `{"action": {…}}`, as published.
    #[default]
    Wrapped,
    /// `{…}`, as the types of DigitalOcean's SDK for Gradient have it.
    Bare,
}

/// The simulator, serving until it is dropped.
pub struct Simulator {
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

/// What all requests share.
pub(super) struct Shared {
    /// `http://127.0.0.1:PORT`
    pub(super) base: String,
    pub(super) pace: Duration,
    pub(super) shape: Shape,
    pub(super) client: Arc<Client>,
    /// One for each image that may be examined now.
    pub(super) turns: Semaphore,
    pub(super) bucket: Bucket,
    token: Token,
    store: Mutex<Store>,
    plan: Mutex<Plan>,
    limits: Mutex<Limits>,
    log: Option<Log>,
    complain: fn(&str),
}

impl Simulator {
    /// Listens, and goes on with what an earlier run left unfinished.
    ///
    /// # Errors
    /// If it cannot listen there, or cannot use one of the files.
    pub fn start(options: Options) -> Result<Simulator, String> {
        if !options.listen.ip().is_loopback() {
            return Err(format!(
                "{} is no address of this machine alone (127.0.0.1 or [::1])",
                options.listen
            ));
        }
        let client = Arc::new(Client::new(net::Options {
            insecure_http: true,
            only: Some(options.allow_fetch),
            ..net::Options::default()
        })?);
        let cannot = |e| format!("cannot listen on {}: {e}", options.listen);
        let listener = TcpListener::bind(options.listen).map_err(cannot)?;
        listener.set_nonblocking(true).map_err(cannot)?;
        if let Some(dir) = &options.state {
            // Nothing is written where something is not a simulator's.
            Store::read(dir)
                .map(drop)
                .and_then(|()| Bucket::look(dir))
                .map_err(|e| format!("--state: {e}"))?;
        }
        let mut store =
            Store::open(options.state.as_deref()).map_err(|e| format!("--state: {e}"))?;
        if options.public_images {
            store.publish();
        }
        let bucket = Bucket::open(options.state.as_deref()).map_err(|e| format!("--state: {e}"))?;
        let log = options.log.map(Log::new);
        let shared = Arc::new(Shared {
            base: format!("http://{}", listener.local_addr().map_err(cannot)?),
            pace: options.pace,
            shape: options.shape,
            client: Arc::clone(&client),
            turns: Semaphore::new(IMPORTS_AT_ONCE),
            bucket,
            token: Token::random()?,
            store: Mutex::new(store),
            plan: Mutex::new(options.faults),
            limits: Mutex::new(Limits::new(options.rates)),
            log,
            complain: options.complain,
        });
        resume(&shared);
        let listener =
            client.wait(async { tokio::net::TcpListener::from_std(listener) }).map_err(cannot)?;
        let serving = client.spawn(serve(Arc::clone(&shared), listener));
        Ok(Simulator { shared, serving })
    }

    /// The address of the API, without a path.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.shared.base
    }

    /// What a client has to show. It is nowhere else, so whoever asks must keep it from logs.
    #[must_use]
    pub fn token(&self) -> &str {
        self.shared.token.reveal()
    }

    /// The bucket that it serves, and the key to it.
    #[must_use]
    pub fn spaces(&self) -> Spaces<'_> {
        let root = &self.shared.bucket.root;
        Spaces {
            endpoint_url: &self.shared.base,
            access_key_id: &root.access_key,
            secret_access_key: root.secret_key.reveal(),
            bucket: bucket::NAME,
            region: bucket::REGION,
        }
    }
}

/// What a client of the bucket has to know.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Spaces<'a> {
    /// The address, without a path; the bucket is the first part of the path behind it.
    pub endpoint_url: &'a str,
    /// The public half of a key that may do everything.
    pub access_key_id: &'a str,
    /// The secret half. It is nowhere else, so whoever asks must keep it from logs.
    pub secret_access_key: &'a str,
    /// The name of the bucket.
    pub bucket: &'a str,
    /// The region that requests are signed for.
    pub region: &'a str,
}

impl fmt::Debug for Spaces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Spaces").field(&self.endpoint_url).field(&self.bucket).finish()
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Simulator").field(&self.shared.base).finish()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        locked(&self.store)
    }

    pub(super) fn plan(&self) -> MutexGuard<'_, Plan> {
        locked(&self.plan)
    }

    /// A text from outside without the secrets that a client may have put where they do not belong.
    pub(super) fn hidden(&self, text: &str) -> String {
        let text = text.replace(self.token.reveal(), "…");
        let text = text.replace(self.bucket.root.secret_key.reveal(), "…");
        let contents = self.bucket.contents();
        contents.keys.iter().fold(text, |text, key| text.replace(key.secret_key.reveal(), "…"))
    }

    /// Writes a line of the log, if there is one.
    pub(super) fn note(&self, line: &Line<'_>) {
        if let Some(log) = &self.log {
            log.write(line);
        }
    }

    /// Keeps what a request changed.
    pub(super) fn saved(&self, store: &Store, request: &Request) -> Result<(), Reply> {
        store.save().map_err(|why| Reply { why: Some(why), ..Reply::error(500, &request.id) })
    }

    /// Keeps what changed by itself.
    pub(super) fn save(&self, store: &Store) {
        if let Err(why) = store.save() {
            (self.complain)(&why);
        }
    }
}

/// Nothing that is locked here is left half changed by a panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn resume(shared: &Arc<Shared>) {
    let (images, under_way): (Vec<u64>, Vec<u64>) = {
        let store = shared.store();
        let unfinished = |status| matches!(status, Status::New | Status::Pending);
        let images = store.images.iter().map(|record| &record.image);
        let actions = store.actions.iter();
        (
            images.filter(|image| unfinished(image.status)).map(|image| image.id).collect(),
            actions
                .filter(|action| action.status == Progress::UnderWay)
                .map(|action| action.id)
                .collect(),
        )
    };
    images.into_iter().for_each(|id| import::start(shared, id));
    under_way.into_iter().for_each(|id| actions::follow(shared, id));
}

async fn serve(shared: Arc<Shared>, listener: tokio::net::TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely; some will be free again.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Answers are small, and tests are many.
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| exchange(&shared, request));
            // A connection that ends early is the business of its client; or it was planned.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The end of a connection without an answer.
#[derive(Debug)]
pub(super) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection was cut by plan")
    }
}

impl std::error::Error for Cut {}

async fn exchange(
    shared: &Arc<Shared>,
    request: hyper::Request<Incoming>,
) -> Result<Response<Body>, Cut> {
    if bucket::is_addressed(request.uri().path(), request.headers()) {
        return bucket::exchange(shared, request).await;
    }
    let began = Instant::now();
    let (head, body) = request.into_parts();
    let authorized = head
        .headers
        .get(AUTHORIZATION)
        .is_some_and(|shown| shared.token.is_shown_by(shown.as_bytes()));
    let mut request = Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        body: Vec::new(),
        id: request_id(),
    };
    let mut faults = Vec::new();
    let reply = match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(body) => {
            request.body = body.to_bytes().to_vec();
            answer(shared, &request, authorized, &mut faults)
        }
        Err(_) => Ok(Reply::error(400, &request.id)),
    };
    write_log(shared, &request, began, &faults, reply.as_ref().ok());
    reply.map(|reply| response(reply, &request, locked(&shared.limits).left(Instant::now())))
}

/// The answer, and the names of the faults that were met on the way to it.
fn answer(
    shared: &Arc<Shared>,
    request: &Request,
    authorized: bool,
    faults: &mut Vec<String>,
) -> Result<Reply, Cut> {
    let parts = request.parts();
    if request.method == "GET" && parts == ["_simulator", "state"] {
        let mut shown = shared.store().shown();
        (shown["objects"], shown["uploads"], shown["versions"]) = shared.bucket.contents().shown();
        return Ok(Reply::json(200, &shown));
    }
    if !authorized {
        return Ok(Reply::error(401, &request.id));
    }
    if let Err(exceeded) = locked(&shared.limits).count(Instant::now()) {
        return Ok(Reply { retry_after: exceeded.retry_after, ..Reply::error(429, &request.id) });
    }
    let met = locked(&shared.plan).meet(&request.method, &parts);
    let (names, troubles): (Vec<String>, Vec<Trouble>) = met.into_iter().unzip();
    *faults = names;
    // The first of the plan that takes the answer away decides.
    let instead = troubles
        .iter()
        .find(|trouble| matches!(trouble, Trouble::Answer { .. } | Trouble::Cut { .. }));
    match instead {
        None => Ok(api::answer(shared, request, &troubles)),
        Some(Trouble::Answer { status, message, retry_after, effect }) => {
            if *effect {
                api::answer(shared, request, &troubles);
            }
            let reply = match *status {
                502.. => Reply::page(*status),
                _ => Reply::said(*status, message.as_deref(), &request.id),
            };
            Ok(Reply { retry_after: *retry_after, ..reply })
        }
        Some(trouble) => {
            if *trouble == (Trouble::Cut { effect: true }) {
                api::answer(shared, request, &troubles);
            }
            Err(Cut)
        }
    }
}

fn write_log(
    shared: &Shared,
    request: &Request,
    began: Instant,
    faults: &[String],
    reply: Option<&Reply>,
) {
    let hidden = |text: &str| shared.hidden(text);
    shared.note(&Line {
        time: Line::stamp(),
        method: &request.method,
        path: &hidden(&request.path),
        query: &hidden(&request.query),
        operation: None,
        anonymous: false,
        status: reply.map(|reply| reply.status),
        request_id: &request.id,
        ms: began.elapsed().as_millis(),
        faults,
        why: reply.and_then(|reply| reply.why.as_deref()).map(hidden),
    });
}

fn response(reply: Reply, request: &Request, left: Left) -> Response<Body> {
    let mut response = Response::new(Body::text(reply.body));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if reply.status != 204 {
        let kind = if reply.html { "text/html" } else { "application/json; charset=utf-8" };
        headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    }
    // A page comes from what stands before the API, which knows nothing of its limits.
    if !reply.html {
        headers.insert("ratelimit-limit", left.limit.into());
        headers.insert("ratelimit-remaining", left.remaining.into());
        headers.insert("ratelimit-reset", left.reset.into());
        if let Ok(id) = request.id.parse() {
            headers.insert("x-request-id", id);
        }
    }
    if let Some(seconds) = reply.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    response
}
