//! A push from its beginning to its end.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::clean::{clean, end, end_key, keep};
use super::compared;
use super::entry::{Began, Entry, Intent, Outcome, Place};
use super::event::{Event, Step};
use super::journal::{Found, Journal, JournalError};
use super::looking::ahead;
use super::order::{Order, Route};
use super::owner::{Owner, Whose, whose};
use super::pushed::Pushed;
use super::state::{Image as ImageState, Key as KeyState, Object, Public, State};
use super::stop::Stop;
use super::stored::{left_by, stored};
use super::world::{Cancel, World};
use crate::bytes::{Command, Hostile};
use crate::digitalocean::wait::WaitError;
use crate::digitalocean::{Error, Kind, PushId, nearest};
use crate::spaces::limits::{LARGEST_PART, SMALLEST_PART};

/// How long a push that is interrupted cleans up: nobody waits for a server that does not answer.
const HASTE: Duration = Duration::from_secs(120);

/// Pushes an image, and removes what is not to stay, whatever happens. Journals are in the folder; without one the journal
/// has no name and is gone with the process, as is right where all else is too.
pub async fn push(order: &Order, world: &World, folder: Option<&Path>, cancel: &Cancel) -> Pushed {
    let journal = match folder.filter(|_| order.resume) {
        Some(folder) => resumed(order, world, folder).await,
        None => Ok(None),
    };
    let journal = journal.and_then(|journal| match journal {
        Some(journal) => Ok(journal),
        None => Ok(begin(order, world, folder)?),
    });

    let journal = match journal {
        Ok(journal) => journal,
        Err(stop) => return Pushed::stopped(Some(stop)),
    };
    let pushed = Pushed { push: Some(journal.push().clone()), ..Pushed::stopped(None) };
    let mut run =
        Run { order, world: world.clone(), cancel, journal, pushed, since: Instant::now() };
    let stop = run.attempt().await.err();
    run.conclude(stop).await
}

/// The push of the same file that was killed before its upload was complete, or left its object to be gone on with, if
/// there is one.
///
/// # Errors
/// If one went further: it has to be brought to its end first, or there could be two images.
async fn resumed(order: &Order, world: &World, folder: &Path) -> Result<Option<Journal>, Stop> {
    let mut open = None;
    for path in Journal::all(folder)? {
        let same = |state: &State| {
            state.began.fingerprint == order.fingerprint
                && state.began.place == place(order, world)
                && state.began.api == world.api_place
                // What comes from a pipe comes once.
                && order.source != "-"
        };
        let journal = match Journal::open(&path) {
            Ok(Some(Found::Left(journal))) if same(journal.state()) => journal,
            Ok(Some(Found::Locked(Some(state)))) if same(&state) => {
                return Err(Stop::Order(format!(
                    "a push of this file is still running ({}): there is nothing to go on with before it ends",
                    state.began.push
                )));
            }
            // What is wrong with the journals of others is a sweep's business.
            _ => continue,
        };
        let state = journal.state();
        let is_stored = stored(state).is_some();
        let further = matches!(state.object, Object::Completing { .. } | Object::Stored { .. });
        let further = further && !is_stored;
        if further || state.image != ImageState::None {
            return Err(Stop::Earlier { push: state.began.push.clone() });
        }
        // A key that died with its run is ended by a sweep; another one cannot take its place in the journal.
        let goes_on = is_stored || matches!(state.object, Object::Open { .. });
        if goes_on && state.key == KeyState::None {
            open = Some(journal);
        }
    }
    let Some(mut journal) = open else {
        world.note("there is no upload of this file to go on with; it begins anew");
        return Ok(None);
    };
    agree(order, world, journal.state())?;
    if whose(world, journal.push(), journal.state()).await == Whose::Others {
        return Err(Stop::Order(
            "the upload was begun by another account than that of the token; resume it with a token of that one".into(),
        ));
    }
    let owner = Some(Owner::of(world, journal.push()));
    journal.write(Entry::Resumed { settle: order.settle.as_secs(), owner })?;
    Ok(Some(*journal))
}

