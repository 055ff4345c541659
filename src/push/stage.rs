//! A file on its way to an object that everybody can read: checked and uploaded in the same pass.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Duration;

use super::cut::{self, Cut, Go};
use super::entry::{Entry, Intent, Outcome};
use super::event::{Event, Step};
use super::object;
use super::order::{KEPT, Repack, Route, staged_name};
use super::parts::Cutter;
use super::probe;
use super::pushed::Staged;
use super::run::Run;
use super::state::Object;
use super::stop::Stop;
use super::stored::stored;
use super::upload::{Broken, Sending};
use super::{PREFIX, again, back};
use crate::facts::Compression;
use crate::inspect::{Inside, Recognised, Tap};
use crate::spaces::limits::PartSizes;
use crate::spaces::{self, Acl, Bucket, Key, Part, PartNumber, Upload, UploadId, part_size};

/// What an object is uploaded as; the importer looks at its bytes.
const CONTENT_TYPE: &str = "application/octet-stream";

/// How long it is waited for the answer to what is under way, when the push is to end.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// Bytes of parts that may wait for their MD5s beside those that are on their way.
const WAITING: u64 = 16 << 20;

impl Run<'_> {
    /// Checks the image and uploads it in the same pass; where everybody finds it then.
    pub(super) async fn stage(&mut self) -> Result<String, Stop> {
        let Route::Staged { stem, at_once, part_size: wanted, repack, read_back, .. } =
            &self.order.route
        else {
            return Err(Stop::Order("there is nothing to stage".into()));
        };
        let before = stored(self.journal.state()).map(|(key, it)| (key.to_owned(), it.clone()));
        if let Some((key, before)) = before {
            return self.stage_again(&key, &before).await;
        }
        // What cannot be read, or is refused by its first bytes, is no business of the bucket.
        self.begin(Step::Check, &self.order.shown.clone());
        let size = cut::size(&self.order.source);
        let (tap, tapped) = Tap::new();
        let checking = self.inspect(Some(tap), *repack);
        // It is told before the first byte comes.
        let inside = self.cancel.unless(checking.inside).await?;
        let wrappings = self.tell_wrappings(inside.as_ref().ok());
        let begun = match &self.journal.state().object {
            Object::Open { part_size, .. } => Some(*part_size),
            _ => *wanted,
        };
        // What is inside of something may be of any size below the limit.
        let most = bound(size.filter(|_| wrappings.is_empty()).unwrap_or(self.order.check.limit));
        let part_size = begun.unwrap_or_else(|| part_size(Some(most)));
        let sizes = PartSizes::new(part_size, most);
        // A part never has more than 5 GB.
        let buffers = at_once + 1 + (WAITING / sizes.largest()) as usize;
        let (cutter, cuts, home) = Cutter::new(sizes, buffers);
        let (go, told) = mpsc::channel();
        let cutting = cut::start(tapped, cutter, self.order.check.clone(), told);

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
        let bucket = self.bucket().await?;
        self.probe(&bucket).await?;
        self.begin(Step::Check, "uploaded while it is checked");
        let (upload, there) = self.open_upload(&bucket, &name, part_size).await?;
        if how == Go::Packed {
            self.world.note("the image is packed as gzip on the way");
        }
        // If nobody listens, the reason comes with the report.
        let _ = go.send(how);
        let as_it_is = how == Go::Plain && wrappings.is_empty();
        let sending = Sending {
            world: &self.world,
            bucket: &bucket,
            upload: &upload,
            at_once: *at_once,
            total: size.filter(|_| as_it_is),
            there,
        };
        let (parts, cut, checked) = match sending.run(cuts, home, self.cancel).await {
            Ok(parts) => {
                let rest = async { (cutting.done.await.ok().flatten(), checking.report.await) };
                let (cut, checked) = self.cancel.unless(rest).await?;
                (parts, cut, checked)
            }
            Err(Broken::Cancelled) => return Err(Stop::Interrupted),
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
        let count = parts.len();
        let noun = if count == 1 { "part" } else { "parts" };
        self.done(Step::Check, &format!("accepted, {sent} bytes in {count} {noun}"));
        self.complete(&bucket, &upload, &parts, sent, &sha256).await?;
        if *read_back {
            self.read_back(&bucket, &upload.key, sent, &sha256).await?;
        }
        self.publish(&bucket, &upload.key, sent).await
    }

    /// Says what is taken off.
    pub(super) fn tell_wrappings(&self, inside: Option<&Inside>) -> Vec<String> {
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
        let key = self.key_of("/", probe::NAME)?;
        self.begin(Step::Probe, bucket.name().as_str());
        let keeps = self.cancel.unless(probe::keeps(bucket)).await??;
        self.intend(Intent::Probe { key: key.as_str().to_owned() })?;
        // What is under way on the server would come after it was deleted.
        match self.cancel.finish(probe::put(bucket, &key), GRACE).await? {
            Ok(put) => {
                self.conclude_step(Outcome::Answered)?;
                if let Some(what) = keeps.or_else(|| probe::shows(&put)) {
                    self.world.tell(&Event::Caution(&what));
                }
            }
            Err(error) => {
                if !error.is_ambiguous() {
                    self.conclude_step(Outcome::Answered)?;
                    // Who may not look either does not know that there is nothing, unless the request came to nobody.
                    let nobody = error.is_unsent() || probe::is_unheard(&error);
                    let unsent = error.is_unsent();
                    let looked =
                        async { if unsent { Ok(false) } else { bucket.erase(&key).await } };
                    let nothing = self.cancel.unless(looked).await?;
                    if nothing.is_ok() || nobody {
                        self.conclude_step(Outcome::Probe)?;
                    }
                }
                return Err(Stop::Spaces { step: Step::Probe, error });
            }
        }
        self.cancel.unless(probe::look(bucket, &key)).await??;
        self.conclude_step(Outcome::Probe)?;
        self.done(Step::Probe, "the bucket takes objects and lets everybody read them");
        Ok(())
    }

    /// The key of an object of this push.
    fn key(&self, name: &str) -> Result<Key, Stop> {
        self.key_of(if self.journal.state().began.keep_object { KEPT } else { "/" }, name)
    }

    fn key_of(&self, folder: &str, name: &str) -> Result<Key, Stop> {
        let push = self.journal.push().as_str();
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
                // Ceph's gateway says of an upload that is gone that there is no such key.
                Err(error)
                    if matches!(
                        error.kind,
                        spaces::Kind::NoSuchUpload | spaces::Kind::NoSuchKey
                    ) => {}
                Err(error) => return Err(Stop::Spaces { step: Step::Check, error }),
            }
        }
        self.intend(Intent::Upload { key: key.as_str().to_owned(), part_size })?;
        // What is under way on the server is not left to itself: clean-up could come before its effect.
        let upload = again::create_upload(bucket, &key, CONTENT_TYPE).await;
        let upload = self.answered(upload).map_err(Stop::spaces(Step::Check))?;
        self.conclude_step(Outcome::Upload { id: upload.id.as_str().to_owned() })?;
        Ok((upload, BTreeMap::new()))
    }

    /// Writes down that nothing comes any more of what was asked for, if that is so.
    fn answered<T>(&mut self, asked: Result<T, spaces::Error>) -> Result<T, spaces::Error> {
        if asked.as_ref().is_err_and(|error| !error.is_ambiguous())
            && let Some(error) = self.journal.note(Entry::Outcome(Outcome::Answered))
        {
            self.world.note(&error.to_string());
        }
        asked
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
        let report = self.pushed.report.as_ref();
        let checked = report.and_then(|report| report.digests.sha256.clone()).unwrap_or_default();
        self.intend(Intent::Complete { size, sha256: sha256.to_owned(), checked })?;
        // Likewise.
        let completed = again::complete(bucket, upload, parts, size).await;
        self.answered(completed).map_err(Stop::spaces(Step::Complete))?;
        self.conclude_step(Outcome::Complete)?;
        let url = bucket.url(&upload.key).map_err(Stop::Order)?.to_string();
        self.pushed.staged = Some(Staged {
            bucket: bucket.name().as_str().to_owned(),
            key: upload.key.as_str().to_owned(),
            url: url.clone(),
            size,
            sha256: sha256.to_owned(),
            parts: parts.len(),
            kept: false,
            public: false,
        });
        self.done(Step::Complete, "the object is stored, private");
        Ok(())
    }

    /// Makes sure that the object is what was sent, as long as nobody else can read it. It changes nothing, so
    /// the journal says nothing of it.
    pub(super) async fn read_back(
        &mut self,
        bucket: &Bucket,
        key: &Key,
        size: u64,
        sha256: &str,
    ) -> Result<(), Stop> {
        let step = Step::ReadBack;
        self.begin(step, key.as_str());
        let reading = back::read(&self.world, bucket, key, size);
        let unfit = match self.cancel.unless(reading).await? {
            Ok(found) => found.difference(size, sha256).map(|why| {
                format!("{why}; push again, and see to the bucket if that does not help")
            }),
            Err(why) => Some(format!("the object cannot be read again: {why}")),
        };
        if let Some(why) = unfit {
            return Err(Stop::Bucket { step, why });
        }
        self.done(step, &format!("the bucket has the {size} bytes that were sent"));
        Ok(())
    }

    pub(super) async fn publish(
        &mut self,
        bucket: &Bucket,
        key: &Key,
        size: u64,
    ) -> Result<String, Stop> {
        let url = bucket.url(key).map_err(Stop::Order)?.to_string();
        self.begin(Step::Publish, &url);
        self.intend(Intent::Publish)?;
        let published = self.cancel.finish(bucket.set_acl(key, Acl::PublicRead), GRACE).await?;
        published.map_err(Stop::spaces(Step::Publish))?;
        self.cancel.unless(object::is_public(bucket, key, size, Step::Publish)).await??;
        self.conclude_step(Outcome::Publish)?;
        self.done(Step::Publish, "everybody can read it, as the importer will");
        Ok(url)
    }
}

/// What is sent at most of so many bytes: those that cannot be compressed take more room when they are packed.
fn bound(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / 50).saturating_add(1 << 20)
}

/// How the file goes on.
fn how(repack: Repack, inside: &Inside, head: &Recognised) -> Go {
    let packs = match repack {
        Repack::Never => false,
        Repack::Auto => inside.raw,
        Repack::Always | Repack::Anew => head.compression == Compression::None,
    };
    if packs { Go::Packed } else { Go::Plain }
}
