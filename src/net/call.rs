use std::fmt;
use std::time::Instant;

use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};

use super::{Address, Client, Failure, Header, Kind};

/// An answer that was read to its end.
pub struct Called {
    /// What was asked.
    pub address: Address,
    /// The status, whatever it is; redirects are not followed.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    headers: HeaderMap,
}

impl Called {
    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The answer with its body and headers changed by `clean`, before anything is read of it.
    #[must_use]
    pub fn cleaned(mut self, clean: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        self.body = clean(&self.body);
        for value in self.headers.values_mut() {
            let cleaned = clean(value.as_bytes());
            if cleaned != value.as_bytes() {
                // A value that is no longer one says nothing.
                *value = String::from_utf8_lossy(&cleaned)
                    .replace('…', "...")
                    .parse()
                    .unwrap_or(HeaderValue::from_static(""));
            }
        }
        self
    }
}

impl fmt::Debug for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {} with {} bytes", self.status, self.address, self.body.len())
    }
}

impl Client {
    /// One request of a program's interface, with a JSON body if there is one, and its answer, of at most
    /// `largest` bytes. The user's headers go along; nothing is asked twice and no redirect is followed, so
    /// they go nowhere else.
    ///
    /// # Errors
    /// If there is no whole answer. [`Failure::unsent`] tells whether the server can know of the request.
    pub async fn call(
        &self,
        method: Method,
        address: &Address,
        body: Option<Vec<u8>>,
        largest: usize,
    ) -> Result<Called, Failure> {
        self.allow(address).map_err(|failure| Failure { unsent: true, ..failure })?;
        let mut request = self.http.request(method.clone(), address.url().clone());
        request = request.header(ACCEPT, "application/json");
        for Header { name, value } in &self.options().headers {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let asked = Instant::now();
        let result = request.send().await.map_err(|e| Failure::from_client(address, e));
        self.log(&method, address, &[], asked, &result);
        let mut response = result?;
        let mut body = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|e| Failure::from_client(address, e))?
        {
            if body.len() + chunk.len() > largest {
                let said = format!("the answer is larger than {largest} bytes");
                return Err(Failure::new(Kind::Protocol, address, said));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Called {
            address: address.clone(),
            status: response.status().as_u16(),
            body,
            headers: std::mem::take(response.headers_mut()),
        })
    }
}
