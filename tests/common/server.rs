//! An HTTP/1.1 server on loopback that answers by plan, down to the byte. It ends with its value.

// Every test binary has its own copy of this module and none uses all of it.
#![allow(dead_code)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use crate::common::gpt_parts;

/// An image that does not compress, large enough for several connections.
pub(crate) fn long_disk() -> Vec<u8> {
    let mut bytes = vec![0; 12 << 20];
    let mut state = 1u64;
    for chunk in bytes[2 << 20..11 << 20].chunks_exact_mut(8) {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        chunk.copy_from_slice(&(state >> 7).to_le_bytes());
    }
    for (at, part) in gpt_parts(bytes.len() as u64, "root") {
        bytes[at as usize..at as usize + part.len()].copy_from_slice(&part);
    }
    bytes
}

/// What is served, and what is said of it.
#[derive(Clone)]
pub(crate) struct Object {
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) etag: Option<String>,
    pub(crate) modified: Option<String>,
}

impl Object {
    pub(crate) fn new(bytes: Vec<u8>) -> Object {
        Object { bytes: Arc::new(bytes), etag: Some("\"v1\"".into()), modified: None }
    }

    /// What a faultless server answers.
    pub(crate) fn answer(&self, request: &Request) -> Reply {
        let size = self.bytes.len() as u64;
        let mut reply = Reply::status(200, self.bytes.to_vec()).with("accept-ranges", "bytes");
        let same = match request.headers.get("if-range") {
            Some(validator) => {
                Some(validator) == self.etag.as_ref() || Some(validator) == self.modified.as_ref()
            }
            None => true,
        };
        if let Some((first, last)) = request.range.filter(|_| same && request.method == "GET") {
            if first >= size {
                return Reply::status(416, Vec::new())
                    .with("content-range", &format!("bytes */{size}"));
            }
            let last = last.unwrap_or(u64::MAX).min(size - 1);
            reply.status = 206;
            reply.body = self.bytes[first as usize..=last as usize].to_vec();
            reply = reply.with("content-range", &format!("bytes {first}-{last}/{size}"));
        }
        if let Some(etag) = &self.etag {
            reply = reply.with("etag", etag);
        }
        if let Some(modified) = &self.modified {
            reply = reply.with("last-modified", modified);
        }
        reply
    }

    /// Without parts: the whole, whatever is asked for.
    pub(crate) fn whole(&self, request: &Request) -> Reply {
        let mut reply = self.answer(&Request { range: None, ..request.clone() });
        reply.headers.retain(|(name, _)| name != "accept-ranges");
        reply
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    /// `Range`, if there is one.
    pub(crate) range: Option<(u64, Option<u64>)>,
    /// How many requests of this method came before.
    pub(crate) before: usize,
    /// What came along, by its `Content-Length`.
    pub(crate) body: Vec<u8>,
}

/// An answer, and how it goes wrong.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Closes the connection after so many bytes of the body.
    pub(crate) cut: Option<usize>,
    /// Says nothing more for so long after so many bytes of the body, then closes.
    pub(crate) stall: Option<(usize, Duration)>,
    /// Sends so many bytes at a time, with so long between.
    pub(crate) drip: Option<(usize, Duration)>,
    /// `Content-Length`, if it is a lie.
    pub(crate) length: Option<u64>,
    /// In chunks, without a length.
    pub(crate) chunked: bool,
    /// Neither in chunks nor with a length: it ends where the connection does.
    pub(crate) unframed: bool,
    /// Closes the connection without a word.
    pub(crate) silent: bool,
}

