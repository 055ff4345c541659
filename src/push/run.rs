//! A push from its beginning to its end.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::oneshot;

use super::clean::clean;
use super::cut::{self, Cut, Go};
use super::{PREFIX, again};
use super::entry::{Began, Entry, Intent, Outcome, Place};
use super::event::{Event, Step};
use super::journal::{Found, Journal, JournalError};
use super::object;
use super::order::{KEPT, Order, Repack, Route, staged_name};
use super::parts::Cutter;
use super::probe::probe;
use super::state::{Image as ImageState, Object};
use super::stop::Stop;
use super::upload::{Broken, Sending};
use super::world::{Cancel, World};
use crate::bytes::hex;
use crate::digitalocean::wait::{self, WaitError};
use crate::digitalocean::{Error, Image, ImageNewCustom, Kind, PushId};
use crate::facts::Compression;
use crate::inspect::{
    Identity, Inside, Recognised, Report, Tap, Verdict, Wrapped, identity, inspect_inside,
    inspect_tapped,
};
use crate::spaces::{self, Acl, Bucket, Key, Part, PartNumber, Upload, UploadId, part_size};

/// What an object is uploaded as; the importer looks at its bytes.
const CONTENT_TYPE: &str = "application/octet-stream";

/// What became of a push.
#[derive(Debug)]
pub struct Pushed {
    /// What marks its image, if there is a journal.
    pub push: Option<PushId>,
    /// The check, if it came to that.
    pub report: Option<Report>,
    /// What was pushed, if it was read.
    pub source: Option<Source>,
    /// The object, if one was staged.
    pub staged: Option<Staged>,
    /// The image as it was seen last, if one was made.
    pub image: Option<Image>,
    /// The other regions that it was to go to.
    pub regions: Vec<RegionOutcome>,
    /// How long each step took.
    pub took: Vec<(Step, Duration)>,
    /// Why it ended before its end.
    pub stop: Option<Stop>,
    /// What could not be cleaned up; a sweep will.
    pub left: Vec<String>,
}

/// The file that was pushed, as it is.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    /// Its path or URL, or `-`.
    pub name: String,
    /// Its bytes, if it was read to its end.
    pub size: Option<u64>,
    /// SHA-256 of its bytes, if it was read to its end.
    pub sha256: Option<String>,
    /// What was taken off, the outermost first: the report is that of the file inside.
    pub wrappings: Vec<String>,
}

/// The object that was staged.
#[derive(Clone, Debug, Serialize)]
pub struct Staged {
    /// Its key.
    pub key: String,
    /// Where it was public for the time of the import.
    pub url: String,
    /// Its bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Parts that it was sent in.
    pub parts: usize,
    /// Whether it is still there, private.
    pub kept: bool,
}

/// What became of a region.
#[derive(Clone, Debug, Serialize)]
pub struct RegionOutcome {
    /// Which.
    pub region: String,
    /// `present`, `completed` or `failed`.
    pub outcome: &'static str,
    /// Why it failed.
    pub error: Option<String>,
}

/// Pushes an image, and removes what is not to stay, whatever happens.
pub async fn push(order: &Order, world: &World, folder: &Path, cancel: &Cancel) -> Pushed {
    let journal = match order.resume {
        true => resumed(order, world, folder),
        false => Ok(None),
    };
    let journal = journal.and_then(|journal| match journal {
        Some(journal) => Ok(journal),
        None => begin(order, world, folder),
    });

    let mut pushed = Pushed {
        push: None,
        report: None,
        source: None,
        staged: None,
        image: None,
        regions: Vec::new(),
        took: Vec::new(),
        stop: None,
        left: Vec::new(),
    };
    let journal = match journal {
        Ok(journal) => journal,
        Err(error) => return Pushed { stop: Some(error.into()), ..pushed },
    };
    pushed.push = Some(journal.push().clone());
    let mut run = Run { order, world, cancel, journal, pushed, since: Instant::now() };
    let stop = run.attempt().await.err();
    run.conclude(stop).await
}

