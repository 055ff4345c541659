//! An object that was stored, whose image could not be asked for: it is kept if that was ordered, and a later run goes
//! on with it.

use super::event::Step;
use super::order::Route;
use super::pushed::Staged;
use super::run::Run;
use super::state::{Image, Key as MintedKey, Object, State, Stored};
use super::stop::Stop;
use crate::digitalocean::{Error, Kind};
use crate::spaces::Key;

/// What a later run can go on with: an object that the journal knows all about, of which nobody asked for an image.
pub(super) fn stored(state: &State) -> Option<(&str, &Stored)> {
    let kept = state.began.keep_object && !state.abandoned && state.image == Image::None;
    match &state.object {
        Object::Stored { key, .. } if kept => Some((key, state.stored.as_ref()?)),
        _ => None,
    }
}

/// The key of the object that this end of a push leaves to a later run. With a temporary key for the bucket there is none:
/// while the API takes no calls, that cannot be deleted, and the sweep that does ends the object too.
pub(super) fn left_by(stop: Option<&Stop>, state: &State) -> Option<String> {
    let limited = |error: &Error| matches!(error.kind, Kind::RateLimited { .. });
    match stop {
        Some(Stop::Api { step: Step::Create, error }) if limited(error) => {
            let kept = stored(state).filter(|_| state.key == MintedKey::None);
            kept.map(|(key, _)| key.to_owned())
        }
        _ => None,
    }
}

impl Run<'_> {
    /// Checks the file again, and the object that an earlier run made of it; where everybody finds it then.
    pub(super) async fn stage_again(&mut self, key: &str, stored: &Stored) -> Result<String, Stop> {
        let Route::Staged { repack, .. } = self.order.route else {
            return Err(Stop::Order("there is nothing to stage".into()));
        };
        let key = Key::parse(key).map_err(Stop::Order)?;
        self.begin(Step::Check, &self.order.shown.clone());
        let checking = self.inspect(None, repack);
        let inside = self.cancel.unless(checking.inside).await?;
        let wrappings = self.tell_wrappings(inside.as_ref().ok());
        let checked = self.cancel.unless(checking.report).await?;
        self.judge(checked.map_err(|_| Stop::Unread)?, wrappings)?;
        let report = self.pushed.report.as_ref();
        if report.and_then(|report| report.digests.sha256.as_ref()) != Some(&stored.checked) {
            return Err(Stop::Staged(
                "the file is not the one any more whose object is stored; push it anew".into(),
            ));
        }
        self.done(Step::Check, "accepted, and its object is stored");
        let bucket = self.bucket().await?;
        self.pushed.staged = Some(Staged {
            key: key.as_str().to_owned(),
            url: bucket.url(&key).map_err(Stop::Order)?.to_string(),
            size: stored.size,
            sha256: stored.sha256.clone(),
            parts: 0,
            kept: false,
            public: false,
        });
        // Nobody knows what became of it since.
        self.read_back(&bucket, &key, stored.size, &stored.sha256).await?;
        self.publish(&bucket, &key, stored.size).await
    }
}