/// Holds the arguments against the upload that is gone on with: what they do not say is as it was begun, and
/// what they say otherwise cannot be.
fn agree(order: &Order, world: &World, state: &State) -> Result<(), Stop> {
    let (Route::Staged { part_size: wanted, keep_object, .. }, Object::Open { part_size, .. }) =
        (&order.route, &state.object)
    else {
        return Ok(());
    };
    let other = |what: String| {
        Err(Stop::Order(format!(
            "{what}; resume it without the option, or let {} end it and push anew",
            Command::sweep()
        )))
    };
    if !(SMALLEST_PART..=LARGEST_PART).contains(part_size) {
        return Err(Stop::Order(format!(
            "the journal has parts of {part_size} bytes, which none can have; let {} end the upload and push anew",
            Command::sweep()
        )));
    }
    match wanted {
        Some(wanted) if wanted != part_size => {
            return other(format!(
                "--part-size: the upload that was begun has parts of {part_size} bytes"
            ));
        }
        _ => {}
    }
    match (keep_object, state.began.keep_object) {
        (true, false) => other("--keep-object: the upload was begun without it".into()),
        (false, true) => {
            world.note("the object is kept, as the run that began the upload was told to");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Whether an import may go on although it could not be asked about.
fn is_open(error: &WaitError) -> bool {
    matches!(error, WaitError::Api(error) if !matches!(error.kind, Kind::NotFound))
}

/// Where the object is to be, if there is to be one.
fn place(order: &Order, world: &World) -> Option<Place> {
    if !matches!(order.route, Route::Staged { .. }) {
        return None;
    }
    let (endpoint, bucket) = match (&world.bucket, &world.mint) {
        (Some(bucket), _) => (bucket.endpoint(), bucket.name()),
        (None, Some(mint)) => (&mint.endpoint, &mint.bucket),
        (None, None) => return None,
    };
    Some(Place {
        endpoint: endpoint.address().to_string(),
        bucket: bucket.as_str().to_owned(),
        region: endpoint.region().as_str().to_owned(),
    })
}

fn begin(order: &Order, world: &World, folder: Option<&Path>) -> Result<Journal, JournalError> {
    let push = PushId::random();
    let began = Began {
        push: push.as_str().to_owned(),
        source: order.shown.clone(),
        fingerprint: order.fingerprint.clone(),
        api: world.api_place.clone(),
        place: place(order, world),
        keep_object: matches!(order.route, Route::Staged { keep_object: true, .. }),
        settle: order.settle.as_secs(),
        owner: Some(Owner::of(world, &push)),
    };
    match folder {
        Some(folder) => Journal::begin(folder, &push, began),
        None => Journal::nameless(&push, began),
    }
}

/// Calls that an image takes at least: its create, a look at it, and one to undo it.
const LEAST_CALLS: u64 = 3;

/// For how long a push waits that finds no calls left at its beginning: a limit of a minute ends while it uploads.
const LONGEST_LIMIT: Duration = Duration::from_secs(60);

pub(super) struct Run<'a> {
    pub(super) order: &'a Order,
    /// With a bucket, once there is a key to it.
    pub(super) world: World,
    pub(super) cancel: &'a Cancel,
    pub(super) journal: Journal,
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

    /// What came of a step is so whether it can be written or not: clean-up goes by it.
    pub(super) fn conclude_step(&mut self, outcome: Outcome) -> Result<(), Stop> {
        match self.journal.note(Entry::Outcome(outcome)) {
            None => Ok(()),
            Some(error) => Err(error.into()),
        }
    }

    async fn attempt(&mut self) -> Result<(), Stop> {
        self.account().await?;
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
        self.remove().await;
        self.spread().await
    }

    /// Makes sure that the API takes the token, and that it knows the regions, before anything is sent; and writes down
    /// which account it is.
    async fn account(&mut self) -> Result<(), Stop> {
        let push = self.journal.push().as_str();
        let (regions, account) = (self.world.api.regions(), self.world.api.account());
        let asking = async { tokio::join!(regions.once(), account.digest(push)) };
        let (known, account) = self.cancel.unless(asking).await?;
        // A token for images need not have the scope account:read: then only the same one is known to be of the account.
        let (account, ahead) = (account.ok(), ahead(&self.world));
        self.journal.write(Entry::Account { account, ahead })?;
        self.calls()?;
        let known = match known {
            Ok(known) => known,
            Err(error) if matches!(error.kind, Kind::Unauthorized) => {
                return Err(Stop::Api { step: Step::Account, error });
            }
            // There is no API at this place, and no image would be made of what is sent.
            Err(error) if error.is_unsent() || matches!(error.kind, Kind::NotFound) => {
                return Err(Stop::Api { step: Step::Account, error });
            }
            // A token for images need not have the scope regions:read; and what fails now may work later.
            Err(error) => {
                self.world.note(&format!("nobody said whether the regions exist: {error}"));
                return Ok(());
            }
        };
        let known: Vec<&str> = known.iter().map(|region| region.slug.as_str()).collect();
        let wanted = [&self.order.image.region].into_iter().chain(&self.order.transfer);
        let Some(region) =
            wanted.map(|region| region.as_str()).find(|region| !known.contains(region))
        else {
            return Ok(());
        };
        let meant = nearest(region, known.iter().copied());
        let hint = meant.map(|name| format!("; did you mean {}?", Hostile::from(name)));
        Err(Stop::Order(format!(
            "there is no region {}{} There are {}",
            Hostile::from(region),
            hint.unwrap_or_else(|| ".".into()),
            Hostile::message(&known.join(", "))
        )))
    }

    /// Makes sure that there are calls left for the image, before anything is sent that would wait for them, public.
    fn calls(&self) -> Result<(), Stop> {
        let budget = self.world.api.budget();
        let short = budget.remaining.is_some_and(|left| left < LEAST_CALLS);
        let until = budget.opens().or(budget.reset.filter(|_| short));
        match until {
            Some(until) if until > SystemTime::now() + LONGEST_LIMIT => {
                Err(Stop::Api { step: Step::Account, error: Error::limited(until) })
            }
            _ => Ok(()),
        }
    }

    /// Whatever happened, nothing is left but what is to stay.
    async fn conclude(mut self, stop: Option<Stop>) -> Pushed {
        // What DigitalOcean is still at, and could not be asked about, may well end well.
        let waits = matches!(&stop, Some(Stop::Wait(error)) if is_open(error));
        let stored = left_by(stop.as_ref(), self.journal.state());
        let begun = stop.is_some() && !waits && stored.is_none();
        let hurried = matches!(stop, Some(Stop::Interrupted));
        if hurried {
            self.world.bucket = self.world.bucket.map(|bucket| bucket.hurried());
        }
        if begun
            && !matches!(stop, Some(Stop::Spread(_)))
            && let Some(error) = self.journal.note(Entry::Abandoned)
        {
            self.world.note(&error.to_string());
        }
        if let Some(key) = stored {
            let (world, patience) = (&self.world, &self.order.patience);
            self.pushed.left.push(format!(
                "the object {}: it stays, private, and the same push with --resume goes on with it",
                Hostile::from(key.as_str())
            ));
            self.pushed.left.extend(keep(&mut self.journal, world, patience).await);
        } else if waits {
            let left = match self.order.route {
                Route::Staged { .. } => {
                    "the import goes on; its object is needed, and public, until its end"
                }
                Route::Url(_) => {
                    "the import goes on; whether the URL still leads to what was checked is seen at its end"
                }
            };
            self.pushed.left.push(left.into());
            let (world, patience) = (&self.world, &self.order.patience);
            self.pushed.left.extend(end_key(&mut self.journal, world, patience).await);
        } else {
            let ending = end(&mut self.journal, &self.world, &self.order.patience);
            self.pushed.left = match hurried {
                false => ending.await,
                // All that is done stands in the journal before it is: a sweep goes on wherever this stops.
                true => tokio::time::timeout(HASTE, ending).await.unwrap_or_else(|_| {
                    vec![format!(
                        "what the push made: it was not cleaned up after {} s",
                        HASTE.as_secs()
                    )]
                }),
            };
        }
        let state = self.journal.state();
        if let Some(image) = &mut self.pushed.image
            && state.checked.is_some()
            && !state.says_uncompared
        {
            image.description = compared::without(&image.description);
        }
        self.pushed.available = matches!(self.journal.state().image, ImageState::Available(_));
        if let Some(staged) = &mut self.pushed.staged {
            let object = &self.journal.state().object;
            staged.kept = object.key().is_some();
            staged.public = matches!(object, Object::Stored { public: Public::Yes, .. });
        }
        if self.pushed.left.is_empty()
            && let Err(error) = self.journal.end()
        {
            self.world.note(&error.to_string());
        }
        Pushed { stop, ..self.pushed }
    }

    /// Removes the object; what cannot be removed now is tried again at the end.
    async fn remove(&mut self) {
        if !matches!(self.order.route, Route::Staged { .. }) {
            return;
        }
        self.begin(Step::Remove, "the object");
        let left = clean(&mut self.journal, &self.world, &self.order.patience).await;
        match left.is_empty() {
            true if self.journal.state().object.key().is_some() => {
                let key = self.journal.state().object.key().unwrap_or_default();
                let bucket = self.world.bucket.as_ref().map_or("", |bucket| bucket.name().as_str());
                let what = format!("{bucket}/{} stays, private", Hostile::from(key));
                self.done(Step::Remove, &what);
            }
            true => self.done(Step::Remove, "nothing is left of it"),
            false => left.iter().for_each(|left| self.world.note(left)),
        }
    }
}
