//! A check with receipts: one that counts is found, or one is made.

use std::ffi::OsStr;
use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::subject::Unknown;
use super::{Asked, Cache, Checked, Key, Receipt, Refusal, Subject, Trust, Unwritable, put};
use crate::bytes::{Hostile, hex};
use crate::inspect::{self, Listener, Options, Verdict, inspect};
use crate::source::is_url;

/// Where receipts are looked for and kept.
#[derive(Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Receipts {
    /// The user's own cache.
    pub cache: Option<Cache>,
    /// What seals receipts that lie elsewhere.
    pub key: Option<Key>,
    /// Whether receipts are only made and none is believed.
    pub write_only: bool,
}

impl Receipts {
    /// Checks an image, or finds that it was checked and has not changed. A receipt goes into the cache, and into
    /// `file` if there is one; whatever comes of the check, `file` speaks of no other one afterwards, unless nothing was read. `complain` is told
    /// why a receipt is not believed, or not kept in the cache.
    ///
    /// With a `file`, an image that changed a moment ago is read when two seconds have passed since: only then every
    /// change that comes while it is read has another time stamp.
    ///
    /// # Errors
    /// If the receipt of an earlier check cannot be removed, or there can be none; nothing was read then.
    pub fn check(
        &self,
        argument: &OsStr,
        options: &Options,
        file: Option<&Path>,
        listener: &dyn Listener,
        complain: &dyn Fn(&str),
    ) -> Result<Checked, Unwritable> {
        if self.cache.is_none() && file.is_none() {
            return Ok(Checked { report: inspect(argument, options, listener), unwritten: None });
        }
        let work =
            Work { receipts: self, argument, options, asked: Asked::of(options), file, complain };
        let before = match options.quick {
            true => Err(Unknown::Ever("a quick check does not read all of the file".into())),
            false => Subject::look(argument, options, listener),
        };
        if let Some((receipt, kept)) = before.as_ref().ok().and_then(|now| work.found(now)) {
            let report = receipt.report_for(argument, options);
            return Ok(Checked { report, unwritten: kept.err() });
        }
        if let Some(file) = file {
            if let Err(Unknown::Ever(why)) = before {
                return Err(Unwritable::Never(why));
            }
            Receipt::withdraw(file)?;
        }
        let before = before
            .map_err(Unknown::why)
            .and_then(|before| before.settled(argument, file.is_some().then_some(listener)));
        let began = SystemTime::now();
        let mut report = inspect(argument, options, listener);
        if report.verdict == Verdict::Error {
            let unwritten = file.map(|_| "the image was not read to its end".to_owned());
            return Ok(Checked { report, unwritten });
        }
        let receipt = before
            .and_then(|before| before.confirmed(&report, began).map(|()| before))
            .and_then(|subject| Receipt::of(&report, subject, work.asked.clone(), began))
            .and_then(|receipt| receipt.written(self.key.as_ref()));
        let kept = receipt.and_then(|text| {
            work.to_cache(&text);
            work.to_file(&text, false)
        });
        report.receipt = Some(match &kept {
            Ok(()) => inspect::Receipt::Kept,
            Err(why) => inspect::Receipt::None { why: why.clone() },
        });
        Ok(Checked { report, unwritten: kept.err().filter(|_| file.is_some()) })
    }
}

/// The check of one image, as far as it is about receipts.
struct Work<'a> {
    receipts: &'a Receipts,
    argument: &'a OsStr,
    options: &'a Options,
    asked: Asked,
    file: Option<&'a Path>,
    complain: &'a dyn Fn(&str),
}

impl Work<'_> {
    /// A receipt that counts for what is there now, and whether the file has it afterwards, as the cache does.
    fn found(&self, now: &Subject) -> Option<(Receipt, Result<(), String>)> {
        if self.receipts.write_only {
            return None;
        }
        let own = self.receipts.cache.as_ref().map(|cache| {
            let bytes = cache.read(&self.cache_name()).ok_or(Refusal::None)?;
            // Who gives a key may have brought the cache from elsewhere.
            let trust =
                self.receipts.key.as_ref().map_or(Trust::Own, |key| Trust::Sealed(Some(key)));
            Receipt::parse(&bytes, trust)
        });
        if let Some(receipt) = own.and_then(|own| self.counting(own, "in the cache", now)) {
            let kept = receipt.written(self.receipts.key.as_ref());
            let kept = kept.and_then(|text| self.to_file(&text, true));
            return Some((receipt, kept));
        }
        let file = self.file?;
        let place = Hostile::from_os(file.as_os_str()).to_string();
        let given = Receipt::read(file, self.receipts.key.as_ref());
        let receipt = self.counting(given, &place, now)?;
        if let Ok(text) = receipt.written(self.receipts.key.as_ref()) {
            self.to_cache(&text);
        }
        Some((receipt, Ok(())))
    }

    fn counting(
        &self,
        receipt: Result<Receipt, Refusal>,
        place: &str,
        now: &Subject,
    ) -> Option<Receipt> {
        let refused = |refusal: &Refusal| {
            if !matches!(refusal, Refusal::None | Refusal::Empty) {
                (self.complain)(&format!("the receipt {place} does not count: {refusal}"));
            }
        };
        receipt.inspect_err(refused).ok().filter(|receipt| {
            receipt.subject == *now
                && receipt.options == self.asked
                && receipt.agrees(&self.options.expected)
        })
    }

    fn to_cache(&self, text: &str) {
        if let Some(cache) = &self.receipts.cache
            && let Err(why) = cache.write(&self.cache_name(), text)
        {
            (self.complain)(&format!("no receipt was put into the cache: {why}"));
        }
    }

    /// In place of the receipt that is there, if it is to be `over` it.
    fn to_file(&self, text: &str, over: bool) -> Result<(), String> {
        self.file.map_or(Ok(()), |file| put(file, text, over))
    }

    /// The name in the cache: one for each image and what is asked of it, so that a new receipt takes the place of
    /// the old one.
    fn cache_name(&self) -> String {
        let whole = match is_url(self.argument) {
            true => self.argument.to_owned(),
            false => std::path::absolute(self.argument)
                .map_or_else(|_| self.argument.to_owned(), Into::into),
        };
        let mut digest = Sha256::new();
        digest.update(whole.as_encoded_bytes());
        digest.update([0]);
        digest.update(format!("{:?}", self.asked));
        hex(&digest.finalize())
    }
}
