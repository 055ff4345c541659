//! Parts of an object at any offset.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::Notify;
use super::link::{Link, is_of_parts};
use super::seam::Tail;
use crate::source::{Error, Kind};

/// What is asked for begins and ends at multiples of this, so that small reads side by side are one
/// request.
const PAGE: u64 = 16 << 10;

/// Parts that lie closer together are one request: bytes between them cost less than a round trip.
const GAP: u64 = 64 << 10;

/// The longest part that is asked for at once.
const LONGEST: u64 = 1 << 20;

/// Bytes that are kept of what was read, unless its reader wants fewer.
const KEPT: usize = 8 << 20;

/// Parts of one object, read through a small cache.
pub struct Ranges<'r> {
    link: &'r Arc<Link>,
    notify: Notify<'r>,
    size: u64,
    /// What was read, oldest first, with its offset.
    spans: VecDeque<(u64, Vec<u8>)>,
    kept: usize,
    /// Bytes that are kept at most.
    most: usize,
}

impl<'r> Ranges<'r> {
    pub(super) fn new(link: &'r Arc<Link>, size: u64, first: Vec<u8>, notify: Notify<'r>) -> Self {
        let kept = first.len();
        Ranges { link, notify, size, spans: VecDeque::from([(0, first)]), kept, most: KEPT }
    }

    /// Keeps so many bytes at most of what was read, beside what was read last.
    #[must_use]
    pub fn keeping(self, most: usize) -> Self {
        Ranges { most, ..self }
    }

    /// Size of the object in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fills `buf` from byte `at`; less only at the end of the object.
    ///
    /// # Errors
    /// If the network fails; [`Kind::NoParts`] if no part can be had that is certain to be of the object.
    pub fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<usize, Error> {
        let want = self.size.saturating_sub(at).min(buf.len() as u64) as usize;
        let mut have = 0;
        while have < want {
            let from = at + have as u64;
            let count = self.copy(from, &mut buf[have..want]);
            have += count;
            if count == 0 {
                let end = (at + want as u64).min(from.saturating_add(LONGEST));
                self.fetch(vec![self.pages(from..end)])?;
            }
        }
        Ok(want)
    }

    /// Fetches together what will be read next: offset and length of each part, in ascending order.
    ///
    /// # Errors
    /// As [`Ranges::read_at`].
    pub fn ahead(&mut self, parts: &mut dyn Iterator<Item = (u64, u64)>) -> Result<(), Error> {
        let connections = self.link.client.options().connections.clamp(1, 64);
        let mut groups: Vec<Range<u64>> = Vec::new();
        for (at, len) in parts {
            let part = at..at.saturating_add(len.min(LONGEST)).min(self.size);
            if part.is_empty() || self.has(&part) {
                if groups.is_empty() {
                    // What comes first is here already.
                    return Ok(());
                }
                continue;
            }
            let part = self.pages(part);
            let full = groups.len() == connections;
            let near = groups.last_mut().filter(|last| {
                part.start <= last.end.saturating_add(GAP) && part.end - last.start <= LONGEST
            });
            match near {
                Some(last) => last.end = last.end.max(part.end),
                None if full => break,
                None => groups.push(part),
            }
        }
        if groups.is_empty() { Ok(()) } else { self.fetch(groups) }
    }

    fn pages(&self, part: Range<u64>) -> Range<u64> {
        let end = part.end.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
        part.start / PAGE * PAGE..end.min(self.size)
    }

    fn has(&self, part: &Range<u64>) -> bool {
        self.spans
            .iter()
            .any(|(at, bytes)| *at <= part.start && part.end <= at + bytes.len() as u64)
    }

    /// What is kept of the bytes before `at`.
    fn before(&self, at: u64) -> Tail {
        let mut kept = self.spans.iter().rev();
        let found = kept.find_map(|(start, bytes)| {
            let len = at.checked_sub(*start)? as usize;
            bytes.get(..len).filter(|before| !before.is_empty())
        });
        found.map(Tail::of).unwrap_or_default()
    }

    /// Copies what is kept from `at` on.
    fn copy(&self, at: u64, buf: &mut [u8]) -> usize {
        for (start, bytes) in self.spans.iter().rev() {
            if let Some(skip) = at.checked_sub(*start).filter(|skip| *skip < bytes.len() as u64) {
                let bytes = &bytes[skip as usize..];
                let count = bytes.len().min(buf.len());
                buf[..count].copy_from_slice(&bytes[..count]);
                return count;
            }
        }
        0
    }

    /// Fetches parts at the same time.
    fn fetch(&mut self, parts: Vec<Range<u64>>) -> Result<(), Error> {
        let (link, notify) = (self.link, self.notify);
        let had = |at| self.before(at);
        let fetched = link.client.wait(async {
            let (sender, mut results) = tokio::sync::mpsc::unbounded_channel();
            for part in &parts {
                let (link, sender, part) = (Arc::clone(link), sender.clone(), part.clone());
                let had = had(part.start);
                let spawner = Arc::clone(&link);
                spawner.client.spawn(async move {
                    let news = sender.clone();
                    let at = part.start;
                    let mut bytes = Vec::with_capacity((part.end - at) as usize);
                    let retried = |retry| drop(news.send(Err(retry)));
                    let put = |some: &[u8]| {
                        bytes.extend_from_slice(some);
                        true
                    };
                    let fetched = link.fetch(part, had, None, retried, |_| false, put).await;
                    let _ = sender.send(Ok((at, fetched.map(|_| bytes))));
                });
            }
            drop(sender);
            let mut fetched = Vec::new();
            while let Some(result) = results.recv().await {
                match result {
                    Ok(part) => fetched.push(part),
                    Err(retry) => notify(&retry),
                }
            }
            fetched
        });
        for (at, bytes) in fetched {
            let bytes = bytes.map_err(|error| match is_of_parts(error.kind) {
                true => {
                    link.go_alone();
                    Error { kind: Kind::NoParts, ..error }
                }
                false => error,
            })?;
            self.kept += bytes.len();
            self.spans.push_back((at, bytes));
        }
        // What was just read stays whatever it takes: its reader comes now.
        while self.kept > self.most && self.spans.len() > parts.len() {
            self.kept -= self.spans.pop_front().map_or(0, |(_, bytes)| bytes.len());
        }
        Ok(())
    }
}
