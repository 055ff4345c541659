//! How far a push got, as its journal tells.

use super::entry::{Began, Entry, Intent, Line, Outcome};
use super::handed::Checked;

/// How far a push got.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    pub(super) began: Began,
    /// Which account it is of, as a digest.
    pub(super) account: Option<String>,
    /// By how many seconds the clock of its times was ahead of the API's.
    pub(super) ahead: Option<i64>,
    /// Since when, in seconds since 1970, something is asked for that was not answered, as far as anybody knows: a
    /// key, an object, an upload. It may come about after it was looked for.
    pub(super) unanswered: Option<(Asked, u64)>,
    /// When it began, in seconds since 1970.
    pub(super) at: u64,
    pub(super) key: Key,
    /// The key of an object of one byte that may be there.
    pub(super) probe: Option<String>,
    pub(super) object: Object,
    /// What the object has to have, once it was to be stored.
    pub(super) stored: Option<Stored>,
    pub(super) image: Image,
    /// When the image was asked for last, in seconds since 1970.
    pub(super) asked: Option<u64>,
    /// What the image has to be made of, if it is made of what a URL of others leads to.
    pub(super) checked: Option<Checked>,
    /// Whether the image's description may say that it was not compared with that.
    pub(super) says_uncompared: bool,
    pub(super) abandoned: bool,
}

/// What is asked for, and may come about late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Key,
    Probe,
    /// An upload, or that it becomes an object.
    Object,
}

/// A temporary key for the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// There is none.
    None,
    /// There may be one with this name.
    Asked(String),
    /// There is one.
    Made { name: String, access: String },
}

/// The object on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Object {
    /// There is none, nor an upload.
    None,
    /// There may be an upload of this key.
    Asked { key: String, part_size: u64 },
    /// There is an upload.
    Open { key: String, part_size: u64, id: String },
    /// There may be an object.
    Completing { key: String, id: String },
    /// There is an object.
    Stored { key: String, public: Public },
}

/// What an object has to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// Its bytes.
    pub(super) size: u64,
    /// Its SHA-256, in hexadecimal.
    pub(super) sha256: String,
    /// That of the file that it was made of.
    pub(super) checked: String,
}

/// Whether everybody can read an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Public {
    No,
    /// It may be so, or is.
    Yes,
}

impl Object {
    /// Its key, if there may be anything of it.
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Object::None => None,
            Object::Asked { key, .. }
            | Object::Open { key, .. }
            | Object::Completing { key, .. }
            | Object::Stored { key, .. } => Some(key),
        }
    }
}

/// The image on DigitalOcean's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Image {
    /// There is none.
    None,
    /// There may be one; it was asked for at this time, in seconds since 1970.
    Asked(u64),
    /// There is one, which is being imported, or has not been compared with what was checked.
    Importing(u64),
    /// It can be used.
    Available(u64),
    /// Its import failed; what is left of it is still there.
    Failed(u64),
}

impl State {
    /// The state after the first line.
    pub(super) fn new(at: u64, began: Began) -> Self {
        State {
            began,
            account: None,
            ahead: None,
            unanswered: None,
            at,
            key: Key::None,
            probe: None,
            object: Object::None,
            stored: None,
            image: Image::None,
            asked: None,
            checked: None,
            says_uncompared: false,
            abandoned: false,
        }
    }

    /// The state that lines tell; `None` if the first one does not begin a push.
    pub(super) fn of(lines: Vec<Line>) -> Option<Self> {
        let mut lines = lines.into_iter();
        let Some(Line { at, entry: Entry::Began(began) }) = lines.next() else { return None };
        let mut state = State::new(at, began);
        for line in lines {
            state.take(line.at, &line.entry);
        }
        Some(state)
    }

    /// Takes the next line.
    pub(super) fn take(&mut self, at: u64, entry: &Entry) {
        match entry {
            Entry::Began(_) => {}
            Entry::Account { account, ahead } => {
                self.account.clone_from(account);
                self.ahead = *ahead;
            }
            Entry::Intent(intent) => self.intend(at, intent),
            Entry::Outcome(outcome) => self.conclude(outcome),
            Entry::Abandoned => self.abandoned = true,
            Entry::Resumed { settle, owner } => {
                self.abandoned = false;
                self.began.settle = *settle;
                self.began.owner.clone_from(owner);
                self.account = None;
            }
            Entry::Ended => {}
        }
    }

