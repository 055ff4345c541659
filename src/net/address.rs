use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use url::{Host, Url};

use super::secret::without;

/// What is shorter in a query is no secret, but may be a word.
const SHORTEST_SECRET: usize = 6;

/// An http or https URL. It shows itself without user name, password, query and fragment, because
/// credentials and signatures live there.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Arc<Url>);

impl Address {
    /// Parses the text of a URL: `http://` or `https://`, a host, and what follows it. Browsers take more for one, such
    /// as backslashes for slashes, and pass over blanks and line ends: nobody who writes a URL means that, and a file may
    /// be called so.
    ///
    /// # Errors
    /// Says what is wrong with it, without repeating it.
    pub fn parse(text: &str) -> Result<Address, String> {
        let is_odd = |c: char| c == '\\' || c.is_ascii_control();
        if text.contains(is_odd) || text.trim() != text {
            return Err("a URL has no backslash, line end or tab, and no blank around it".into());
        }
        let after = |scheme: &str| {
            let begin = text.get(..scheme.len())?;
            begin.eq_ignore_ascii_case(scheme).then(|| &text[scheme.len()..])
        };
        match after("http:").or_else(|| after("https:")) {
            Some(rest) if !rest.starts_with("//") || rest.starts_with("///") => {
                return Err("a URL begins with http:// or https:// and a host".into());
            }
            _ => {}
        }
        let url = Url::parse(text).map_err(|e| format!("it is no URL: {e}"))?;
        Address::of(url)
    }

    fn of(url: Url) -> Result<Address, String> {
        match url.scheme() {
            "http" | "https" if url.has_host() => Ok(Address(Arc::new(url))),
            "http" | "https" => Err("it names no host".into()),
            _ => Err("only http and https are fetched".into()),
        }
    }

    /// Where a redirect from here leads to; what a server writes there of credentials is left out.
    ///
    /// # Errors
    /// Says what is wrong with the place.
    pub fn join(&self, location: &str) -> Result<Address, String> {
        let mut url = self.0.join(location).map_err(|e| format!("it leads to no URL: {e}"))?;
        // Both cannot fail for a URL with a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Address::of(url)
    }

    /// The whole URL, secrets included.
    pub(super) fn url(&self) -> &Url {
        &self.0
    }

    /// Text of a server without what is secret in this address: the credentials, and what is in the query. What is
    /// very short stays.
    #[must_use]
    pub fn hidden_in(&self, text: &str) -> String {
        let query = self.0.query().map(str::to_owned);
        let values = self.0.query_pairs().map(|(_, value)| value.into_owned());
        let password = self.0.password().map(str::to_owned);
        let mut secrets: Vec<String> = query
            .into_iter()
            .chain(values)
            .chain(password)
            .chain([self.0.username().to_owned()])
            .filter(|secret| secret.len() >= SHORTEST_SECRET)
            .collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        String::from_utf8_lossy(&without(text.as_bytes(), &secrets)).into_owned()
    }

