//! An object behind a URL that is handed over: what told it from others when it was checked, and whether the
//! URL still leads to it.

use std::ffi::OsStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::bytes::Hostile;
use crate::inspect::{self, Identity, identity};
use crate::net::Address;

/// Bytes of a URL that are written into a journal at most, whose lines are short.
const LONGEST_URL: usize = 8 << 10;

/// What told an object from others when it was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checked {
    /// The URL that is handed over; `None` if it has secrets, or is too long.
    pub(super) url: Option<String>,
    length: Option<u64>,
    etag: Option<String>,
    last_modified: Option<String>,
}

impl Checked {
    /// What a check of this URL found.
    pub(super) fn new(url: &str, found: &Identity) -> Self {
        let open = |address: &Address| !address.has_query() && !address.has_credentials();
        let address = Address::parse(url).ok().filter(open).map(|address| address.to_string());
        Checked {
            url: address.filter(|address| address.len() <= LONGEST_URL),
            length: found.length,
            etag: found.etag.clone(),
            last_modified: found.last_modified.clone(),
        }
    }

    /// What tells what is there now from what was checked, in words.
    pub(super) fn difference(&self, now: &Identity) -> Option<String> {
        let checked = Identity {
            url: String::new(),
            redirects: Vec::new(),
            length: self.length,
            etag: self.etag.clone(),
            last_modified: self.last_modified.clone(),
            sha256: None,
        };
        checked.difference(now)
    }
}

/// What a URL leads to now.
///
/// # Errors
/// Says why it cannot be looked at.
pub(super) async fn look(
    url: &OsStr,
    options: &inspect::Options,
    watch: &Arc<dyn inspect::Listener + Send + Sync>,
) -> Result<Identity, String> {
    let (say, said) = oneshot::channel();
    let (url, options, watch) = (url.to_owned(), options.clone(), Arc::clone(watch));
    std::thread::spawn(move || {
        // Nobody may want to know any more.
        let _ = say.send(identity(&url, &options, &*watch));
    });
    match said.await {
        Ok(Ok(now)) => Ok(now),
        Ok(Err(error)) => Err(Hostile::message(&inspect::Error::from(&error).message).to_string()),
        Err(_) => Err("nothing was found out".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(etag: &str) -> Identity {
        Identity {
            url: "https://h/x".into(),
            redirects: Vec::new(),
            length: Some(7),
            etag: Some(etag.into()),
            last_modified: None,
            sha256: None,
        }
    }

    #[test]
    fn no_secret_of_a_url_is_written_down() {
        let url = |url: &str| Checked::new(url, &found("\"a\"")).url;
        assert_eq!(url("https://h/a%20b.img").as_deref(), Some("https://h/a%20b.img"));
        for secret in ["https://h/x?sig=s", "https://u:p@h/x", "https://h/x?"] {
            assert_eq!(url(secret), None, "{secret}");
        }
        assert_eq!(url(&format!("https://h/{}", "x".repeat(LONGEST_URL))), None);
    }

    #[test]
    fn another_object_is_told_from_the_one_that_was_checked() {
        let checked = Checked::new("https://h/x", &found("\"a\""));
        assert_eq!(checked.difference(&found("\"a\"")), None);
        assert!(checked.difference(&found("\"b\"")).is_some_and(|why| why.contains("ETag")));
        let shorter = Identity { length: Some(6), ..found("\"a\"") };
        assert!(checked.difference(&shorter).is_some_and(|why| why.contains("length")));
        let text = serde_json::to_string(&checked).unwrap();
        assert_eq!(serde_json::from_str::<Checked>(&text).unwrap(), checked);
    }
}
