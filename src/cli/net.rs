//! The client for URLs, as the arguments want it.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use super::args::NetArgs;
use super::jobs::Teller;
use super::{Usage, output, project};
use crate::bytes::{Hostile, Pool, Segment, Small};
use crate::digitalocean::{self, Token};
use crate::inspect::{self, Error};
use crate::net::{Address, Client, Header, Log, Options, Secret};
use crate::source::remote::{Remote, Want};
use crate::source::{self, Read, is_url, shown};
use crate::spaces;

/// No server takes more.
const HEADERS: Small = Small { what: "a file of headers", most: 64 << 10 };

/// Has all secrets masked that the environment has, whether this command uses them or not: a server may know them from
/// another one.
pub(super) fn know_secrets() {
    let buckets = spaces::credentials::VARIABLES.map(|(_, secret)| secret);
    let others = ["AWS_SESSION_TOKEN", "TIDEGATE_RECEIPT_KEY"];
    let set = |name: &str| std::env::var(name).ok();
    // What can be no secret is told by whoever needs it.
    for value in buckets.into_iter().chain(others).filter_map(set) {
        let _ = Secret::new(&value);
    }
    for value in digitalocean::credentials::VARIABLES.into_iter().filter_map(set) {
        let _ = Token::new(&value);
    }
}

/// The client, if any of the arguments is a URL: those of images, and others. All of them have to be
/// good ones, and none may be a file as well.
pub(super) fn client<'a>(
    args: &NetArgs,
    insecure_http: bool,
    images: impl IntoIterator<Item = &'a OsStr>,
    others: impl IntoIterator<Item = &'a OsStr>,
) -> Result<Option<Arc<Client>>, Usage> {
    let images: Vec<&OsStr> = images.into_iter().collect();
    let others: Vec<&OsStr> = others.into_iter().collect();
    images.iter().chain(&others).try_for_each(|argument| project::means_one_thing(argument))?;
    client_of_urls(args, insecure_http, images, others)
}

/// As [`client`], of URLs that cannot be files.
pub(super) fn client_of_urls<'a>(
    args: &NetArgs,
    insecure_http: bool,
    images: impl IntoIterator<Item = &'a OsStr>,
    others: impl IntoIterator<Item = &'a OsStr>,
) -> Result<Option<Arc<Client>>, Usage> {
    let addresses = |arguments: Vec<&OsStr>| {
        arguments
            .into_iter()
            .filter(|argument| is_url(argument))
            .map(|argument| address(argument, insecure_http))
            .collect::<Result<Vec<_>, Usage>>()
    };
    let images = addresses(images.into_iter().collect())?;
    let others = addresses(others.into_iter().collect())?;
    if images.is_empty() && others.is_empty() {
        return Ok(None);
    }
    let several = images.windows(2).any(|pair| !pair[0].same_origin(&pair[1]));
    if several && !args.header.is_empty() {
        return Err(Usage(
            "--header is for one host, and these URLs have several; check them one by one".into(),
        ));
    }
    let options = Options {
        headers: headers(&args.header)?,
        headers_for: images.into_iter().next(),
        cacert: args.cacert.clone(),
        insecure_http,
        direct: args.direct,
        public_only: args.reach.public_only,
        least_rate: args.reach.min_rate,
        idle_timeout: Duration::from_secs(u64::from(args.timeout)),
        connect_timeout: Duration::from_secs(u64::from(args.timeout.min(15))),
        retries: u32::from(args.retries),
        connections: usize::from(args.connections),
        log: args.verbose.then(|| Log::new(output::log)),
        ..Options::default()
    };
    Client::new(options).map(|client| Some(Arc::new(client))).map_err(Usage)
}

/// Has the requests of an image told of as lines about it.
pub(super) fn tell(options: &mut inspect::Options, teller: &Teller) {
    if let Some(client) = &mut options.client {
        let teller = teller.clone();
        *client = Arc::new(client.telling(Log::new(move |line| teller.log(line))));
    }
}

/// The address that an argument is.
fn address(argument: &OsStr, insecure_http: bool) -> Result<Address, Usage> {
    let address =
        source::address(argument).map_err(|why| Usage(format!("{}: {why}", shown(argument))))?;
    if !address.is_https() && !insecure_http {
        return Err(Usage(format!(
            "{address} is plain http, which anybody on the way can change; --insecure-http fetches it all the same"
        )));
    }
    Ok(address)
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
        let bytes = HEADERS
            .open(path.as_ref())
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
    small: Small,
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
        if bytes.len() > small.most {
            return Err(small.too_large().to_string());
        }
    }
    Ok(bytes)
}
