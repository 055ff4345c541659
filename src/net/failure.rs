use std::time::Duration;

use super::Address;
use super::reach::NotPublic;
use super::secret::masked_text;

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
#[error("{said}")]
#[non_exhaustive]
pub struct Failure {
    /// What went wrong, by meaning.
    pub kind: Kind,
    /// Where; shown without secrets.
    pub address: Address,
    /// A sentence or a part of one, for people.
    pub said: String,
    /// When the server wants to be asked again.
    pub retry_after: Option<Duration>,
    /// Whether certainly nothing of the request was sent.
    pub unsent: bool,
}

/// Kinds of [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// No connection: no such host, nobody listens, no way there.
    Unreachable,
    /// The certificate is not trusted, or is for another name.
    Tls,
    /// Nothing came for too long.
    TimedOut,
    /// The server says no, with this status.
    Status(u16),
    /// Redirects that are not followed.
    Redirect,
    /// The connection ended before the answer did.
    Interrupted,
    /// An answer that makes no sense.
    Protocol,
    /// The object is not the one that the reading began with.
    Changed,
    /// No part can be had that is certain to be of the same object: it has to be read in one piece.
    NoParts,
    /// Who would be asked is in a private network, and only public addresses may be asked.
    Private,
}

impl Kind {
    /// Whether asking again may help.
    #[must_use]
    pub fn is_passing(self) -> bool {
        match self {
            Kind::Unreachable | Kind::TimedOut | Kind::Interrupted => true,
            Kind::Status(status) => matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            Kind::Tls
            | Kind::Redirect
            | Kind::Protocol
            | Kind::Changed
            | Kind::NoParts
            | Kind::Private => false,
        }
    }
}

impl Failure {
    pub(crate) fn new(kind: Kind, address: &Address, said: impl Into<String>) -> Self {
        Failure {
            kind,
            address: address.clone(),
            said: said.into(),
            retry_after: None,
            unsent: false,
        }
    }

    /// From an error of the client, whose own text may have the URL.
    pub(crate) fn from_client(address: &Address, error: reqwest::Error) -> Self {
        let error = error.without_url();
        let (mut tls, mut private, mut said) = (false, false, String::new());
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(inner) = cause {
            tls |= inner.downcast_ref::<rustls::Error>().is_some();
            private |= inner.downcast_ref::<NotPublic>().is_some();
            // The innermost cause says most.
            said = inner.to_string();
            // An error that holds another as its own cause does not show it as its source.
            cause = match inner.downcast_ref::<std::io::Error>().and_then(|e| e.get_ref()) {
                Some(held) => Some(held),
                None => inner.source(),
            };
        }
        let kind = if private {
            Kind::Private
        } else if tls {
            Kind::Tls
        } else if error.is_timeout() {
            said = "nothing came for too long".into();
            Kind::TimedOut
        } else if error.is_connect() {
            // After a redirect it is not the host that was asked for.
            said = format!("{}: {said}", address.authority());
            Kind::Unreachable
        } else {
            Kind::Interrupted
        };
        let failure = Failure::new(kind, address, masked_text(said));
        Failure { unsent: error.is_connect(), ..failure }
    }
}
