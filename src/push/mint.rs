//! A key to the bucket that lives as long as the push.

use std::time::Duration;

use super::entry::{Intent, Outcome};
use super::event::Step;
use super::run::Run;
use super::stop::Stop;
use super::world::World;
use crate::digitalocean::{self, PushId};
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
        let name = format!("{NAMES}{}", self.journal.push().as_str());
        self.begin(Step::Key, &name);
        self.world.note(&format!(
            "the key {name} is made for this push; until its end it has full access to all buckets"
        ));
        self.intend(Intent::MintKey { name: name.clone() })?;
        // A key whose making is not waited for might be there after clean-up has looked.
        let made = self.world.api.keys().create(&name).await;
        let made = match made {
            Ok(made) => made,
            Err(error) => {
                if !error.is_ambiguous() {
                    // It was refused, so there is none.
                    self.conclude_step(Outcome::RevokeKey)?;
                }
                return Err(Stop::Api { step: Step::Key, error });
            }
        };
        self.conclude_step(Outcome::MintKey { access: made.access.clone() })?;
        let keys = Keys::new(&made.access, made.secret.reveal()).map_err(Stop::Order)?;
        let bucket = (mint.open)(keys).map_err(Stop::Order)?;
        self.world.bucket = Some(bucket.clone());
        let known = self.cancel.unless(is_known(&bucket)).await?;
        known.map_err(Stop::spaces(Step::Key))?;
        self.done(Step::Key, &name);
        Ok(bucket)
    }
}

/// Makes a key with which a bucket is swept. Its name is that of a push that never was, so that a later sweep
/// without journals deletes it if this one is killed.
///
/// # Errors
/// If the API refuses or fails.
pub async fn mint(api: &digitalocean::Client) -> Result<Keys, String> {
    let name = format!("{NAMES}{}", PushId::random().as_str());
    let made = api.keys().create(&name).await.map_err(|error| error.to_string())?;
    Keys::new(&made.access, made.secret.reveal())
}

/// Whether a text can identify a key: it goes into the path of a call.
pub(super) fn is_access(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
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
