//! A key to the bucket that lives as long as the push.

use std::path::Path;
use std::time::Duration;

use super::entry::{Began, Entry, Intent, Outcome};
use super::event::Step;
use super::journal::{Journal, JournalError};
use super::run::Run;
use super::stop::Stop;
use super::world::World;
use crate::bytes::Hostile;
use crate::digitalocean::{self, PushId, SpacesKey};
use crate::spaces::{Bucket, Error, Keys, Kind};

/// What the names of such keys begin with.
pub(super) const NAMES: &str = "tidegate-";

/// A key that was just made need not be known everywhere: it is tried so often, with such pauses.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_secs(1);

impl Run<'_> {
    /// The bucket, with a key that is made for it if that is wanted.
    pub(super) async fn bucket(&mut self) -> Result<Bucket, Stop> {
        let Some(mint) = self.world.mint.clone() else {
            let bucket = self.world.bucket.clone();
            return bucket.ok_or_else(|| Stop::Order("there is no bucket to stage in".into()));
        };
        let name = name(self.journal.push());
        self.begin(Step::Key, &name);
        self.world.note(&format!(
            "the key {name} is made for this push; until its end it has full access to all buckets"
        ));
        let made = self.made(&name).await?;
        self.conclude_step(Outcome::MintKey { access: made.access.clone() })?;
        let keys = Keys::new(&made.access, made.secret.reveal()).map_err(Stop::Order)?;
        let bucket = (mint.open)(keys).map_err(Stop::Order)?;
        self.world.bucket = Some(bucket.clone());
        let known = self.cancel.unless(is_known(&bucket)).await?;
        known.map_err(Stop::spaces(Step::Key))?;
        self.done(Step::Key, &name);
        Ok(bucket)
    }

    /// Has the key made; that is posted once. No answer but a whole key says that there is none: clean-up deletes what
    /// bears its name.
    async fn made(&mut self, name: &str) -> Result<SpacesKey, Stop> {
        self.intend(Intent::MintKey { name: name.to_owned() })?;
        // A key whose making is not waited for might be there after clean-up has looked.
        let error = match self.world.api.keys().create(name).await {
            Ok(made) => return Ok(made),
            Err(error) => error,
        };
        if is_closed(&error) && matches!(self.named().await, Err(error) if is_closed(&error)) {
            // Who may neither make nor see keys has made none, as far as anybody can know.
            self.world.note("the token may not look whether there is a key all the same");
            self.conclude_step(Outcome::RevokeKey)?;
        }
        Err(Stop::Api { step: Step::Key, error })
    }

    async fn named(&self) -> Result<Vec<String>, digitalocean::Error> {
        named(&self.world.api, self.journal.push()).await
    }
}

/// The name of the key that a push makes.
fn name(push: &PushId) -> String {
    format!("{NAMES}{}", push.as_str())
}

/// Whether the token may not do this at all.
fn is_closed(error: &digitalocean::Error) -> bool {
    matches!(error.kind, digitalocean::Kind::Unauthorized | digitalocean::Kind::Forbidden { .. })
}

/// What identifies the keys that bear the name of a push: none, one, or more if somebody asked twice.
async fn named(
    api: &digitalocean::Client,
    push: &PushId,
) -> Result<Vec<String>, digitalocean::Error> {
    let (listed, name) = (api.keys().list().await?, name(push));
    Ok(listed.into_iter().filter(|key| key.name == name).map(|key| key.access).collect())
}

