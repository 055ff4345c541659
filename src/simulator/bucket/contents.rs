use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::keys::Key;
use super::problem::{INTERNAL_ERROR, NO_SUCH_UPLOAD, Problem};
use super::versions::{self, Older};
use crate::bytes::{Hostile, hex};
use crate::simulator::clock;
use crate::simulator::store::{read, replace};
use crate::simulator::token::random;

/// The file in the directory of `--state`…
const FILE: &str = "bucket.json";
/// …and the directory in it that has the bodies.
const BODIES: &str = "bucket";

/// Who may see an object. Spaces knows these two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Acl {
    #[default]
    Private,
    PublicRead,
}

/// What was said of an object when it was made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Manner {
    pub(super) acl: Acl,
    /// Headers that its answers have.
    pub(super) headers: Vec<(String, String)>,
}

/// An object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Object {
    pub(super) manner: Manner,
    /// Without its quotes.
    pub(super) etag: String,
    pub(super) size: u64,
    /// Seconds since 1970.
    pub(super) modified: u64,
    /// The id of the file that has its bytes…
    pub(super) file: String,
    /// …and where in it: offsets and lengths, one after another.
    pub(super) pieces: Vec<(u64, u64)>,
    /// Its version, which [`Contents::put`] gives it.
    #[serde(default = "versions::null")]
    pub(super) version: String,
}

/// A multipart upload that is neither completed nor aborted. Its parts are in one file, each at a place of
/// its own, so that completing it moves no byte.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Upload {
    pub(super) key: String,
    pub(super) manner: Manner,
    /// Seconds since 1970.
    pub(super) initiated: u64,
    pub(super) file: String,
    /// Where the next part goes.
    end: u64,
    pub(super) parts: BTreeMap<u32, Part>,
}

/// A part that arrived.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) md5: [u8; 16],
    pub(super) offset: u64,
    pub(super) size: u64,
    /// Seconds since 1970.
    pub(super) modified: u64,
}

/// All that the bucket holds, and the keys that were made for it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::simulator) struct Contents {
    pub(super) objects: BTreeMap<String, Object>,
    /// What is behind them, or hides them, the newest last.
    #[serde(default)]
    pub(super) older: BTreeMap<String, Vec<Older>>,
    /// Whether what is deleted or replaced is kept.
    #[serde(default)]
    pub(super) versioned: bool,
    /// By their ids.
    pub(super) uploads: BTreeMap<String, Upload>,
    pub(in crate::simulator) keys: Vec<Key>,
    /// Whether the bucket is no more.
    #[serde(default)]
    pub(super) vanished: bool,
    #[serde(skip)]
    dir: Option<PathBuf>,
    #[serde(skip)]
    files: HashMap<String, Arc<File>>,
}

impl Contents {
    /// What the directory holds of an earlier run; without a directory nothing is kept.
    pub(super) fn open(state: Option<&Path>) -> Result<Contents, String> {
        let Some(state) = state else { return Ok(Contents::default()) };
        let mut contents = Contents::read(state)?;
        contents.dir = Some(state.to_owned());
        contents
            .reopen(&state.join(BODIES))
            .map_err(|e| format!("the bodies of its objects: {e}"))?;
        contents.save()?;
        Ok(contents)
    }

