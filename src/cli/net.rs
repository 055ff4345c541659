//! The client for URLs, as the arguments want it.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use super::args::NetArgs;
use super::{Usage, output};
use crate::bytes::{Hostile, Pool, Segment};
use crate::inspect::Error;
use crate::net::{Client, Header, Options};
use crate::source::remote::{Remote, Want};
use crate::source::{self, Read, is_url, shown};

/// A larger file of headers is none.
const LARGEST_HEADERS: usize = 64 << 10;

/// The client, if any of the arguments is a URL. All of them have to be good ones.
pub(super) fn client<'a>(
    args: &NetArgs,
    insecure_http: bool,
    arguments: impl IntoIterator<Item = &'a OsStr>,
) -> Result<Option<Arc<Client>>, Usage> {
    let mut any = false;
    for argument in arguments.into_iter().filter(|argument| is_url(argument)) {
        any = true;
        let address = source::address(argument)
            .map_err(|why| Usage(format!("{}: {why}", shown(argument))))?;
        if !address.is_https() && !insecure_http {
            return Err(Usage(format!(
                "{address} is plain http, which anybody on the way can change; --insecure-http fetches it all the same"
            )));
        }
    }
    if !any {
        return Ok(None);
    }
    let options = Options {
        headers: headers(&args.header)?,
        cacert: args.cacert.clone(),
        insecure_http,
        only: None,
        idle_timeout: Duration::from_secs(u64::from(args.timeout)),
        connect_timeout: Duration::from_secs(u64::from(args.timeout.min(15))),
        retries: u32::from(args.retries),
        connections: usize::from(args.connections),
        log: args.verbose.then_some(output::log as fn(&str)),
    };
    Client::new(options).map(|client| Some(Arc::new(client))).map_err(Usage)
}

fn headers(given: &[String]) -> Result<Vec<Header>, Usage> {
    let parse = |text: &str| Header::parse(text).map_err(|why| Usage(format!("--header: {why}")));
    let mut headers = Vec::new();
    for text in given {
        let Some(path) = text.strip_prefix('@') else {
            headers.push(parse(text)?);
            continue;
        };
        let shown = Hostile::from(path);
        let bytes = super::checksums::read_file(path.as_ref(), LARGEST_HEADERS)
            .map_err(|why| Usage(format!("cannot use the headers in {shown}: {why}")))?;
        let lines = String::from_utf8_lossy(&bytes).into_owned();
        for line in lines.lines().filter(|line| !line.trim().is_empty()) {
            headers.push(parse(line)?);
        }
    }
    Ok(headers)
}

/// All of a small object.
pub(super) fn fetch(
    client: &Arc<Client>,
    argument: &OsStr,
    largest: usize,
) -> Result<Vec<u8>, String> {
    let said = |error: source::Error| Error::from(&error).message;
    let address = source::address(argument)?;
    let remote = Remote::open(client, &address, Want::All, false, &|_| {}).map_err(said)?;
    let mut reader = remote.reader(&|_| {});
    let mut pool = Pool::new(2, 64 << 10);
    let mut bytes = Vec::new();
    while let Some(segment) = reader.next(&mut pool).map_err(said)? {
        if let Segment::Data(chunk) = &segment {
            bytes.extend_from_slice(chunk);
        }
        if bytes.len() > largest {
            return Err(format!("it is larger than {} MiB", largest >> 20));
        }
    }
    Ok(bytes)
}