impl Reply {
    pub(crate) fn status(status: u16, body: Vec<u8>) -> Reply {
        Reply {
            status,
            headers: Vec::new(),
            body,
            cut: None,
            stall: None,
            drip: None,
            length: None,
            chunked: false,
            unframed: false,
            silent: false,
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Reply {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Writes it; whether the connection can go on.
    fn write(&self, head: bool, stream: &mut impl Write) -> std::io::Result<bool> {
        if self.silent {
            return Ok(false);
        }
        let mut text = format!("HTTP/1.1 {} X\r\n", self.status);
        if self.headers.iter().all(|(name, _)| !name.eq_ignore_ascii_case("date")) {
            text += &format!("date: {}\r\n", httpdate::fmt_http_date(SystemTime::now()));
        }
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        match self.chunked {
            true => text += "transfer-encoding: chunked\r\n\r\n",
            false if self.unframed => text += "\r\n",
            false => {
                let length = self.length.unwrap_or(self.body.len() as u64);
                text += &format!("content-length: {length}\r\n\r\n");
            }
        }
        stream.write_all(text.as_bytes())?;
        if head {
            return Ok(true);
        }
        let stop = self.cut.or(self.stall.map(|(after, _)| after)).unwrap_or(usize::MAX);
        let mut sent = 0;
        let step = self.drip.map_or(64 << 10, |(step, _)| step);
        for piece in self.body.chunks(step) {
            let piece = &piece[..piece.len().min(stop - sent)];
            if self.chunked {
                write!(stream, "{:x}\r\n", piece.len())?;
            }
            stream.write_all(piece)?;
            if self.chunked {
                stream.write_all(b"\r\n")?;
            }
            stream.flush()?;
            sent += piece.len();
            if sent >= stop {
                if let Some((_, time)) = self.stall {
                    std::thread::sleep(time);
                }
                return Ok(false);
            }
            if let Some((_, pause)) = self.drip {
                std::thread::sleep(pause);
            }
        }
        if self.chunked {
            stream.write_all(b"0\r\n\r\n")?;
        }
        Ok(self.length.is_none() && !self.unframed)
    }
}

/// What another server, at an http address, answers to this request.
pub(crate) fn forwarded(to: &str, request: &Request) -> Reply {
    let host = to.strip_prefix("http://").unwrap().trim_end_matches('/');
    let mut stream = TcpStream::connect(host).unwrap();
    let mut head = format!("{} {} HTTP/1.1\r\nconnection: close\r\n", request.method, request.path);
    for (name, value) in request.headers.iter().filter(|(name, _)| *name != "connection") {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    stream.write_all(&request.body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let mut reply = Reply::status(status, answer[end + 4..].to_vec());
    for (name, value) in lines.map(|line| line.split_once(": ").unwrap()) {
        // It is that of a body which does not come.
        if request.method == "HEAD" && name.eq_ignore_ascii_case("content-length") {
            reply.length = value.parse().ok();
        }
        if !["content-length", "connection"].contains(&name.to_lowercase().as_str()) {
            reply = reply.with(name, value);
        }
    }
    reply
}

type Plan = dyn Fn(&Request) -> Reply + Send + Sync;

/// A running server.
pub(crate) struct Server {
    address: SocketAddr,
    scheme: &'static str,
    ended: Arc<AtomicBool>,
    log: Arc<Mutex<Vec<Request>>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn new(plan: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
        Server::start(plan, None)
    }

    /// With TLS.
    pub(crate) fn secure(
        plan: impl Fn(&Request) -> Reply + Send + Sync + 'static,
        config: rustls::ServerConfig,
    ) -> Server {
        Server::start(plan, Some(Arc::new(config)))
    }

    fn start(
        plan: impl Fn(&Request) -> Reply + Send + Sync + 'static,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ended = Arc::<AtomicBool>::default();
        let log = Arc::<Mutex<Vec<Request>>>::default();
        let plan: Arc<Plan> = Arc::new(plan);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (stop, noted) = (Arc::clone(&ended), Arc::clone(&log));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                // Head and body are written one after the other; nobody waits for the other here.
                let _ = stream.set_nodelay(true);
                let (plan, log, tls) = (Arc::clone(&plan), Arc::clone(&noted), tls.clone());
                std::thread::spawn(move || {
                    // A client that has gone away is none of the server's business.
                    let _ = match tls {
                        None => talk(stream, &*plan, &log),
                        Some(config) => {
                            let session = rustls::ServerConnection::new(config).unwrap();
                            talk(rustls::StreamOwned::new(session, stream), &*plan, &log)
                        }
                    };
                });
            }
        });
        Server { address, scheme, ended, log, thread: Some(thread) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}/{path}", self.scheme, self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the listener.
        drop(TcpStream::connect(self.address));
        let _ = self.thread.take().unwrap().join();
    }
}

/// Answers the requests of one connection.
fn talk(stream: impl Read + Write, plan: &Plan, log: &Mutex<Vec<Request>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            match line.trim_end().split_once(": ") {
                Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
                None => break,
            };
        }
        let range = headers.get("range").map(|range| {
            let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
            (first.parse().unwrap(), last.parse().ok())
        });
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let request = {
            let mut log = log.lock().unwrap();
            let before = log.iter().filter(|request| request.method == method).count();
            log.push(Request { method, path, headers, range, before, body });
            log.last().unwrap().clone()
        };
        let head = request.method == "HEAD";
        if !plan(&request).write(head, stream.get_mut())? {
            return Ok(());
        }
    }
}