    /// The same, and nothing is written: all that is in the folder for the bodies has to be a simulator's.
    pub(super) fn read(state: &Path) -> Result<Contents, String> {
        let kept: Option<Contents> = read(state, FILE)?;
        let is_new = kept.is_none();
        let contents = kept.unwrap_or_default();
        if let Some(id) = contents.named().find(|id| !is_id(id)) {
            let id = Hostile::from(id.as_str());
            return Err(format!(
                "{FILE} in it is not a state of the simulator: {id} is no file of it"
            ));
        }
        let bodies = state.join(BODIES);
        let cannot = |e: io::Error| format!("its folder \"{BODIES}\": {e}");
        match fs::symlink_metadata(&bodies) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => {
                return Err(format!(
                    "\"{BODIES}\" in it is no folder, and no simulator made it; name another directory"
                ));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(contents),
            Err(error) => return Err(cannot(error)),
        }
        for entry in fs::read_dir(&bodies).map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            let name = entry.file_name();
            let is_body =
                name.to_str().is_some_and(is_id) && entry.file_type().map_err(cannot)?.is_file();
            if is_new || !is_body {
                return Err(format!(
                    "no simulator wrote {} in its folder \"{BODIES}\"; move it away, or name another directory",
                    Hostile::from_os(&name)
                ));
            }
        }
        Ok(contents)
    }

    /// The ids of all files that it needs.
    fn named(&self) -> impl Iterator<Item = &String> {
        let older = self.older.values().flatten().filter_map(|older| older.object.as_ref());
        let objects = self.objects.values().chain(older).map(|object| &object.file);
        objects.chain(self.uploads.values().map(|upload| &upload.file))
    }

    /// Opens the files that are named, and removes the other bodies: nobody was told of what is in them.
    fn reopen(&mut self, bodies: &Path) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(bodies)?;
        // It is this folder that is looked into, whatever its path leads to by now.
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::open(bodies, flags, Mode::empty())?;
        for id in self.named().cloned().collect::<Vec<_>>() {
            let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = File::from(rustix::fs::openat(&folder, &id, flags, Mode::empty())?);
            if !file.metadata()?.is_file() {
                return Err(io::Error::other(format!("{id} is no regular file")));
            }
            self.files.insert(id, Arc::new(file));
        }
        for entry in fs::read_dir(bodies)? {
            let name = entry?.file_name();
            if name.to_str().is_some_and(|name| is_id(name) && !self.files.contains_key(name)) {
                rustix::fs::unlinkat(&folder, &name, AtFlags::empty())?;
            }
        }
        Ok(())
    }

    fn bodies(&self) -> Option<PathBuf> {
        self.dir.as_ref().map(|dir| dir.join(BODIES))
    }

    /// Writes all of it but the bodies, which are written already.
    pub(in crate::simulator) fn save(&self) -> Result<(), String> {
        self.dir.as_ref().map_or(Ok(()), |dir| replace(&dir.join(FILE), self))
    }

    /// Keeps what a request changed.
    pub(super) fn saved(&self) -> Result<(), Problem> {
        self.save().map_err(|why| Problem::because(INTERNAL_ERROR, why))
    }

    /// A new file for bodies. Without a directory it has no name, and goes when nothing needs it.
    pub(super) fn new_file(&mut self) -> Result<(String, Arc<File>), Problem> {
        let id = new_id()?;
        let file = match self.bodies() {
            None => tempfile::tempfile(),
            Some(dir) => OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(dir.join(&id)),
        };
        let file = Arc::new(file.map_err(|e| Problem::because(INTERNAL_ERROR, e.to_string()))?);
        self.files.insert(id.clone(), Arc::clone(&file));
        Ok((id, file))
    }

    /// The file of an object or an upload.
    pub(super) fn file(&self, id: &str) -> Result<Arc<File>, Problem> {
        let file = self.files.get(id).cloned();
        file.ok_or_else(|| Problem::because(INTERNAL_ERROR, "a body is not there"))
    }

    /// Forgets a file; who reads it goes on.
    pub(super) fn remove_file(&mut self, id: &str) {
        self.files.remove(id);
        if let Some(dir) = self.bodies() {
            // What stays behind is removed by the next start.
            let _ = fs::remove_file(dir.join(id));
        }
    }

    /// Begins an upload and gives its id.
    pub(super) fn begin(&mut self, key: &str, manner: Manner) -> Result<String, Problem> {
        // As Ceph's gateway writes them.
        let id = format!("2~{}", new_id()?);
        let (file, _) = self.new_file()?;
        let upload = Upload {
            key: key.to_owned(),
            manner,
            initiated: now(),
            file,
            end: 0,
            parts: BTreeMap::new(),
        };
        self.uploads.insert(id.clone(), upload);
        self.saved()?;
        Ok(id)
    }

    /// The upload of this key with this id.
    pub(super) fn upload(&mut self, key: &str, id: &str) -> Result<&mut Upload, Problem> {
        let upload = self.uploads.get_mut(id).filter(|upload| upload.key == key);
        upload.ok_or_else(|| Problem::of(NO_SUCH_UPLOAD))
    }

    /// A place for a part of this size.
    pub(super) fn place(
        &mut self,
        key: &str,
        id: &str,
        size: u64,
    ) -> Result<(Arc<File>, u64), Problem> {
        let upload = self.upload(key, id)?;
        let offset = upload.end;
        // A sum of sizes that were all received.
        upload.end = offset.saturating_add(size);
        let file = upload.file.clone();
        Ok((self.file(&file)?, offset))
    }

    /// The bucket is no more, and what was in it neither.
    pub(super) fn vanish(&mut self) -> Result<(), Problem> {
        self.vanished = true;
        let objects = std::mem::take(&mut self.objects);
        let uploads = std::mem::take(&mut self.uploads);
        let older = std::mem::take(&mut self.older);
        self.saved()?;
        let older = older.into_values().flatten().filter_map(|older| older.object);
        let files = objects.into_values().chain(older).map(|object| object.file);
        for id in files.chain(uploads.into_values().map(|upload| upload.file)) {
            self.remove_file(&id);
        }
        Ok(())
    }

    /// All of it, for tests.
    pub(in crate::simulator) fn shown(&self) -> (Value, Value, Value) {
        let objects = self.objects.iter().map(
            |(key, object)| json!({ "key": key, "acl": object.manner.acl, "size": object.size }),
        );
        let uploads =
            self.uploads.iter().map(|(id, upload)| json!({ "key": upload.key, "upload_id": id }));
        let older = self.older.iter().flat_map(|(key, older)| {
            older.iter().map(move |one| {
                let acl = one.object.as_ref().map(|object| object.manner.acl);
                json!({ "key": key, "version_id": one.version, "acl": acl })
            })
        });
        (objects.collect(), uploads.collect(), older.collect())
    }
}

/// Whether a name is one that [`new_id`] makes.
fn is_id(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

pub(super) fn new_id() -> Result<String, Problem> {
    let id = random::<16>().map_err(|why| Problem::because(INTERNAL_ERROR, why))?;
    Ok(hex(&id))
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    clock::now().as_secs()
}
