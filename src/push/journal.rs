//! The journal of a push: a file of JSON lines, each on the disk before anything is done that it tells of,
//! and locked while the push lives.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::entry::{Began, Entry, Intent, Line, Place};
use super::state::State;
use super::{PREFIX, mint};
use crate::bytes::{Command, Hostile, Options};
use crate::digitalocean::PushId;
use crate::spaces::Key;

/// What to do about a journal that cannot be believed, whose push had its object there, if that is known.
pub(super) fn instead(place: Option<&Place>) -> String {
    let older = Options::default().value("--older-than", "1s");
    let sweep = match place {
        Some(place) => Command::sweep_remote_of(
            &Options::default()
                .value("--bucket", &place.bucket)
                .value("--spaces-region", &place.region)
                .value("--spaces-endpoint", &place.endpoint),
        ),
        None => Command::sweep_remote(),
    }
    .with(&older);
    format!(
        "once no other push runs, on this machine or another, {sweep} goes by what is there instead; delete the journal only after \
         that ended with exit code 0"
    )
}

/// Where the push had its object, if the first line is whole.
fn place(file: &File) -> Option<Place> {
    let mut text = Vec::new();
    let mut file = file;
    file.rewind().ok()?;
    BufReader::new(io::Read::take(file, LONGEST_LINE)).read_until(b'\n', &mut text).ok()?;
    match serde_json::from_slice(&text).ok()? {
        Line { entry: Entry::Began(began), .. } => began.place,
        Line { .. } => None,
    }
}

/// How the names of journals end.
const ENDING: &str = "journal";

/// How the name of one ends that has no line yet: its push has done nothing.
const UNBORN: &str = "unborn";

/// A journal has a few dozen lines; one of more was written by something else.
const MOST_LINES: usize = 100_000;

/// A line has a few hundred bytes, and a path.
const LONGEST_LINE: u64 = 64 << 10;

/// Bytes of all lines.
const LARGEST: u64 = 16 << 20;

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the journal {path}: {why}")]
pub struct JournalError {
    /// Its path, escaped.
    path: String,
    /// What is wrong.
    why: String,
}

impl JournalError {
    fn new(path: &Path, why: impl ToString) -> Self {
        JournalError { path: Hostile::from_os(path.as_os_str()).to_string(), why: why.to_string() }
    }
}

/// The journal of a push that this process works on.
#[derive(Debug)]
pub(super) struct Journal {
    /// None if it has no name.
    path: Option<PathBuf>,
    file: File,
    push: PushId,
    state: State,
    /// Bytes of the lines that are whole.
    whole: u64,
    /// Whether there is a piece of a line after them, which was cut while it was written.
    torn: bool,
}

/// What a journal may be found as.
pub(super) enum Found {
    /// Its push lives; what it has written so far, if that can be read.
    Locked(Option<Box<State>>),
    /// Nobody works on it. Now this process does.
    Left(Box<Journal>),
    /// Its push is at its end.
    Over(Over),
}

/// A journal whose last line says that its push is at its end, which nobody else works on.
pub(super) struct Over {
    path: PathBuf,
    _locked: File,
}

impl Over {
    /// Removes it.
    ///
    /// # Errors
    /// If it stays.
    pub(super) fn remove(self) -> Result<(), JournalError> {
        remove(&self.path)
    }
}

/// Makes sure that a journal could be begun there, as far as that is known without one. Nothing stays of it.
///
/// # Errors
/// Says why not.
pub fn could_begin(folder: &Path) -> Result<(), JournalError> {
    let folder = folder.join("pushes");
    let tried = || {
        let path = std::path::absolute(&folder).map_err(|e| e.to_string())?;
        // What is not there yet would be made in the folder above.
        let there = path.ancestors().find(|path| path.symlink_metadata().is_ok());
        let there = there.unwrap_or(Path::new("/"));
        if there == path {
            distrusted(there, "folder")?;
        }
        tempfile::tempfile_in(there).map(drop).map_err(|e| e.to_string())
    };
    tried().map_err(|why| JournalError::new(&folder, why))
}

