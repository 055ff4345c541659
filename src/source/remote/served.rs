use std::time::Duration;

use reqwest::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG,
    LAST_MODIFIED, TRANSFER_ENCODING,
};

use crate::net::{Address, Answer, Failure, Hop, Kind};

/// What a server says of an object, before its bytes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Served {
    /// The address as the user gave it.
    pub asked: Address,
    /// Where the bytes come from, after all redirects.
    pub address: Address,
    /// Every answer on the way, the last one included.
    pub hops: Vec<Hop>,
    /// Bytes of the object, where the server says.
    pub size: Option<u64>,
    /// What tells this object from another one at the same address.
    pub pin: Pin,
    /// Whether a part of it can be asked for.
    pub ranges: bool,
    /// Whether the end of its bytes can be told from a connection that broke.
    pub framed: bool,
    /// What the bytes are encoded with beyond their form on the way, as the server says: of `Content-Encoding`, or of
    /// `Transfer-Encoding`.
    pub encoding: Option<String>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// The answer to HEAD; `None` if it was not asked.
    pub head: Option<Head>,
}

/// The answer to a HEAD request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Head {
    /// The status, or what went wrong.
    pub status: Result<u16, String>,
    /// `Content-Length`.
    pub size: Option<u64>,
    /// What it says that tells the object from others.
    pub pin: Pin,
    /// Where it came from, after all redirects.
    pub address: Option<Address>,
    /// What the bytes are encoded with beyond their form on the way, as the server says: of `Content-Encoding`, or of
    /// `Transfer-Encoding`.
    pub encoding: Option<String>,
}

/// What tells an object from another one at the same address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pin {
    /// `ETag`, with its quotes.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub last_modified: Option<String>,
    /// Whether a change after the answer would have another date: dates have whole seconds.
    settled: bool,
}

impl Pin {
    pub(super) fn of(answer: &Answer) -> Pin {
        let text = |name| answer.header(name).map(str::to_owned);
        let (etag, last_modified) = (text(ETAG), text(LAST_MODIFIED));
        let date = answer.header(DATE).and_then(|date| httpdate::parse_http_date(date).ok());
        let modified =
            last_modified.as_deref().and_then(|date| httpdate::parse_http_date(date).ok());
        let age =
            date.zip(modified).and_then(|(date, modified)| date.duration_since(modified).ok());
        // RFC 9110, 8.8.2.2.
        let settled = age.is_some_and(|age| age >= Duration::from_secs(1));
        Pin { etag, last_modified, settled }
    }

    /// An entity tag that changes with every byte (RFC 9110, 8.8.1).
    #[must_use]
    pub fn strong(&self) -> Option<&str> {
        self.etag.as_deref().filter(|etag| etag.starts_with('"'))
    }

    /// What a server can hold a range against: without it, two requests may bring bytes of two objects.
    pub(super) fn if_range(&self) -> Option<&str> {
        self.strong().or(self.last_modified.as_deref().filter(|_| self.settled))
    }

    /// Whether an answer says by the same mark that it is of this object.
    pub(super) fn is_confirmed_by(&self, other: &Pin) -> bool {
        match self.strong() {
            Some(etag) => other.etag.as_deref() == Some(etag),
            None => other.last_modified == self.last_modified,
        }
    }

    /// Whether an answer is known to be of another object.
    #[must_use]
    pub fn contradicts(&self, other: &Pin) -> bool {
        self.difference(other).is_some()
    }

    /// What tells an answer of another object from one of this: what it is, and both values. Entity tags are compared
    /// as weak ones (RFC 9110, 8.8.3.2): on the way some servers make a weak one of a strong one.
    pub(super) fn difference<'p>(
        &'p self,
        other: &'p Pin,
    ) -> Option<(&'static str, &'p str, &'p str)> {
        let opaque = |etag: &'p str| etag.strip_prefix("W/").unwrap_or(etag);
        match (&self.etag, &other.etag) {
            (Some(a), Some(b)) => (opaque(a) != opaque(b)).then_some(("ETags", a, b)),
            _ => {
                let (a, b) = (self.last_modified.as_deref()?, other.last_modified.as_deref()?);
                (a != b).then_some(("dates", a, b))
            }
        }
    }
}

/// `Content-Range`: the bytes that follow, and the size of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// First and last byte; `None` if the range was refused.
    pub(super) bytes: Option<(u64, u64)>,
    /// Size of the whole, where it is known.
    pub(super) total: Option<u64>,
}