/// Deletes all keys that bear the name of a push, and the one that is `known`. What is to be said about it, if it is
/// done.
///
/// # Errors
/// Says what may be left, and why.
pub(super) async fn revoke(
    api: &digitalocean::Client,
    push: &PushId,
    known: Option<&str>,
) -> Result<Option<String>, String> {
    let (mut all, unseen) = match named(api, push).await {
        Ok(all) => (all, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    if let Some(known) = known.filter(|known| !all.iter().any(|access| access == known)) {
        all.push(known.to_owned());
    }
    let mut failed = None;
    for access in &all {
        if !digitalocean::is_access(access) {
            failed = Some(format!("\"{}\" identifies no key", Hostile::from(access.as_str())));
            continue;
        }
        match api.keys().delete(access).await {
            Ok(()) => {}
            Err(error) if matches!(error.kind, digitalocean::Kind::NotFound) => {}
            Err(error) => failed = Some(error.to_string()),
        }
    }
    match (failed, unseen) {
        (Some(why), _) => Err(why),
        (None, None) => Ok(None),
        (None, Some(error)) => {
            let said = format!("keys of its name cannot be looked for: {error}");
            match known.is_some() && is_closed(&error) {
                // What was made, as far as anybody knows, is deleted.
                true => Ok(Some(said)),
                false => Err(said),
            }
        }
    }
}

/// A key with which a bucket is swept. It has a journal and a name as if a push had made it, so that a later sweep
/// deletes it if this one is killed.
pub struct Temporary {
    journal: Journal,
    /// The key.
    pub keys: Keys,
}

impl Temporary {
    /// Makes one, with a journal in this folder. `api_place` is where the API is.
    ///
    /// # Errors
    /// If the API refuses or fails; says so if there may be a key all the same.
    pub async fn mint(
        api: &digitalocean::Client,
        api_place: String,
        folder: &Path,
    ) -> Result<Temporary, String> {
        let push = PushId::random();
        let began = Began {
            push: push.as_str().to_owned(),
            source: "the key of a sweep".to_owned(),
            fingerprint: String::new(),
            api: api_place,
            place: None,
            keep_object: false,
            settle: 0,
        };
        let said = |error: JournalError| error.to_string();
        let mut journal = Journal::begin(folder, &push, began).map_err(said)?;
        journal.write(Entry::Intent(Intent::MintKey { name: name(&push) })).map_err(said)?;
        let made = api.keys().create(&name(&push)).await.map_err(|error| error.to_string());
        let made = made.and_then(|made| {
            // A journal that lacks it knows its name.
            let access = made.access.clone();
            let _ = journal.note(Entry::Outcome(Outcome::MintKey { access }));
            Keys::new(&made.access, made.secret.reveal())
        });
        let error = match made {
            Ok(keys) => return Ok(Temporary { journal, keys }),
            Err(error) => error,
        };
        match revoke(api, &push, None).await {
            Ok(_) => {
                journal.end().map_err(said)?;
                Err(error)
            }
            Err(why) => Err(format!("{error}; a key {} may be left: {why}", name(&push))),
        }
    }

    /// The push that its journal names.
    #[must_use]
    pub fn push(&self) -> &PushId {
        self.journal.push()
    }

    /// Deletes it. What is to be said about it, if it is done.
    ///
    /// # Errors
    /// Says what may be left, and why.
    pub async fn end(self, api: &digitalocean::Client) -> Result<Option<String>, String> {
        let said = revoke(api, self.journal.push(), Some(&self.keys.access)).await?;
        self.journal.end().map_err(|error| error.to_string())?;
        Ok(said)
    }
}

/// Waits until the server knows the key to a bucket, if it was just made.
///
/// # Errors
/// If it does not come to know it. Whatever else is wrong with the bucket shows when something is done with it.
pub(super) async fn ready(world: &World, bucket: &Bucket) -> Result<(), Error> {
    if !world.fresh_key {
        return Ok(());
    }
    match is_known(bucket).await {
        Err(error) if matches!(error.kind, Kind::UnknownKey | Kind::BadSignature) => Err(error),
        _ => Ok(()),
    }
}

/// Waits until the server knows the key.
async fn is_known(bucket: &Bucket) -> Result<(), Error> {
    let mut tries = 1;
    loop {
        match bucket.head_bucket().await {
            Err(Error { kind: Kind::UnknownKey | Kind::BadSignature, .. }) if tries < TRIES => {}
            result => return result,
        }
        tokio::time::sleep(PAUSE).await;
        tries += 1;
    }
}