impl Journal {
    /// Begins one.
    ///
    /// # Errors
    /// If it cannot be written: then nothing must be done that it would have to tell of.
    pub(super) fn begin(folder: &Path, push: &PushId, began: Began) -> Result<Self, JournalError> {
        let folder = folder.join("pushes");
        let failed = |path: &Path, e: io::Error| JournalError::new(path, e);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|e| failed(&folder, e))?;
        distrusted(&folder, "folder").map_err(|why| JournalError::new(&folder, why))?;
        let path = folder.join(push.as_str()).with_extension(ENDING);
        // A journal has its first line from its beginning, so one without is damaged.
        let unborn = path.with_extension(UNBORN);
        let mut options = OpenOptions::new();
        let file = options
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&unborn)
            .map_err(|e| failed(&unborn, e))?;
        let at = now();
        let (push, state) = (push.clone(), State::new(at, began.clone()));
        let mut journal =
            Journal { path: Some(path.clone()), file, push, state, whole: 0, torn: false };
        let begun = journal.file.lock().map_err(|e| failed(&unborn, e));
        let begun = begun.and_then(|()| journal.append(&Line { at, entry: Entry::Began(began) }));
        let begun =
            begun.and_then(|()| std::fs::rename(&unborn, &path).map_err(|e| failed(&path, e)));
        if let Err(error) = begun {
            let _ = std::fs::remove_file(&unborn);
            return Err(error);
        }
        // The name of the file has to last as well.
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(|e| failed(&folder, e))?;
        Ok(journal)
    }

    /// Begins one without a name, which is gone with the process.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn nameless(push: &PushId, began: Began) -> Result<Self, JournalError> {
        let file = tempfile::tempfile().map_err(|e| JournalError::new(&std::env::temp_dir(), e))?;
        let at = now();
        let (push, state) = (push.clone(), State::new(at, began.clone()));
        let mut journal = Journal { path: None, file, push, state, whole: 0, torn: false };
        journal.append(&Line { at, entry: Entry::Began(began) })?;
        Ok(journal)
    }

    /// Opens one that is there, and changes nothing.
    ///
    /// # Errors
    /// If it cannot be read, is no journal, was cut, or may be that of somebody else.
    pub(super) fn open(path: &Path) -> Result<Option<Found>, JournalError> {
        let failed = |e: io::Error| JournalError::new(path, e);
        let wrong = |why: String| JournalError::new(path, why);
        // Opening a pipe must not wait for its other end.
        let flags =
            OFlags::RDWR | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            // Its push has just ended.
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(wrong("it is a link; a push writes none".into())),
            Err(e) => return Err(failed(e.into())),
        };
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(wrong("it is no regular file".into()));
        }
        distrust(path, &file.metadata().map_err(failed)?, "file").map_err(wrong)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        distrusted(folder, "folder").map_err(wrong)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let state = lines(path, &file).ok().and_then(|(lines, _)| State::of(lines));
                return Ok(Some(Found::Locked(state.map(Box::new))));
            }
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        let (lines, whole) = lines(path, &file)?;
        let torn = whole < file.metadata().map_err(failed)?.len();
        let ended = matches!(lines.last(), Some(Line { entry: Entry::Ended, .. }));
        if ended && !torn {
            return Ok(Some(Found::Over(Over { path: path.to_owned(), _locked: file })));
        }
        let damaged = |why: &str| wrong(format!("{why}; {}", instead(place(&file).as_ref())));
        if lines.is_empty() {
            return Err(damaged(
                "it was cut before the end of its first line, so its push may be unfinished",
            ));
        }
        let Some(Line { entry: Entry::Began(began), .. }) = lines.first() else {
            return Err(damaged("its first line does not begin a push"));
        };
        let Some(push) = PushId::parse(&began.push) else {
            return Err(damaged("it names no push"));
        };
        if path.file_stem().is_none_or(|name| name != push.as_str()) {
            return Err(damaged("it is named otherwise than the push that it tells of"));
        }
        if let Some(what) = lines.iter().find_map(|line| foreign(&line.entry, &push)) {
            return Err(damaged(&format!("it names {what}, which is not of its push")));
        }
        let Some(state) = State::of(lines) else {
            return Err(damaged("its first line does not begin a push"));
        };
        Ok(Some(Found::Left(Box::new(Journal {
            path: Some(path.to_owned()),
            file,
            push,
            state,
            whole,
            torn,
        }))))
    }

    /// The paths of all journals, by name.
    ///
    /// # Errors
    /// If the folder cannot be read; one that is not there has none.
    pub(super) fn all(folder: &Path) -> Result<Vec<PathBuf>, JournalError> {
        Journal::named(folder, ENDING)
    }

    /// Removes what pushes left that were killed before their journal had a line: they had done nothing.
    pub(super) fn remove_unborn(folder: &Path) {
        for path in Journal::named(folder, UNBORN).unwrap_or_default() {
            let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let Ok(file) = rustix::fs::open(&path, flags, Mode::empty()).map(File::from) else {
                continue;
            };
            if file.try_lock().is_ok() {
                // It does no harm if it stays.
                let _ = std::fs::remove_file(&path);
            }
        }
    }

    fn named(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, JournalError> {
        let folder = folder.join("pushes");
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(JournalError::new(&folder, e)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(|e| JournalError::new(&folder, e))?.path();
            if path.extension().is_some_and(|it| it == ending) {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// Its path, escaped; that of a rehearsal has none.
    pub(super) fn shown(&self) -> String {
        let path = self.path.as_deref().unwrap_or(Path::new(""));
        Hostile::from_os(path.as_os_str()).to_string()
    }

    /// What ends a push of which nothing can be seen any more.
    pub(super) fn discard(&self) -> String {
        format!("delete the journal {}", self.shown())
    }

    /// How far the push is.
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// The push.
    pub(super) fn push(&self) -> &PushId {
        &self.push
    }

    /// Writes a line, and returns when it is on the disk.
    ///
    /// # Errors
    /// If it is not. What an intent tells of must not be done then.
    pub(super) fn write(&mut self, entry: Entry) -> Result<(), JournalError> {
        let line = Line { at: now(), entry };
        self.append(&line)?;
        self.state.take(line.at, &line.entry);
        Ok(())
    }

    /// Writes a line of something that is done whether it can be written or not: a removal.
    pub(super) fn note(&mut self, entry: Entry) -> Option<JournalError> {
        let line = Line { at: now(), entry };
        let written = self.append(&line);
        self.state.take(line.at, &line.entry);
        written.err()
    }

    fn append(&mut self, line: &Line) -> Result<(), JournalError> {
        let mut text = serde_json::to_string(line).map_err(|e| self.error(e))?;
        text.push('\n');
        let mut write = || {
            if self.torn {
                self.file.set_len(self.whole)?;
            }
            self.file.write_all(text.as_bytes())?;
            self.file.sync_data()
        };
        let written = write();
        // A disk may fill in the middle of a line.
        self.torn = written.is_err();
        if written.is_ok() {
            self.whole += text.len() as u64;
        }
        written.map_err(|e| self.error(e))
    }

    /// Ends it: nothing is left that it would have to tell of.
    ///
    /// # Errors
    /// If it cannot be written. It does no harm if it stays behind.
    pub(super) fn end(mut self) -> Result<(), JournalError> {
        // A disk that is full takes no line, and gives the file up all the same.
        let _ = self.note(Entry::Ended);
        let removed = self.path.as_ref().map_or(Ok(()), std::fs::remove_file);
        removed.map_err(|e| self.error(e))
    }

    fn error(&self, why: impl ToString) -> JournalError {
        let nowhere = std::env::temp_dir();
        JournalError::new(self.path.as_deref().unwrap_or(&nowhere), why)
    }
}

/// Why nothing is believed of what is there: somebody else may have put it there.
fn distrusted(path: &Path, what: &str) -> Result<(), String> {
    distrust(path, &std::fs::metadata(path).map_err(|e| format!("its {what}: {e}"))?, what)
}

fn distrust(path: &Path, meta: &Metadata, what: &str) -> Result<(), String> {
    let user = rustix::process::geteuid().as_raw();
    let caller = || std::env::var("SUDO_UID").is_ok_and(|uid| uid == meta.uid().to_string());
    if meta.uid() != user && !(user == 0 && caller()) {
        let uid = meta.uid();
        return Err(format!(
            "it is not believed, as the {what} belongs to somebody else (user {uid})"
        ));
    }
    match meta.mode() & 0o022 {
        0 => Ok(()),
        _ => Err(format!(
            "it is not believed, as others may write to the {what}; if nobody did, say {}",
            Command::new("chmod go-w").file(path)
        )),
    }
}

/// What a line names that this push cannot have made.
fn foreign(entry: &Entry, push: &PushId) -> Option<String> {
    let Entry::Intent(intent) = entry else { return None };
    match intent {
        Intent::MintKey { name } if *name != mint::name(push) => {
            Some(format!("the key \"{}\"", Hostile::from(name.as_str())))
        }
        Intent::Probe { key } | Intent::Upload { key, .. } => {
            let own = format!("{PREFIX}{}/", push.as_str());
            // What is no key is said where it would be used.
            let key = Key::parse(key).ok()?;
            (!key.as_str().starts_with(&own)).then(|| format!("the object {key}"))
        }
        _ => None,
    }
}

/// Removes a journal of a push that is at its end; another process may have been quicker.
fn remove(path: &Path) -> Result<(), JournalError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(JournalError::new(path, e)),
        _ => Ok(()),
    }
}

/// All lines, and the bytes that they take. The last one may have been cut while it was written: what it would
/// have told of was not done.
fn lines(path: &Path, file: &File) -> Result<(Vec<Line>, u64), JournalError> {
    let mut reader = BufReader::new(io::Read::take(file, LARGEST));
    let (mut lines, mut whole) = (Vec::new(), 0);
    while lines.len() < MOST_LINES {
        let mut text = Vec::new();
        let mut limited = io::Read::take(&mut reader, LONGEST_LINE);
        limited.read_until(b'\n', &mut text).map_err(|e| JournalError::new(path, e))?;
        if text.last() != Some(&b'\n') {
            if text.len() as u64 == LONGEST_LINE || reader.get_ref().limit() == 0 {
                break;
            }
            return Ok((lines, whole));
        }
        let line = serde_json::from_slice(&text).map_err(|e| {
            let e = e.to_string();
            let out = instead(place(file).as_ref());
            let why = format!("line {}: {}; {out}", lines.len() + 1, Hostile::message(&e));
            JournalError::new(path, why)
        })?;
        lines.push(line);
        whole += text.len() as u64;
    }
    Err(JournalError::new(
        path,
        format!("it is longer than any journal; {}", instead(place(file).as_ref())),
    ))
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