    /// Since when this is asked for without an answer.
    pub(super) fn unanswered(&self, asked: Asked) -> Option<u64> {
        self.unanswered.filter(|(what, _)| *what == asked).map(|(_, at)| at)
    }

    fn intend(&mut self, at: u64, intent: &Intent) {
        let asked = match intent {
            Intent::MintKey { .. } => Some(Asked::Key),
            Intent::Probe { .. } => Some(Asked::Probe),
            Intent::Upload { .. } | Intent::Complete { .. } => Some(Asked::Object),
            _ => None,
        };
        // One thing is asked for after the other.
        self.unanswered = asked.map(|asked| (asked, at)).or(self.unanswered);
        match intent {
            Intent::MintKey { name } => self.key = Key::Asked(name.clone()),
            Intent::Probe { key } => self.probe = Some(key.clone()),
            Intent::Upload { key, part_size } => {
                self.object = Object::Asked { key: key.clone(), part_size: *part_size };
            }
            Intent::Complete { size, sha256, checked } => {
                let (size, sha256, checked) = (*size, sha256.clone(), checked.clone());
                self.stored = Some(Stored { size, sha256, checked });
                if let Object::Open { key, id, .. } = &self.object {
                    self.object = Object::Completing { key: key.clone(), id: id.clone() };
                }
            }
            Intent::Publish => self.publish(Public::Yes),
            Intent::Create { checked } => {
                self.image = Image::Asked(at);
                self.asked = Some(at);
                self.checked.clone_from(checked);
                self.says_uncompared = checked.is_some();
            }
            Intent::Describe
            | Intent::Transfer { .. }
            | Intent::Convert
            | Intent::DeleteImage { .. }
            | Intent::Hide
            | Intent::Delete
            | Intent::RevokeKey => {}
        }
    }

    fn conclude(&mut self, outcome: &Outcome) {
        let answered = match outcome {
            Outcome::Answered => self.unanswered.map(|(asked, _)| asked),
            Outcome::MintKey { .. } | Outcome::RevokeKey => Some(Asked::Key),
            Outcome::Probe => Some(Asked::Probe),
            Outcome::Upload { .. } | Outcome::Complete | Outcome::Delete => Some(Asked::Object),
            _ => None,
        };
        self.unanswered = self.unanswered.filter(|(asked, _)| Some(*asked) != answered);
        match outcome {
            Outcome::Answered => {}
            Outcome::MintKey { access } => {
                if let Key::Asked(name) = &self.key {
                    self.key = Key::Made { name: name.clone(), access: access.clone() };
                }
            }
            Outcome::Probe => self.probe = None,
            Outcome::Upload { id } => {
                if let Object::Asked { key, part_size } = &self.object {
                    let (key, part_size) = (key.clone(), *part_size);
                    self.object = Object::Open { key, part_size, id: id.clone() };
                }
            }
            Outcome::Complete => {
                if let Object::Completing { key, .. } = &self.object {
                    self.object = Object::Stored { key: key.clone(), public: Public::No };
                }
            }
            Outcome::Create { image } => self.image = Image::Importing(*image),
            Outcome::NotCreated | Outcome::DeleteImage => self.image = Image::None,
            Outcome::Import { image, available } => {
                self.image = match available {
                    true => Image::Available(*image),
                    false => Image::Failed(*image),
                };
            }
            Outcome::Describe { completed } => self.says_uncompared = !completed,
            Outcome::Hide => self.publish(Public::No),
            Outcome::Delete => self.object = Object::None,
            Outcome::RevokeKey => self.key = Key::None,
            Outcome::Publish | Outcome::Transfer { .. } | Outcome::Convert { .. } => {}
        }
    }

    fn publish(&mut self, to: Public) {
        if let Object::Stored { public, .. } = &mut self.object {
            *public = to;
        }
    }
}
