use std::collections::VecDeque;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::client::{Call, Client, document, part};
use super::error::{Error, Kind};
use super::types::{MetaProperties, Pagination};

/// More pages than this are not a list but a server that never ends.
pub const MOST_PAGES: u32 = 1000;

/// How many there are on a page; 200 is the most that the API gives (`shared/parameters.yml`).
const PER_PAGE: u32 = 200;

/// A list that comes page by page, as it is asked for.
#[derive(Debug)]
pub struct Pages<T> {
    client: Client,
    path: String,
    key: &'static str,
    scope: &'static str,
    page: u32,
    ended: bool,
    total: Option<u64>,
    ready: VecDeque<T>,
    of: PhantomData<T>,
}

impl<T: DeserializeOwned> Pages<T> {
    pub(super) fn new(
        client: Client,
        path: String,
        key: &'static str,
        scope: &'static str,
    ) -> Self {
        let (page, ended, total) = (0, false, None);
        Pages {
            client,
            path,
            key,
            scope,
            page,
            ended,
            total,
            ready: VecDeque::new(),
            of: PhantomData,
        }
    }

    /// How many there are on all pages, once the first has come and if the API said it.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// The next page; `None` after the last one.
    ///
    /// # Errors
    /// If it cannot be had, or there are more than [`MOST_PAGES`].
    pub async fn page(&mut self) -> Result<Option<Vec<T>>, Error> {
        if self.ended {
            return Ok(None);
        }
        if self.page == MOST_PAGES {
            let said = format!("there are more than {MOST_PAGES} pages");
            return Err(Error::new(Kind::Incomplete, said));
        }
        self.page += 1;
        let join = if self.path.contains('?') { '&' } else { '?' };
        let path = format!("{}{join}page={}&per_page={PER_PAGE}", self.path, self.page);
        let called = self.client.call(&Call::get(path, self.scope)).await?;
        let mut value = document(&called)?;
        let mut take = |key: &str| value.get_mut(key).map_or(Value::Null, Value::take);
        // The link is not followed: it may name another host, and the token goes to one only.
        let links: Option<Pagination> = part(&called, take("links"), "links")?;
        let meta: Option<MetaProperties> = part(&called, take("meta"), "meta")?;
        let page: Vec<T> = part(&called, take(self.key), self.key)?;
        self.total = meta.and_then(|meta| meta.total).or(self.total);
        self.ended = page.is_empty() || links.is_none_or(|links| links.pages.next.is_none());
        Ok(Some(page))
    }

    /// The next of the list; `None` at its end.
    ///
    /// # Errors
    /// As for [`Pages::page`].
    pub async fn next(&mut self) -> Result<Option<T>, Error> {
        while self.ready.is_empty() {
            match self.page().await? {
                Some(page) => self.ready.extend(page),
                None => return Ok(None),
            }
        }
        Ok(self.ready.pop_front())
    }

    /// All that is left.
    ///
    /// # Errors
    /// As for [`Pages::page`].
    pub async fn all(mut self) -> Result<Vec<T>, Error> {
        let mut all = Vec::from(std::mem::take(&mut self.ready));
        while let Some(page) = self.page().await? {
            all.extend(page);
        }
        Ok(all)
    }
}