/// The push of the same file that was killed before its upload was complete, if there is one.
fn resumed(order: &Order, world: &World, folder: &Path) -> Result<Option<Journal>, JournalError> {
    for path in Journal::all(folder)? {
        // What is wrong with the journals of others is a sweep's business.
        let Ok(Some(Found::Left(mut journal))) = Journal::open(&path) else { continue };
        let state = journal.state();
        let same = state.began.source == order.shown
            && state.began.place == place(order, world)
            && state.began.api == world.api_place
            && state.image == ImageState::None
            // What comes from a pipe comes once.
            && order.source != "-";
        if same && matches!(state.object, Object::Open { .. }) {
            journal.write(Entry::Resumed)?;
            return Ok(Some(*journal));
        }
    }
    world.note("there is no upload of this file to go on with; it begins anew");
    Ok(None)
}

/// Where the object is to be, if there is to be one.
fn place(order: &Order, world: &World) -> Option<Place> {
    let bucket = world.bucket.as_ref().filter(|_| matches!(order.route, Route::Staged { .. }))?;
    let endpoint = bucket.endpoint();
    Some(Place {
        endpoint: endpoint.address().to_string(),
        bucket: bucket.name().as_str().to_owned(),
        region: endpoint.region().as_str().to_owned(),
    })
}

fn begin(order: &Order, world: &World, folder: &Path) -> Result<Journal, JournalError> {
    let push = PushId::random();
    let began = Began {
        push: push.as_str().to_owned(),
        source: order.shown.clone(),
        api: world.api_place.clone(),
        place: place(order, world),
        tag: order.tag,
        keep_object: matches!(order.route, Route::Staged { keep_object: true, .. }),
        settle: order.settle.as_secs(),
    };
    Journal::begin(folder, &push, began)
}

pub(super) struct Run<'a> {
    pub(super) order: &'a Order,
    pub(super) world: &'a World,
    pub(super) cancel: &'a Cancel,
    journal: Journal,
    pub(super) pushed: Pushed,
    /// When the current step began.
    since: Instant,
}

