//! A key to the bucket that lives as long as the push.

use std::path::Path;
use std::time::Duration;

use super::entry::{Began, Entry, Intent, Outcome};
use super::event::Step;
use super::journal::{Journal, JournalError};
use super::looking::Looking;
use super::owner::Owner;
use super::run::Run;
use super::stop::Stop;
use super::world::World;
use crate::bytes::Hostile;
use crate::digitalocean::wait::Patience;
use crate::digitalocean::{self, ListedKey, PushId, SpacesKey};
use crate::spaces::{Bucket, Error, Keys, Kind};

/// What the names of such keys begin with.
pub(super) const NAMES: &str = "tidegate-";

/// How often a key is deleted that stays in the list, and the first pause in between.
const ROUNDS: u32 = 6;
const BETWEEN: Duration = Duration::from_millis(250);

/// For how long it is looked for the key of a sweep that may have been made.
const SETTLE: Duration = Duration::from_secs(15 * 60);

/// For how long of that by the sweep itself.
const LATE: Duration = Duration::from_secs(60);

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
        if !error.is_ambiguous() {
            // What it did all the same is there by now.
            self.conclude_step(Outcome::Answered)?;
        }
        if is_closed(&error) && matches!(self.named().await, Err(error) if is_closed(&error)) {
            // Who may neither make nor see keys has made none, as far as anybody can know.
            self.world.note("the token may not look whether there is a key all the same");
            self.conclude_step(Outcome::RevokeKey)?;
        }
        Err(Stop::Api { step: Step::Key, error })
    }

    async fn named(&self) -> Result<Vec<ListedKey>, digitalocean::Error> {
        listed(&self.world.api, self.journal.push(), None).await
    }
}

/// The name of the key that a push makes.
pub(super) fn name(push: &PushId) -> String {
    format!("{NAMES}{}", push.as_str())
}

/// Whether the token may not do this at all.
fn is_closed(error: &digitalocean::Error) -> bool {
    matches!(error.kind, digitalocean::Kind::Unauthorized | digitalocean::Kind::Forbidden { .. })
}

/// The keys that bear the name of a push: none, one, or more if somebody asked twice; and the one with this id.
async fn listed(
    api: &digitalocean::Client,
    push: &PushId,
    known: Option<&str>,
) -> Result<Vec<ListedKey>, digitalocean::Error> {
    let (listed, name) = (api.keys().list().await?, name(push));
    let meant = |key: &ListedKey| key.name == name || Some(key.access.as_str()) == known;
    Ok(listed.into_iter().filter(meant).collect())
}

/// Whether a key that bears the name of a push can be seen.
pub(super) async fn is_there(api: &digitalocean::Client, push: &PushId) -> bool {
    listed(api, push, None).await.is_ok_and(|keys| !keys.is_empty())
}

/// Deletes all keys that bear the name of a push, and the one that is `known`, and looks whether they are gone. One that
/// may still come about is looked for. What is to be said about it, if it is done.
///
/// # Errors
/// Says what may be left, and why.
pub(super) async fn revoke(
    api: &digitalocean::Client,
    push: &PushId,
    known: Option<&str>,
    mut looking: Looking,
) -> Result<Option<String>, String> {
    loop {
        match erase(api, push, known).await? {
            Erased::Some => return Ok(None),
            Erased::Unseen(said) => return Ok(Some(said)),
            Erased::None if looking.again().await => {}
            Erased::None if looking.enough => return Ok(None),
            Erased::None => {
                return Err(format!(
                    "a key named {} may still appear; it was not found so far",
                    name(push)
                ));
            }
        }
    }
}

/// What became of keys.
enum Erased {
    /// There was none.
    None,
    /// There was one, and there is none any more.
    Some,
    /// The one that is known was deleted, and it cannot be looked whether there are others, or that one.
    Unseen(String),
}

/// Deletes what can be seen, until it is not seen any more.
async fn erase(
    api: &digitalocean::Client,
    push: &PushId,
    known: Option<&str>,
) -> Result<Erased, String> {
    let mut any = false;
    for round in 0..ROUNDS {
        let all = match listed(api, push, known).await {
            Ok(all) => all,
            Err(error) => {
                let said = format!("keys of its name cannot be looked for: {error}");
                let Some(known) = known else { return Err(said) };
                delete(api, known).await?;
                // What was made, as far as anybody knows, is deleted.
                return if is_closed(&error) { Ok(Erased::Unseen(said)) } else { Err(said) };
            }
        };
        // Lists may lag.
        let unlisted = known.filter(|known| round == 0 && !is_among(&all, known));
        if all.is_empty() && unlisted.is_none() {
            return Ok(if any { Erased::Some } else { Erased::None });
        }
        any = true;
        if let Some(other) = all.iter().find(|key| key.name != name(push)) {
            let named = Hostile::from(other.name.as_str());
            return Err(format!(
                "the key that the journal tells of is named \"{named}\", so it is not that of its push"
            ));
        }
        let mut failed = None;
        for access in all.iter().map(|key| key.access.as_str()).chain(unlisted) {
            failed = failed.or(delete(api, access).await.err());
        }
        if let Some(why) = failed {
            return Err(why);
        }
        tokio::time::sleep(BETWEEN * round).await;
    }
    Err("the API says that it is deleted, and still lists it".to_owned())
}

fn is_among(keys: &[ListedKey], access: &str) -> bool {
    keys.iter().any(|key| key.access == access)
}

/// Deletes a key, if it is there.
async fn delete(api: &digitalocean::Client, access: &str) -> Result<(), String> {
    if !digitalocean::is_access(access) {
        return Err(format!("\"{}\" identifies no key", Hostile::from(access)));
    }
    match api.keys().delete(access).await {
        Err(error) if !matches!(error.kind, digitalocean::Kind::NotFound) => Err(error.to_string()),
        _ => Ok(()),
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
            settle: SETTLE.as_secs(),
            owner: Some(Owner::of_token(api, &push)),
        };
        let said = |error: JournalError| error.to_string();
        let mut journal = Journal::begin(folder, &push, began).map_err(said)?;
        journal.write(Entry::Intent(Intent::MintKey { name: name(&push) })).map_err(said)?;
        let made = api.keys().create(&name(&push)).await;
        let late = made.as_ref().is_err_and(digitalocean::Error::is_ambiguous);
        let made = made.map_err(|error| error.to_string()).and_then(|made| {
            // A journal that lacks it knows its name.
            let access = made.access.clone();
            let _ = journal.note(Entry::Outcome(Outcome::MintKey { access }));
            Keys::new(&made.access, made.secret.reveal())
        });
        let error = match made {
            Ok(keys) => return Ok(Temporary { journal, keys }),
            Err(error) => error,
        };
        let patience = Patience::default();
        let looking = match late {
            true => Looking::most(LATE, false, &patience),
            false => {
                let _ = journal.note(Entry::Outcome(Outcome::Answered));
                Looking::once(&patience)
            }
        };
        match revoke(api, &push, None, looking).await {
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
        let once = Looking::once(&Patience::default());
        let said = revoke(api, self.journal.push(), Some(&self.keys.access), once).await?;
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
