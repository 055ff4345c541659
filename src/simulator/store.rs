use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::clock;
use super::model::{Action, Fate, Image, Record, Status};
use crate::net::Address;

/// The file in the directory of `--state`.
const FILE: &str = "simulator.json";
/// Whoever has locked it, in that directory, is the only one to write.
const LOCK: &str = "simulator.lock";
/// The first ids; they look like DigitalOcean's and no image of another kind has them.
const FIRST_IMAGE: u64 = 200_000_001;
const FIRST_ACTION: u64 = 1_500_000_001;

/// All images and actions.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Store {
    next_image: u64,
    next_action: u64,
    pub(super) images: Vec<Record>,
    pub(super) actions: Vec<Action>,
    #[serde(skip)]
    file: Option<PathBuf>,
    /// Held as long as there is the store; the system lets go of it with the process.
    #[serde(skip)]
    lock: Option<File>,
}

impl Default for Store {
    fn default() -> Self {
        Store {
            next_image: FIRST_IMAGE,
            next_action: FIRST_ACTION,
            images: Vec::new(),
            actions: Vec::new(),
            file: None,
            lock: None,
        }
    }
}

impl Store {
    /// What the directory holds of an earlier run. Nothing is written.
    pub(super) fn read(dir: &Path) -> Result<Store, String> {
        Ok(read(dir, FILE)?.unwrap_or_default())
    }

    /// What the directory holds of an earlier run; without a directory nothing is kept.
    pub(super) fn open(dir: Option<&Path>) -> Result<Store, String> {
        let Some(dir) = dir else { return Ok(Store::default()) };
        fs::create_dir_all(dir).map_err(|e| format!("cannot make the directory: {e}"))?;
        let lock = lock(dir)?;
        let mut store = Store::read(dir)?;
        (store.file, store.lock) = (Some(dir.join(FILE)), Some(lock));
        store.save()?;
        Ok(store)
    }

    /// Writes all of it.
    pub(super) fn save(&self) -> Result<(), String> {
        self.file.as_ref().map_or(Ok(()), |file| replace(file, self))
    }

    /// A number that no image had.
    pub(super) fn image_id(&mut self) -> u64 {
        self.next_image += 1;
        self.next_image - 1
    }

    /// A number that no action had.
    pub(super) fn action_id(&mut self) -> u64 {
        self.next_action += 1;
        self.next_action - 1
    }

    pub(super) fn image(&self, id: u64) -> Option<&Record> {
        self.images.iter().find(|record| record.image.id == id)
    }

    pub(super) fn image_mut(&mut self, id: u64) -> Option<&mut Record> {
        self.images.iter_mut().find(|record| record.image.id == id)
    }

    /// Puts the public images there, unless an earlier run did.
    pub(super) fn publish(&mut self) {
        if self.images.iter().any(|record| record.image.public) {
            return;
        }
        for (slug, distribution, name) in [
            ("ubuntu-24-04-x64", "Ubuntu", "24.04 (LTS) x64"),
            ("debian-12-x64", "Debian", "12 x64"),
            ("fedora-42-x64", "Fedora", "42 x64"),
        ] {
            let id = self.image_id();
            let regions = super::regions::all().filter(|region| region.available);
            self.images.push(Record {
                image: Image {
                    id,
                    name: name.into(),
                    kind: "base".into(),
                    distribution: distribution.into(),
                    slug: Some(slug.into()),
                    public: true,
                    regions: regions.map(|region| region.slug.to_owned()).collect(),
                    created_at: clock::stamp(),
                    min_disk_size: Some(7),
                    size_gigabytes: Some(0.62),
                    description: format!("{distribution} {name}"),
                    tags: Vec::new(),
                    status: Status::Available,
                    error_message: String::new(),
                },
                url: String::new(),
                region: String::new(),
                born: 0,
                fate: Fate::Open,
            });
        }
    }

    /// All of it, for tests. URLs are shown without what may be secret in them.
    pub(super) fn shown(&self) -> Value {
        let images: Vec<Value> = self.images.iter().map(shown).collect();
        let actions: Vec<_> = self.actions.iter().map(Action::shown).collect();
        json!({ "images": images, "actions": actions })
    }
}

/// A document of an earlier run in the directory of `--state`, if there is one.
pub(super) fn read<D: DeserializeOwned>(dir: &Path, name: &str) -> Result<Option<D>, String> {
    let cannot = |e: std::io::Error| format!("cannot read {name} in it: {e}");
    match fs::symlink_metadata(dir.join(name)) {
        Ok(meta) if meta.is_file() => {}
        // It would be replaced, and not what it leads to.
        Ok(_) => return Err(format!("{name} in it is no regular file; name another directory")),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot(error)),
    }
    let bytes = super::STATE.open(&dir.join(name)).map_err(cannot)?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|e| format!("{name} in it is not a state of the simulator: {e}"))
}

/// Writes a document, so that whatever happens there is the old one or the new one.
pub(super) fn replace(file: &Path, document: &impl Serialize) -> Result<(), String> {
    let write = || {
        let dir = file.parent().unwrap_or(Path::new("."));
        // Readable by its owner only: URLs may carry secrets, and keys are some.
        let mut new = tempfile::NamedTempFile::new_in(dir)?;
        new.write_all(&serde_json::to_vec(document)?)?;
        new.persist(file).map_err(|e| e.error).map(drop)
    };
    write().map_err(|e: std::io::Error| format!("cannot write the state: {e}"))
}

/// The directory for this process alone.
fn lock(dir: &Path) -> Result<File, String> {
    let cannot = |e: std::io::Error| format!("cannot lock {LOCK} in it: {e}");
    // Nothing elsewhere is made or waited for.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let open = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .custom_flags(flags.bits() as i32)
        .open(dir.join(LOCK));
    let lock = open.map_err(cannot)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err("another simulator uses this directory".into()),
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

fn shown(record: &Record) -> Value {
    let mut image = json!(record.image);
    image["url"] = match Address::parse(&record.url) {
        Ok(address) => address.to_string().into(),
        Err(_) => Value::Null,
    };
    image
}