    /// Whether the way there is encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The host: a name, or an address.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The host, with the port if that is not the usual one.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.0.port() {
            Some(port) => format!("{}:{port}", self.host()),
            None => self.host().to_owned(),
        }
    }

    /// The host, if it is an address.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        }
    }

    /// Whether the host is this machine: `localhost`, 127.0.0.0/8 or `::1`.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// A path below this one; `below` may end in a query.
    ///
    /// # Errors
    /// Says what is wrong with the path.
    pub fn below(&self, below: &str) -> Result<Address, String> {
        let mut base = Url::clone(&self.0);
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let url = base.join(below).map_err(|e| format!("it leads to no URL: {e}"))?;
        let address = Address::of(url)?;
        match address.same_origin(self) && address.0.path().starts_with(base.path()) {
            true => Ok(address),
            false => Err("it leads elsewhere".into()),
        }
    }

    /// Whether the host is a name, which others can stand before.
    #[must_use]
    pub fn has_name(&self) -> bool {
        matches!(self.0.host(), Some(Host::Domain(_)))
    }

    /// The last part of its path that is not empty, as it is written.
    #[must_use]
    pub fn last_of_path(&self) -> Option<&str> {
        self.0.path_segments()?.rfind(|segment| !segment.is_empty())
    }

    /// The same without the last part of its path that is not empty, if it has one.
    #[must_use]
    pub fn above(&self) -> Option<Address> {
        let path = self.0.path().trim_end_matches('/');
        let (above, _) = path.rsplit_once('/')?;
        let mut url = Url::clone(&self.0);
        url.set_path(above);
        Address::of(url).ok()
    }

    /// The same without `label` and a dot before the name of its host, if it has them.
    #[must_use]
    pub fn without_label(&self, label: &str) -> Option<Address> {
        let host = self.host().strip_prefix(label)?.strip_prefix('.')?;
        let mut url = Url::clone(&self.0);
        url.set_host(Some(host)).ok()?;
        Address::of(url).ok()
    }

    /// The same with `label` and a dot before the name of its host.
    ///
    /// # Errors
    /// If the host has no name, or would have none that can be.
    pub fn with_label(&self, label: &str) -> Result<Address, String> {
        if !self.has_name() {
            return Err(format!("{self} has no name"));
        }
        let mut url = Url::clone(&self.0);
        let host = format!("{label}.{}", self.host());
        url.set_host(Some(&host)).map_err(|e| format!("it leads to no URL: {e}"))?;
        Address::of(url)
    }

    /// Whether scheme, host and port are the same.
    #[must_use]
    pub fn same_origin(&self, other: &Address) -> bool {
        self.0.origin() == other.0.origin()
    }

    /// Whether it carries a user name or a password.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        !self.0.username().is_empty() || self.0.password().is_some()
    }

    /// Whether there is something after a question mark.
    #[must_use]
    pub fn has_query(&self) -> bool {
        self.0.query().is_some()
    }

    /// The last part of the path as it is written, if there is one.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.0.path_segments()?.next_back().filter(|name| !name.is_empty())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.0.scheme())?;
        if self.has_credentials() {
            f.write_str("…@")?;
        }
        f.write_str(self.host())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.0.path())?;
        f.write_str(if self.has_query() { "?…" } else { "" })
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_no_secret() {
        let address =
            Address::parse("https://me:pass@h.example:8443/a/disk.img?X-Sig=abc#tok").unwrap();
        assert_eq!(address.to_string(), "https://…@h.example:8443/a/disk.img?…");
        assert_eq!(format!("{address:?}"), address.to_string());
        assert_eq!(address.file_name(), Some("disk.img"));
        assert!(address.has_credentials() && address.has_query());
        let next = address.join("https://u:p@other.example/x").unwrap();
        assert_eq!(next.to_string(), "https://other.example/x");
        assert!(!next.same_origin(&address));
    }

    #[test]
    fn a_server_cannot_say_its_secrets() {
        let address =
            Address::parse("https://me:passphrase@h/x?X-Amz-Signature=abcdef012345&a=b%2Fcdefg")
                .unwrap();
        let said = address.hidden_in("no abcdef012345, no b/cdefg or b%2Fcdefg, no passphrase, me");
        assert_eq!(said, "no …, no … or …, no …, me");
    }

    #[test]
    fn paths_below_stay_below() {
        let base = Address::parse("http://127.0.0.1:1/api").unwrap();
        assert_eq!(
            base.below("v2/images").unwrap().to_string(),
            "http://127.0.0.1:1/api/v2/images"
        );
        assert!(base.is_loopback() && Address::parse("http://[::1]/").unwrap().is_loopback());
        assert!(!Address::parse("http://localhost.example/").unwrap().is_loopback());
        for bad in ["../x", "//h/x", "https://h/", "/v2/images"] {
            assert!(base.below(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn takes_http_only_and_never_repeats_what_it_refuses() {
        for text in ["ftp://h/secret", "https://secret@", "https://", "http:secret pass@[x"] {
            let said = Address::parse(text).unwrap_err();
            assert!(!said.contains("secret"), "{said}");
        }
        assert_eq!(Address::parse("https://h/").unwrap().file_name(), None);
    }

    #[test]
    fn what_only_browsers_take_for_a_url_is_none() {
        for text in [
            r"https:\\h\x",
            r"https:/\h/x",
            r"https://h\@other/x",
            "https:h",
            "https:/h/x",
            "https:///h/x",
            " https://h/x",
            "https://h/x ",
            "https://h/\nx",
            "ht\ttps://h/x",
            "https:\n//h/x",
        ] {
            assert!(Address::parse(text).is_err(), "{text:?}");
        }
        for text in ["HTTPS://h/x", "http://[::1]:80", "https://u:p@h/a b?c#d"] {
            assert!(Address::parse(text).is_ok(), "{text:?}");
        }
    }
}
