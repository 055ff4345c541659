//! The journal of a push: a file of JSON lines, each on the disk before anything is done that it tells of,
//! and locked while the push lives.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::entry::{Began, Entry, Line};
use super::state::State;
use crate::bytes::Hostile;
use crate::digitalocean::PushId;

/// How the names of journals end.
const ENDING: &str = "journal";

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
    path: PathBuf,
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
        let path = folder.join(push.as_str()).with_extension(ENDING);
        let mut options = OpenOptions::new();
        let file = options
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| failed(&path, e))?;
        file.lock().map_err(|e| failed(&path, e))?;
        // A sweep that came between took it for one that was killed before it did anything, and removed it.
        if file.metadata().map_err(|e| failed(&path, e))?.nlink() == 0 {
            return Err(JournalError::new(&path, "a sweep has just removed it; try again"));
        }
        let at = now();
        let (push, state) = (push.clone(), State::new(at, began.clone()));
        let mut journal = Journal { path, file, push, state, whole: 0, torn: false };
        if let Err(error) = journal.append(&Line { at, entry: Entry::Began(began) }) {
            // It tells of nothing, and a sweep takes it for nothing too.
            let _ = std::fs::remove_file(&journal.path);
            return Err(error);
        }
        // The name of the file has to last as well.
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(|e| failed(&folder, e))?;
        Ok(journal)
    }

    /// Opens one that is there.
    ///
    /// # Errors
    /// If it cannot be read, or is no journal. One without its first line tells of nothing; it is no error.
    pub(super) fn open(path: &Path) -> Result<Option<Found>, JournalError> {
        let failed = |e: io::Error| JournalError::new(path, e);
        let file = match OpenOptions::new().read(true).append(true).open(path) {
            Ok(file) => file,
            // Its push has just ended.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed(e)),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let state = lines(path, &file).ok().and_then(|(lines, _)| State::of(lines));
                return Ok(Some(Found::Locked(state.map(Box::new))));
            }
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        let (lines, whole) = lines(path, &file)?;
        if lines.is_empty() {
            // It was killed before it did anything.
            return remove(path).map(|()| None);
        }
        if matches!(lines.last(), Some(Line { entry: Entry::Ended, .. })) {
            return remove(path).map(|()| None);
        }
        let Some(state) = State::of(lines) else {
            return Err(JournalError::new(path, "its first line does not begin a push"));
        };
        let Some(push) = PushId::parse(&state.began.push) else {
            return Err(JournalError::new(path, "it names no push"));
        };
        let torn = whole < file.metadata().map_err(failed)?.len();
        Ok(Some(Found::Left(Box::new(Journal {
            path: path.to_owned(),
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
        let folder = folder.join("pushes");
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(JournalError::new(&folder, e)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(|e| JournalError::new(&folder, e))?.path();
            if path.extension().is_some_and(|ending| ending == ENDING) {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
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
        let mut text = serde_json::to_string(line).map_err(|e| JournalError::new(&self.path, e))?;
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
        written.map_err(|e| JournalError::new(&self.path, e))
    }

    /// Ends it: nothing is left that it would have to tell of.
    ///
    /// # Errors
    /// If it cannot be written. It does no harm if it stays behind.
    pub(super) fn end(mut self) -> Result<(), JournalError> {
        // A disk that is full takes no line, and gives the file up all the same.
        let _ = self.note(Entry::Ended);
        std::fs::remove_file(&self.path).map_err(|e| JournalError::new(&self.path, e))
    }
}

/// Removes a journal that tells of nothing; another process may have been quicker.
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
        let line = serde_json::from_slice(&text)
            .map_err(|e| JournalError::new(path, format!("line {}: {e}", lines.len() + 1)))?;
        lines.push(line);
        whole += text.len() as u64;
    }
    Err(JournalError::new(path, "it is longer than any journal"))
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