impl ContentRange {
    /// From the text of the header (RFC 9110, 14.4).
    fn parse(text: &str) -> Option<ContentRange> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<u64>().ok()).flatten()
        };
        let (range, total) = text.trim().strip_prefix("bytes ")?.trim().split_once('/')?;
        let total = match total {
            "*" => None,
            total => Some(number(total)?),
        };
        if range == "*" {
            return Some(ContentRange { bytes: None, total });
        }
        let (first, last) = range.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        let inside = total.is_none_or(|total| last < total);
        (first <= last && inside).then_some(ContentRange { bytes: Some((first, last)), total })
    }

    /// That of an answer.
    pub(super) fn of(answer: &Answer) -> Result<ContentRange, Failure> {
        let text = answer.header(CONTENT_RANGE);
        text.and_then(ContentRange::parse).ok_or_else(|| {
            Failure::new(
                Kind::Protocol,
                &answer.address,
                match text {
                    Some(_) => {
                        "the server answers a range with a Content-Range that makes no sense"
                    }
                    None => "the server answers a range without a Content-Range",
                },
            )
        })
    }
}

/// What some client would undo to get at the bytes: all of `Content-Encoding` but `identity`, and of `Transfer-Encoding`
/// what is more than `chunked`.
pub(super) fn encoding(answer: &Answer) -> Option<String> {
    let foreign = |name, own: &[&str]| {
        let list: String = answer.list(name)?;
        let is_own = |coding: &str| own.iter().any(|own| coding.trim().eq_ignore_ascii_case(own));
        (!list.split(',').all(is_own)).then(|| list.trim().to_owned())
    };
    foreign(CONTENT_ENCODING, &["identity"])
        .or_else(|| foreign(TRANSFER_ENCODING, &["chunked", "identity"]))
}

/// Whether an answer to whoever asked for all of an object says that there are parts of it (RFC 9110, 14.3).
pub(super) fn accepts_ranges(answer: &Answer) -> bool {
    let is_bytes = |unit: &str| unit.trim().eq_ignore_ascii_case("bytes");
    answer.header(ACCEPT_RANGES).is_some_and(|units| units.split(',').any(is_bytes))
}

/// `Content-Length`.
pub(super) fn length(answer: &Answer) -> Option<u64> {
    answer.header(CONTENT_LENGTH)?.trim().parse().ok()
}

impl Served {
    /// From the first answer, of status 200 or 206.
    pub(super) fn of(
        answer: &Answer,
        asked: &Address,
        size: Option<u64>,
        ranges: bool,
        head: Option<Head>,
    ) -> Served {
        Served {
            asked: asked.clone(),
            address: answer.address.clone(),
            hops: answer.hops.clone(),
            size,
            pin: Pin::of(answer),
            ranges,
            framed: answer.is_framed(),
            encoding: encoding(answer),
            content_type: answer.list(CONTENT_TYPE),
            head,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        let range = |bytes, total| Some(ContentRange { bytes, total });
        assert_eq!(ContentRange::parse("bytes 0-9/10"), range(Some((0, 9)), Some(10)));
        assert_eq!(ContentRange::parse("bytes 5-9/*"), range(Some((5, 9)), None));
        assert_eq!(ContentRange::parse("bytes */10"), range(None, Some(10)));
        for text in
            ["bytes 0-10/10", "bytes 9-5/10", "bytes 0-9", "0-9/10", "bytes -9/10", "bytes +0-9/10"]
        {
            assert_eq!(ContentRange::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_pins_an_object() {
        let pin = |etag: &str, date: &str| Pin {
            etag: (!etag.is_empty()).then(|| etag.to_owned()),
            last_modified: (!date.is_empty()).then(|| date.to_owned()),
            settled: true,
        };
        assert_eq!(pin("\"a\"", "").strong(), Some("\"a\""));
        assert_eq!(pin("W/\"a\"", "Mon").strong(), None);
        assert_eq!(pin("W/\"a\"", "Mon").if_range(), Some("Mon"));
        assert_eq!(Pin { settled: false, ..pin("", "Mon") }.if_range(), None);
        assert!(pin("\"a\"", "Mon").contradicts(&pin("\"b\"", "Mon")));
        assert!(!pin("\"a\"", "Mon").contradicts(&pin("\"a\"", "Tue")));
        assert!(pin("", "Mon").contradicts(&pin("\"b\"", "Tue")));
        assert!(!pin("", "").contradicts(&pin("\"b\"", "Tue")));
    }
}