impl Run<'_> {
    pub(super) fn begin(&mut self, step: Step, what: &str) {
        self.since = Instant::now();
        self.world.tell(&Event::Begun { step, what });
    }

    pub(super) fn done(&mut self, step: Step, what: &str) {
        let took = self.since.elapsed();
        self.pushed.took.push((step, took));
        self.world.tell(&Event::Done { step, what, took });
    }

    pub(super) fn intend(&mut self, intent: Intent) -> Result<(), Stop> {
        Ok(self.journal.write(Entry::Intent(intent))?)
    }

    pub(super) fn conclude_step(&mut self, outcome: Outcome) -> Result<(), Stop> {
        Ok(self.journal.write(Entry::Outcome(outcome))?)
    }

    async fn attempt(&mut self) -> Result<(), Stop> {
        let url = match &self.order.route {
            Route::Url(url) => {
                self.check().await?;
                self.still_the_same(Step::Create).await?;
                url.clone()
            }
            Route::Staged { .. } => self.stage().await?,
        };
        self.create(url).await?;
        self.import().await?;
        if matches!(self.order.route, Route::Url(_)) {
            self.still_the_same(Step::Import).await?;
        }
        self.remove().await;
        self.spread().await
    }

    /// Whatever happened, nothing is left but what is to stay.
    async fn conclude(mut self, stop: Option<Stop>) -> Pushed {
        // What DigitalOcean is still at, and could not be asked about, may well end well.
        let waits =
            matches!(&stop, Some(Stop::Wait(error)) if matches!(**error, WaitError::Api(_)));
        let begun = stop.is_some() && !waits;
        if begun && !matches!(stop, Some(Stop::Spread(_))) {
            if let Some(error) = self.journal.note(Entry::Abandoned) {
                self.world.note(&error.to_string());
            }
        }
        if waits {
            self.pushed.left.push("the import goes on; the object is needed until its end".into());
        } else {
            self.pushed.left = clean(&mut self.journal, self.world, &self.order.patience).await;
        }
        if let Some(staged) = &mut self.pushed.staged {
            staged.kept = self.journal.state().object.key().is_some();
        }
        if self.pushed.left.is_empty()
            && let Err(error) = self.journal.end()
        {
            self.world.note(&error.to_string());
        }
        Pushed { stop, ..self.pushed }
    }

    /// Checks the image where it is.
    async fn check(&mut self) -> Result<(), Stop> {
        self.begin(Step::Check, &self.order.shown.clone());
        let checking = self.inspect(None, Repack::Never);
        let checked = self.cancel.unless(checking.report).await?;
        self.judge(checked.map_err(|_| Stop::Unread)?, Vec::new())?;
        self.done(Step::Check, "accepted");
        Ok(())
    }

    /// A check on a thread of its own: a pipe may block for as long as it likes.
    fn inspect(&self, tap: Option<Tap>, repack: Repack) -> Checking {
        let (say_inside, inside) = oneshot::channel();
        let (say_report, report) = oneshot::channel();
        let (source, options) = (self.order.source.clone(), self.order.check.clone());
        let watch = Arc::clone(&self.world.watch);
        std::thread::spawn(move || {
            let tap = tap.as_ref();
            // Nobody may want to know any more.
            let tell = move |found| drop(say_inside.send(found));
            let checked = match repack {
                Repack::Never => {
                    tell(Inside { wrappings: Vec::new(), raw: false });
                    (inspect_tapped(&source, &options, &*watch, tap), None)
                }
                Repack::Auto | Repack::Always => {
                    inspect_inside(&source, &options, &*watch, tap, tell)
                }
            };
            let _ = say_report.send(checked);
        });
        Checking { inside, report }
    }

    /// Goes on only with what was accepted, every byte of it.
    fn judge(
        &mut self,
        (report, wrapped): (Report, Option<Wrapped>),
        wrappings: Vec<String>,
    ) -> Result<(), Stop> {
        let whole = wrappings.is_empty() || wrapped.is_some();
        let (verdict, complete) = (report.verdict, report.complete && whole);
        self.pushed.source = Some(Source {
            name: self.order.shown.clone(),
            size: wrapped.map_or(report.file_size, |file| Some(file.size)),
            sha256: match wrapped {
                Some(file) => Some(hex(&file.sha256)),
                None if wrappings.is_empty() => report.digests.sha256.clone(),
                None => None,
            },
            wrappings,
        });
        self.pushed.report = Some(report);
        match verdict {
            Verdict::Accept if complete => Ok(()),
            Verdict::Warn if complete && !self.order.strict => Ok(()),
            Verdict::Warn if complete => Err(Stop::Rejected),
            Verdict::Reject => Err(Stop::Rejected),
            _ => Err(Stop::Unread),
        }
    }

    /// Checks the image and uploads it in the same pass; where everybody finds it then.
    async fn stage(&mut self) -> Result<String, Stop> {
        let Route::Staged { stem, at_once, part_size: wanted, repack, .. } = &self.order.route
        else {
            return Err(Stop::Order("there is nothing to stage".into()));
        };
        let bucket = self.world.bucket.clone();
        let bucket = bucket.ok_or_else(|| Stop::Order("there is no bucket to stage in".into()))?;
        self.probe(&bucket).await?;

        self.begin(Step::Check, &self.order.shown.clone());
        let size = cut::size(&self.order.source);
        let begun = match &self.journal.state().object {
            Object::Open { part_size, .. } => Some(*part_size),
            _ => *wanted,
        };
        let part_size = begun.unwrap_or_else(|| part_size(size));
        let (tap, tapped) = Tap::new();
        // A part never has more than 5 GB.
        let (cutter, cuts, home) = Cutter::new(part_size as usize, at_once + 1);
        let checking = self.inspect(Some(tap), *repack);
        let (go, told) = mpsc::channel();
        let cutting = cut::start(tapped, cutter, self.order.check.clone(), told);

        let inside = self.cancel.unless(checking.inside).await?;
        let wrappings = self.tell_wrappings(inside.as_ref().ok());
        let head = self.cancel.unless(cutting.head).await?;
        let (head, how) = match (inside, head) {
            (Ok(inside), Ok(head)) if !head.refused => (head, how(*repack, &inside, &head)),
            // The report says why; nothing was sent.
            _ => {
                drop(go);
                let checked = self.cancel.unless(checking.report).await?;
                self.judge(checked.map_err(|_| Stop::Unread)?, wrappings)?;
                return Err(Stop::Unread);
            }
        };
        let compression = match how {
            Go::Packed => Compression::Gzip,
            Go::Plain => head.compression,
        };
        let name = staged_name(stem, head.disk_format, compression);
        let (upload, there) = self.open_upload(&bucket, &name, part_size).await?;
        if how == Go::Packed {
            self.world.note("the image is packed as gzip on the way");
        }
        // If nobody listens, the reason comes with the report.
        let _ = go.send(how);
        let as_it_is = how == Go::Plain && wrappings.is_empty();
        let sending = Sending {
            world: self.world,
            bucket: &bucket,
            upload: &upload,
            at_once: *at_once,
            total: size.filter(|_| as_it_is),
            there,
        };
        let work = async {
            let parts = sending.run(cuts, home).await?;
            Ok((parts, cutting.done.await.ok().flatten(), checking.report.await))
        };
        let (parts, cut, checked) = match self.cancel.unless(work).await? {
            Ok(done) => done,
            Err(Broken::Bucket(error)) => return Err(Stop::Spaces { step: Step::Check, error }),
            Err(Broken::TooMany) => {
                return Err(Stop::Order(format!(
                    "the file has more than {} parts of {part_size} bytes; --part-size takes larger ones",
                    spaces::limits::MOST_PARTS
                )));
            }
        };
        self.judge(checked.map_err(|_| Stop::Unread)?, wrappings)?;
        let sent: u64 = parts.iter().map(|part| part.size).sum();
        let sha256 = self.same(cut, sent)?;
        self.done(Step::Check, &format!("accepted, {sent} bytes in {} parts", parts.len()));
        self.complete(&bucket, &upload, &parts, sent, &sha256).await?;
        self.publish(&bucket, &upload.key, sent).await
    }

    /// Says what is taken off.
    fn tell_wrappings(&self, inside: Option<&Inside>) -> Vec<String> {
        let wrappings = inside.map(|inside| inside.wrappings.as_slice()).unwrap_or_default();
        let wrappings: Vec<String> = wrappings.iter().map(ToString::to_string).collect();
        if !wrappings.is_empty() {
            self.world.note(&format!("taken out of {}", wrappings.join(", then ")));
        }
        wrappings
    }

    /// Makes sure that what was sent is what was checked; the SHA-256 of the object.
    fn same(&self, cut: Option<Cut>, sent: u64) -> Result<String, Stop> {
        let report = self.pushed.report.as_ref();
        let checked =
            report.and_then(|report| Some((report.file_size?, report.digests.sha256.clone()?)));
        let (Some(cut), Some((size, sha256))) = (cut, checked) else { return Err(Stop::Unread) };
        if cut.taken != size || cut.sent != sent {
            return Err(Stop::Staged(format!(
                "{size} bytes were checked, {} were taken, and {sent} of {} were sent",
                cut.taken, cut.sent
            )));
        }
        match cut.packed {
            None => Ok(sha256),
            Some(packed) if packed.inner_sha256 == sha256 => Ok(packed.sha256),
            Some(packed) => Err(Stop::Staged(format!(
                "the file that was checked has the SHA-256 {sha256}, and what was packed unpacks to {}",
                packed.inner_sha256
            ))),
        }
    }

    async fn probe(&mut self, bucket: &Bucket) -> Result<(), Stop> {
        let key = self.key("probe")?;
        self.begin(Step::Probe, bucket.name().as_str());
        self.intend(Intent::Probe { key: key.as_str().to_owned() })?;
        self.cancel.unless(probe(bucket, &key)).await??;
        self.conclude_step(Outcome::Probe)?;
        self.done(Step::Probe, "the bucket takes objects and lets everybody read them");
        Ok(())
    }

    /// The key of an object of this push.
    fn key(&self, name: &str) -> Result<Key, Stop> {
        let push = self.journal.push().as_str();
        let folder = match self.journal.state().began.keep_object {
            true => KEPT,
            false => "/",
        };
        Key::parse(&format!("{PREFIX}{push}{folder}{name}")).map_err(Stop::Order)
    }

    /// The upload, and the parts that have arrived before, if it is that of an earlier run.
    async fn open_upload(
        &mut self,
        bucket: &Bucket,
        name: &str,
        part_size: u64,
    ) -> Result<(Upload, BTreeMap<PartNumber, Part>), Stop> {
        let key = self.key(name)?;
        if let Object::Open { key: known, id, .. } = self.journal.state().object.clone() {
            let upload =
                Key::parse(&known).and_then(|key| Ok(Upload { key, id: UploadId::parse(&id)? }));
            let upload = upload.map_err(Stop::Order)?;
            match self.cancel.unless(bucket.parts(&upload)).await? {
                Ok(parts) if upload.key == key => {
                    self.world.note(&format!("{} parts have arrived before", parts.len()));
                    return Ok((
                        upload,
                        parts.into_iter().map(|part| (part.number, part)).collect(),
                    ));
                }
                // It is gone, or was of something else.
                Ok(_) => self.abort(bucket, &upload).await?,
                Err(error) if error.kind == spaces::Kind::NoSuchUpload => {}
                Err(error) => return Err(Stop::Spaces { step: Step::Check, error }),
            }
        }
        self.intend(Intent::Upload { key: key.as_str().to_owned(), part_size })?;
        let upload = self.cancel.unless(again::create_upload(bucket, &key, CONTENT_TYPE)).await?;
        let upload = upload.map_err(Stop::spaces(Step::Check))?;
        self.conclude_step(Outcome::Upload { id: upload.id.as_str().to_owned() })?;
        Ok((upload, BTreeMap::new()))
    }

    async fn abort(&self, bucket: &Bucket, upload: &Upload) -> Result<(), Stop> {
        self.cancel.unless(bucket.abort(upload)).await?.map_err(Stop::spaces(Step::Check))
    }

    /// The commit point: from here on there is an object.
    async fn complete(
        &mut self,
        bucket: &Bucket,
        upload: &Upload,
        parts: &[Part],
        size: u64,
        sha256: &str,
    ) -> Result<(), Stop> {
        self.begin(Step::Complete, upload.key.as_str());
        self.intend(Intent::Complete { size, sha256: sha256.to_owned() })?;
        let completed = self.cancel.unless(again::complete(bucket, upload, parts, size)).await?;
        completed.map_err(Stop::spaces(Step::Complete))?;
        self.conclude_step(Outcome::Complete)?;
        let url = bucket.url(&upload.key).map_err(Stop::Order)?.to_string();
        self.pushed.staged = Some(Staged {
            key: upload.key.as_str().to_owned(),
            url: url.clone(),
            size,
            sha256: sha256.to_owned(),
            parts: parts.len(),
            kept: false,
        });
        self.done(Step::Complete, "the object is stored, private");
        Ok(())
    }

    async fn publish(&mut self, bucket: &Bucket, key: &Key, size: u64) -> Result<String, Stop> {
        let url = bucket.url(key).map_err(Stop::Order)?.to_string();
        self.begin(Step::Publish, &url);
        self.intend(Intent::Publish)?;
        let published = self.cancel.unless(bucket.set_acl(key, Acl::PublicRead)).await?;
        published.map_err(Stop::spaces(Step::Publish))?;
        self.cancel.unless(object::is_public(bucket, key, size, Step::Publish)).await??;
        self.conclude_step(Outcome::Publish)?;
        self.done(Step::Publish, "everybody can read it, as the importer will");
        Ok(url)
    }

    /// Posts the create, once. After an answer that says neither yes nor no, the image is looked for.
    async fn create(&mut self, url: String) -> Result<(), Stop> {
        let new = &self.order.image;
        let request = ImageNewCustom {
            name: new.name.clone(),
            url,
            region: new.region.clone(),
            distribution: new.distribution.clone(),
            description: new.description.clone(),
            tags: new.tags.clone(),
        };
        let push = self.journal.push().clone();
        let request = push.mark(&request, self.order.tag);
        // Nothing is created for somebody who does not want it any more.
        self.cancel.unless(std::future::ready(())).await?;
        self.begin(Step::Create, &format!("marked {}", push.tag()));
        self.intend(Intent::Create)?;
        let images = self.world.api.images();
        let image = match images.create(&request).await {
            Ok(image) => image,
            Err(error) if error.is_ambiguous() => self.settle(&push, error).await?,
            Err(error) => return Err(self.refused(error)?),
        };
        self.conclude_step(Outcome::Create { image: image.id })?;
        self.done(Step::Create, &format!("image {}", image.id));
        self.pushed.image = Some(image);
        Ok(())
    }

    /// A create that was refused. One that made an image all the same leaves it to be deleted.
    fn refused(&mut self, error: Error) -> Result<Stop, Stop> {
        match &error.kind {
            Kind::Invalid { stray: Some(stray) } => {
                self.conclude_step(Outcome::Create { image: stray.id })?;
            }
            _ => self.conclude_step(Outcome::NotCreated)?,
        }
        Ok(Stop::Api { step: Step::Create, error })
    }

    async fn settle(&mut self, push: &PushId, because: Error) -> Result<Image, Stop> {
        let asked = Instant::now();
        let (settle, patience) = (self.order.settle, self.order.patience);
        let images = self.world.api.images();
        let found =
            self.cancel.unless(images.find(push, settle, &patience, Some(&because))).await?;
        match found.ok().and_then(|mut found| (!found.is_empty()).then(|| found.remove(0))) {
            Some(image) => {
                self.world.note(&format!("image {} was made, and is adopted", image.id));
                Ok(image)
            }
            None => Err(Stop::Unknown { because: Box::new(because), looked: asked.elapsed() }),
        }
    }

    /// Waits until DigitalOcean has imported the image.
    async fn import(&mut self) -> Result<(), Stop> {
        let Some(id) = self.pushed.image.as_ref().map(|image| image.id) else { return Ok(()) };
        self.begin(Step::Import, &format!("image {id}"));
        let (api, push, patience) = (&self.world.api, self.journal.push(), self.order.patience);
        let mut seen = None;
        let waiting = wait::image(api, id, Some(push), patience, &mut seen);
        let waited = self.cancel.unless(waiting).await;
        self.pushed.image = seen.or(self.pushed.image.take());
        let waited = waited?;
        let (image, available) = match waited {
            Ok(image) => (image, true),
            Err(WaitError::Failed(image)) => (*image, false),
            Err(error) => return Err(Stop::Wait(Box::new(error))),
        };
        self.conclude_step(Outcome::Import { image: image.id, available })?;
        self.pushed.image = Some(image.clone());
        if !available {
            return Err(Stop::Failed { image: Box::new(image) });
        }
        self.done(Step::Import, &format!("image {} is available", image.id));
        Ok(())
    }

    /// Makes sure that the URL still leads to what was checked: nobody else may have put an image there.
    async fn still_the_same(&mut self, step: Step) -> Result<(), Stop> {
        let checked = self.pushed.report.as_ref().and_then(|report| report.identity.clone());
        let Some(checked) = checked else { return Err(Stop::Unread) };
        let (say, said) = oneshot::channel();
        let (source, options) = (self.order.source.clone(), self.order.check.clone());
        let watch = Arc::clone(&self.world.watch);
        std::thread::spawn(move || {
            let _ = say.send(identity(&source, &options, &*watch));
        });
        let now = self.cancel.unless(said).await?;
        let why = match now {
            Ok(Ok(now)) => difference(&checked, &now),
            Ok(Err(error)) => Some(format!("it cannot be looked at again: {error}")),
            Err(_) => Some("it could not be looked at again".to_owned()),
        };
        let Some(why) = why else { return Ok(()) };
        if let Some(image) = self.pushed.image.as_ref().map(|image| image.id) {
            // What was imported is not what was checked: it goes like one that failed.
            self.conclude_step(Outcome::Import { image, available: false })?;
        }
        Err(Stop::Changed { step, why })
    }

    /// Removes the object; what cannot be removed now is tried again at the end.
    async fn remove(&mut self) {
        if !matches!(self.order.route, Route::Staged { .. }) {
            return;
        }
        self.begin(Step::Remove, "the object");
        let left = clean(&mut self.journal, self.world, &self.order.patience).await;
        match left.is_empty() {
            true => self.done(Step::Remove, "nothing is left of it"),
            false => left.iter().for_each(|left| self.world.note(left)),
        }
    }
}

/// A check that is under way.
struct Checking {
    inside: oneshot::Receiver<Inside>,
    report: oneshot::Receiver<(Report, Option<Wrapped>)>,
}

/// How the file goes on.
fn how(repack: Repack, inside: &Inside, head: &Recognised) -> Go {
    let packs = match repack {
        Repack::Never => false,
        Repack::Auto => inside.raw,
        Repack::Always => head.compression == Compression::None,
    };
    if packs { Go::Packed } else { Go::Plain }
}

/// What tells two looks at a URL apart.
fn difference(checked: &Identity, now: &Identity) -> Option<String> {
    let pairs = [
        ("length", checked.length.map(|n| n.to_string()), now.length.map(|n| n.to_string())),
        ("ETag", checked.etag.clone(), now.etag.clone()),
        ("Last-Modified", checked.last_modified.clone(), now.last_modified.clone()),
    ];
    pairs.into_iter().find(|(_, before, after)| before != after).map(|(what, before, after)| {
        let shown = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
        format!("its {what} was {} when it was checked, and is {} now", shown(before), shown(after))
    })
}
