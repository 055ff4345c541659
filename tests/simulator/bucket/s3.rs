//! A client of S3 that signs, and lets tests say what else it sends.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::rig::Rig;

pub(crate) const MIB: usize = 1 << 20;

/// Where to ask, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct S3 {
    pub(crate) address: String,
    pub(crate) bucket: String,
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) region: String,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// A request, before it is signed.
#[derive(Clone, Debug)]
pub(crate) struct Ask<'a> {
    s3: &'a S3,
    method: &'a str,
    /// Behind the bucket; in this form it is sent and signed.
    target: String,
    headers: Vec<(String, String)>,
    body: &'a [u8],
    payload: Option<String>,
    skew: i64,
    signed: bool,
}

impl Got {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The text of the first element of this name.
    pub(crate) fn element(&self, name: &str) -> &str {
        self.elements(name).first().copied().unwrap_or_else(|| panic!("no {name}: {}", self.text()))
    }

    pub(crate) fn elements(&self, name: &str) -> Vec<&str> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let pieces = self.text().split(open.as_str()).skip(1);
        pieces.map(|piece| piece.split(close.as_str()).next().unwrap()).collect()
    }

    /// Status and code of an error.
    pub(crate) fn error(&self) -> (u16, &str) {
        (self.status, self.element("Code"))
    }

    pub(crate) fn etag(&self) -> &str {
        self.headers["etag"].trim_matches('"')
    }
}

impl S3 {
    pub(crate) fn of(rig: &Rig) -> S3 {
        let value = |name: &str| rig.spaces[&format!("SPACES_{name}")].clone();
        S3 {
            address: value("ENDPOINT_URL").strip_prefix("http://").unwrap().to_owned(),
            bucket: value("BUCKET"),
            id: value("ACCESS_KEY_ID"),
            secret: value("SECRET_ACCESS_KEY"),
            region: value("REGION"),
        }
    }

    /// A request to the key or query behind the bucket.
    pub(crate) fn ask<'a>(&'a self, method: &'a str, target: &str) -> Ask<'a> {
        Ask {
            s3: self,
            method,
            target: format!("/{}/{target}", self.bucket),
            headers: Vec::new(),
            body: b"",
            payload: None,
            skew: 0,
            signed: true,
        }
    }

    pub(crate) fn get(&self, target: &str) -> Got {
        self.ask("GET", target).send()
    }

    /// The status that anybody gets.
    pub(crate) fn anybody(&self, target: &str) -> u16 {
        self.ask("HEAD", target).unsigned().send().status
    }

    /// Makes an object and demands that it works.
    pub(crate) fn put(&self, key: &str, body: &[u8], acl: &str) {
        let got = self.ask("PUT", key).header("x-amz-acl", acl).body(body).send();
        assert_eq!(got.status, 200, "{got:?}");
    }

    /// Begins an upload and gives its id.
    pub(crate) fn begin(&self, key: &str) -> String {
        let got = self.ask("POST", &format!("{key}?uploads")).send();
        assert_eq!(got.status, 200, "{got:?}");
        got.element("UploadId").to_owned()
    }

    /// Begins an upload that cannot be: status and code.
    pub(crate) fn begin_error(&self, key: &str) -> (u16, String) {
        let got = self.ask("POST", &format!("{key}?uploads")).send();
        let (status, code) = got.error();
        (status, code.to_owned())
    }

    pub(crate) fn part<'a>(&'a self, key: &str, id: &str, number: u32, body: &'a [u8]) -> Ask<'a> {
        self.ask("PUT", &format!("{key}?partNumber={number}&uploadId={id}")).body(body)
    }

    /// Completes an upload from these ETags.
    pub(crate) fn complete(&self, key: &str, id: &str, etags: &[String]) -> Option<Got> {
        let parts = (1..).zip(etags).map(|(number, etag)| {
            format!("<Part><PartNumber>{number}</PartNumber><ETag>\"{etag}\"</ETag></Part>")
        });
        let body: String = parts.collect();
        let body = format!("<CompleteMultipartUpload>{body}</CompleteMultipartUpload>");
        self.ask("POST", &format!("{key}?uploadId={id}")).body(body.as_bytes()).try_send()
    }
}

impl<'a> Ask<'a> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Ask<'a> {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(self, body: &'a [u8]) -> Ask<'a> {
        Ask { body, ..self }
    }

    /// Says this of the body instead of its digest.
    pub(crate) fn payload(mut self, said: &str) -> Ask<'a> {
        self.payload = Some(said.to_owned());
        self
    }

    /// With a clock that is this many seconds off.
    pub(crate) fn skewed(mut self, seconds: i64) -> Ask<'a> {
        self.skew = seconds;
        self
    }

    pub(crate) fn unsigned(mut self) -> Ask<'a> {
        self.signed = false;
        self
    }

    pub(crate) fn send(&self) -> Got {
        self.try_send().unwrap()
    }

    /// `None` if the connection ends without an answer.
    pub(crate) fn try_send(&self) -> Option<Got> {
        exchange(&self.s3.address, &self.head(), self.body)
    }

    /// The request until its body.
    pub(crate) fn head(&self) -> String {
        let mut headers = self.headers.clone();
        headers.push(("host".into(), self.s3.address.clone()));
        let named = |name: &str| self.headers.iter().any(|(own, _)| own == name);
        let chunked = named("transfer-encoding");
        if self.signed {
            self.sign(&mut headers);
        }
        if !chunked && !named("content-length") {
            headers.push(("content-length".into(), self.body.len().to_string()));
        }
        let lines: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{} {} HTTP/1.1\r\nconnection: close\r\n{lines}\r\n", self.method, self.target)
    }

    fn sign(&self, headers: &mut Vec<(String, String)>) {
        let payload = self.payload.clone().unwrap_or_else(|| hex(&Sha256::digest(self.body)));
        let date = date(self.skew);
        headers.push(("x-amz-content-sha256".into(), payload.clone()));
        headers.push(("x-amz-date".into(), date.clone()));
        headers.sort();
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        let lines: String =
            headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let mut query: Vec<String> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") })
            .collect();
        query.sort();
        let query = query.join("&");
        let canonical = format!("{}\n{path}\n{query}\n{lines}\n{names}\n{payload}", self.method);
        let scope = format!("{}/{}/s3/aws4_request", &date[..8], self.s3.region);
        let digest = hex(&Sha256::digest(canonical));
        let message = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}");
        let first = format!("AWS4{}", self.s3.secret).into_bytes();
        let key = scope.split('/').fold(first, |key, part| keyed(&key, part));
        let signature = hex(&keyed(&key, &message));
        headers.push((
            "authorization".into(),
            format!(
                "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
                self.s3.id
            ),
        ));
    }
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn md5(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

/// The time as signatures have it, from the form that HTTP has.
fn date(skew: i64) -> String {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let offset = Duration::from_secs(skew.unsigned_abs());
    let now = SystemTime::now();
    let then = if skew < 0 { now - offset } else { now + offset };
    let text = httpdate::fmt_http_date(then);
    let words: Vec<&str> = text.split(' ').collect();
    let month = MONTHS.find(words[2]).unwrap() / 3 + 1;
    format!("{}{month:02}{}T{}Z", words[3], words[1], words[4].replace(':', ""))
}

/// One request on a connection of its own.
pub(crate) fn exchange(address: &str, head: &str, body: &[u8]) -> Option<Got> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    // It may be cut before all is sent.
    let _ = stream.write_all(body);
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    };
    Some(Got { status, headers: lines.map(header).collect(), body: bytes[end + 4..].to_vec() })
}
