//! Receipts as the arguments and the environment want them, and `tidegate verify-receipt`.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Display;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{CheckArgs, Format, VerifyReceiptArgs};
use super::project::Subject;
use super::target::{self, Identity};
use super::{ACCEPTED, REJECTED, UNREADABLE, Usage, output};
use crate::bytes::Hostile;
use crate::inspect::{Deaf, Options, Verdict, inspect};
use crate::project::{Cache, Key, Receipt, Receipts, Refusal};
use crate::render::Style;
use crate::source::shown;

/// The variable that has the key which seals receipts.
pub(super) const KEY: &str = "TIDEGATE_RECEIPT_KEY";
/// The variable that turns the cache on or off.
pub(super) const CACHE: &str = "TIDEGATE_CACHE";

/// Whether the environment turns the cache on or off.
pub(super) fn by_environment() -> Result<Option<bool>, Usage> {
    match std::env::var_os(CACHE).unwrap_or_default().to_str().map(str::trim) {
        Some("") => Ok(None),
        Some("on" | "1" | "true") => Ok(Some(true)),
        Some("off" | "0" | "false") => Ok(Some(false)),
        _ => Err(Usage(format!("{CACHE} is on or off"))),
    }
}

/// The key, if there is one.
fn key() -> Result<Option<Key>, Usage> {
    let Some(text) = std::env::var_os(KEY).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let text = text.to_str().ok_or("it is no text");
    text.and_then(Key::new).map(Some).map_err(|why| Usage(format!("{KEY}: {why}")))
}

/// Where receipts are looked for and kept. A cache that cannot be used is no reason to check nothing.
pub(super) fn receipts(args: &CheckArgs) -> Result<Receipts, Usage> {
    let wanted = args.cache || by_environment()?.unwrap_or(false);
    let cache = match wanted && !args.no_cache {
        true => Cache::open(|name| std::env::var_os(name))
            .inspect_err(|why| output::warn(&format!("the cache is not used: {why}")))
            .ok(),
        false => None,
    };
    Ok(Receipts { cache, key: key()?, write_only: args.no_cache })
}

/// Where the receipts of all images go. Whatever happens from the first check until it is dropped, none of the files speaks
/// of an earlier check afterwards.
pub(super) struct Orders {
    files: Arc<[Option<PathBuf>]>,
    /// Whether checks are under way. Before that nothing is known of an image, so what is there still counts.
    begun: Cell<bool>,
    /// The images that are checked: their files have what they are to have.
    done: Vec<Cell<bool>>,
}

impl Orders {
    /// Each image has a file of its own. That it cannot be written there, or that no check of an image leaves a receipt,
    /// is known before any work.
    pub(super) fn new(args: &CheckArgs, subjects: &[Subject]) -> Result<Orders, Usage> {
        let files: Arc<[Option<PathBuf>]> =
            subjects.iter().map(|subject| file(args, subject)).collect::<Result<_, _>>()?;
        let done = vec![Cell::new(false); subjects.len()];
        let orders = Orders { files, begun: Cell::new(false), done };
        let mut known: BTreeSet<Identity> = BTreeSet::new();
        for (subject, file) in subjects.iter().zip(orders.files()) {
            let Some(file) = file else { continue };
            if !Identity::of(file).is_none_or(|identity| known.insert(identity)) {
                let place = Hostile::from_os(file.as_os_str());
                return Err(Usage(format!("{place} cannot have the receipts of two images")));
            }
            possible(args, subject)?;
        }
        Ok(orders)
    }

    /// The file of each image, in their order.
    pub(super) fn files(&self) -> impl Iterator<Item = Option<&Path>> {
        self.files.iter().map(Option::as_deref)
    }

    /// That of the image of this number.
    pub(super) fn file(&self, image: usize) -> Option<&Path> {
        self.files[image].as_deref()
    }

    /// The same, for other threads.
    pub(super) fn shared(&self) -> Arc<[Option<PathBuf>]> {
        Arc::clone(&self.files)
    }

    /// All arguments are good, and the checks begin.
    pub(super) fn begin(&self) {
        self.begun.set(true);
    }

    /// Nothing can be read as it was ordered, so what is there still counts.
    pub(super) fn hold(&self) {
        self.begun.set(false);
    }

    /// The image of this number is checked.
    pub(super) fn is_done(&self, image: usize) {
        self.done[image].set(true);
    }
}

impl Drop for Orders {
    fn drop(&mut self) {
        let open = self.files.iter().zip(&self.done).filter(|(_, done)| !done.get());
        for (file, _) in open.filter(|_| self.begun.get()) {
            // Why the check came to nothing was told; there is nothing to add.
            let _ = file.as_ref().map(|file| Receipt::withdraw(file));
        }
    }
}

/// Tells of receipts that nobody will believe.
pub(super) fn warn_of_no_seal(orders: &Orders, receipts: &Receipts) {
    if receipts.key.is_none() && orders.files().flatten().next().is_some() {
        output::warn(&format!(
            "without {KEY} the receipt has no seal, so verify-receipt will refuse it; make a key with \
             `openssl rand -hex 32`"
        ));
    }
}

