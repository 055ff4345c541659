use std::collections::{HashSet, VecDeque};
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::client::{Call, Client, Event, document, part};
use super::error::{Error, Kind};
use super::types::{MetaProperties, Pagination};
use crate::bytes::Hostile;

/// More pages than this are not a list but a server that never ends: 50,000 objects, and all the calls that
/// may be made in a minute.
pub const MOST_PAGES: u32 = 250;

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
    /// How many have come so far.
    seen: u64,
    /// The links to next pages so far.
    nexts: HashSet<String>,
    /// The page before, as it came.
    before: Value,
    ready: VecDeque<T>,
    unread: Vec<Unread>,
    of: PhantomData<T>,
}

/// Something of a list that cannot be read.
#[derive(Clone, Debug)]
pub struct Unread {
    /// Where it stands, and its name if it has one, for people.
    pub what: String,
    /// What is wrong with it, for people.
    pub why: String,
    /// All of it, as JSON.
    text: String,
}

impl Unread {
    fn new(place: String, value: &Value, error: &serde_json::Error) -> Self {
        let name = value.get("name").and_then(Value::as_str).filter(|name| !name.trim().is_empty());
        let named = name.map_or_else(String::new, |name| format!(", \"{}\"", Hostile::from(name)));
        let why = Hostile::message(&error.to_string()).to_string();
        Unread { what: format!("{place}{named}"), why, text: value.to_string() }
    }

    /// Whether there is this text anywhere in it.
    pub(super) fn mentions(&self, text: &str) -> bool {
        self.text.contains(text)
    }
}

impl<T: DeserializeOwned> Pages<T> {
    pub(super) fn new(
        client: Client,
        path: String,
        key: &'static str,
        scope: &'static str,
    ) -> Self {
        let (page, ended, total, seen) = (0, false, None, 0);
        Pages {
            client,
            path,
            key,
            scope,
            page,
            ended,
            total,
            seen,
            nexts: HashSet::new(),
            before: Value::Null,
            ready: VecDeque::new(),
            unread: Vec::new(),
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
    /// If it cannot be had, if it is one that was there before, or if there are more than [`MOST_PAGES`].
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
        let links = match take("links") {
            Value::Array(none) if none.is_empty() => Some(Pagination::default()),
            links => serde_json::from_value::<Option<Pagination>>(links)
                .ok()
                .map(Option::unwrap_or_default),
        };
        let meta: Option<MetaProperties> = serde_json::from_value(take("meta")).ok();
        let values = take(self.key);
        if values == self.before && values.as_array().is_some_and(|values| !values.is_empty()) {
            let said =
                format!("page {} of the list is page {} once more", self.page, self.page - 1);
            return Err(Error::unusable(Kind::Incomplete, &called, said));
        }
        self.before.clone_from(&values);
        let values: Vec<Value> = part(&called, values, self.key)?;
        let found = values.len();
        let page = self.read(values);
        self.total = meta.and_then(|meta| meta.total).or(self.total);
        self.seen = self.seen.saturating_add(found as u64);
        let next = match links {
            Some(links) => links.pages.next,
            // What says whether there is another page cannot be read; then the numbers tell.
            None if found >= PER_PAGE as usize || self.total.is_some_and(|all| all > self.seen) => {
                Some(format!("page {}", self.page + 1))
            }
            None => None,
        };
        match next.filter(|_| found > 0) {
            None => self.ended = true,
            Some(next) if self.nexts.contains(&next) => {
                let said =
                    format!("page {} of the list leads to a page that was there before", self.page);
                return Err(Error::unusable(Kind::Incomplete, &called, said));
            }
            Some(next) => drop(self.nexts.insert(next)),
        }
        Ok(Some(page))
    }

    /// What can be read of a page. Who listens gets to know of the rest.
    fn read(&mut self, values: Vec<Value>) -> Vec<T> {
        let mut page = Vec::with_capacity(values.len());
        for (at, value) in (1..).zip(values) {
            match T::deserialize(&value) {
                Ok(read) => page.push(read),
                Err(error) => {
                    let place = format!("number {at} on page {} of the {}", self.page, self.key);
                    let unread = Unread::new(place, &value, &error);
                    self.client.tell(&Event::Unread(&unread));
                    self.unread.push(unread);
                }
            }
        }
        page
    }

    /// What could not be read so far.
    #[must_use]
    pub fn unread(&self) -> &[Unread] {
        &self.unread
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
        self.rest().await
    }

    /// The same, of a list that can be asked then for what was not read.
    pub(super) async fn rest(&mut self) -> Result<Vec<T>, Error> {
        let mut all = Vec::from(std::mem::take(&mut self.ready));
        while let Some(page) = self.page().await? {
            all.extend(page);
        }
        Ok(all)
    }
}