/// Where the receipt of an image goes, if anywhere.
fn file(args: &CheckArgs, subject: &Subject) -> Result<Option<PathBuf>, Usage> {
    let said = subject.image.as_ref().and_then(|image| image.receipt.as_ref());
    let path = match (&args.receipt, said) {
        (Some(path), _) => path.clone(),
        (None, Some(below)) => below.value.to_write().map_err(|e| {
            let path = Hostile::from_os(below.value.path().as_os_str()).to_string();
            Usage(format!(
                "cannot write the receipt {path}, as line {} of tidegate.toml says: {e}",
                below.line
            ))
        })?,
        (None, None) => return Ok(None),
    };
    if target::names_descriptor(&path).is_some() {
        let place = Hostile::from_os(path.as_os_str());
        return Err(Usage(format!("the receipt goes to a file, and {place} is none; name a file")));
    }
    let wrong = |why: &dyn Display| {
        let place = Hostile::from_os(path.as_os_str());
        Usage(format!("cannot write the receipt {place}: {why}"))
    };
    Receipt::may_be_written(&path).map_err(|why| wrong(&why))?;
    let there = std::fs::metadata(&path).ok().filter(Metadata::is_file);
    match there.and_then(|meta| target::kept(&path, &meta, "replaced")) {
        Some(why) => Err(wrong(&why)),
        None => Ok(Some(path)),
    }
}

/// Makes sure that a check can leave the receipt that was ordered, as far as that is known.
fn possible(args: &CheckArgs, subject: &Subject) -> Result<(), Usage> {
    let possible = match args.quick {
        true => Err("a quick check does not read all of the file".to_owned()),
        false => Receipt::is_possible(&subject.argument),
    };
    possible.map_err(|why| {
        let image = shown(&subject.argument);
        let said = subject.image.as_ref().and_then(|image| image.receipt.as_ref());
        Usage(match said.filter(|_| args.receipt.is_none()) {
            None => format!("there can be no receipt of {image}: {why}; leave out --receipt"),
            Some(below) => format!(
                "there can be no receipt of {image}, which line {} of tidegate.toml asks for: {why}",
                below.line
            ),
        })
    })
}

/// `tidegate verify-receipt`.
pub(super) fn verify(args: &VerifyReceiptArgs) -> Result<u8, Usage> {
    let place = shown(args.receipt.as_os_str());
    let receipt = Receipt::read(&args.receipt, key()?.as_ref()).map_err(|refusal| {
        let make = match refusal {
            Refusal::None | Refusal::Empty | Refusal::Unreadable(_) | Refusal::Malformed(_) => {
                "; make one by a check with --receipt"
            }
            _ => "",
        };
        Usage(format!("the receipt {place} does not count: {refusal}{make}"))
    })?;
    let held = args.image.as_deref().map(|image| hold(&receipt, image, args)).transpose()?;
    let report = &receipt.report;
    let (same, read) = match &held {
        Some(Ok(same)) => (*same, true),
        Some(Err(_)) => (false, false),
        None => (true, true),
    };
    let text = match args.format {
        Format::Json => {
            let document = serde_json::json!({
                "schema": "tidegate.verified-receipt/1",
                "valid": true,
                "same": held.as_ref().map(|held| held.as_ref().ok()),
                "receipt": receipt,
            });
            format!("{document:#}\n")
        }
        _ => {
            let mut text = format!("valid  {place}\n");
            text += &format!(
                "  checked  {}, rules {}\n",
                Hostile::from(receipt.checked_at.as_str()),
                receipt.rules
            );
            text += &format!("  {}", crate::render::text::line(report, Style::default()));
            if let (Some(image), Some(Ok(same))) = (&args.image, &held) {
                let what = if *same {
                    "has the bytes that were checked"
                } else {
                    "has other bytes than those that were checked"
                };
                text += &format!("  {} {what}\n", shown(image));
            }
            text
        }
    };
    output::write(&mut None, &text)?;
    if let Some(Err(why)) = &held {
        output::complain(why);
    }
    Ok(match report.verdict {
        _ if !read => UNREADABLE,
        Verdict::Accept | Verdict::Warn if same => ACCEPTED,
        _ => REJECTED,
    })
}

/// Whether an image has the bytes that were checked: it is read to its end. The inner error says why it cannot be.
fn hold(
    receipt: &Receipt,
    image: &OsStr,
    args: &VerifyReceiptArgs,
) -> Result<Result<bool, String>, Usage> {
    let options = Options {
        keep_going: true,
        limit: receipt.report.limit,
        url_rules: false,
        client: super::net::client(&args.net, args.net.insecure_http, [image], None)?,
        ..Options::default()
    };
    let report = inspect(image, &options, &Deaf);
    Ok(match (report.error, report.digests.sha256) {
        (Some(error), _) => Err(error.message),
        (None, made) => Ok(made.is_some() && made == receipt.report.digests.sha256),
    })
}
