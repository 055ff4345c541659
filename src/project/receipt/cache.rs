use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{Mode, OFlags};

use super::STORED;
use crate::bytes::{Command, Hostile};

/// A receipt that nobody needed for so long is removed.
const OLDEST: Duration = Duration::from_secs(90 * 24 * 3600);

/// The user's own folder of receipts, where nobody else can write.
#[derive(Debug)]
pub struct Cache {
    path: PathBuf,
    /// The folder itself, whatever becomes of its path.
    folder: File,
}

impl Cache {
    /// The folder `tidegate` in `XDG_CACHE_HOME`, or in `~/.cache`; it is made if it is not there.
    ///
    /// # Errors
    /// If there is no such folder, or others may do something in it.
    pub fn open(variable: impl Fn(&str) -> Option<OsString>) -> Result<Cache, String> {
        // A path that is not absolute does not count (XDG Base Directory Specification).
        let set = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let above = set("XDG_CACHE_HOME")
            .or_else(|| Some(set("HOME")?.join(".cache")))
            .ok_or("there is no place for it: set XDG_CACHE_HOME or HOME to an absolute path")?;
        Cache::at(above.join("tidegate"))
    }

    fn at(path: PathBuf) -> Result<Cache, String> {
        let shown = Hostile::from_os(path.as_os_str());
        let fail = |e: std::io::Error| format!("{shown}: {e}");
        if let Some(above) = path.parent() {
            std::fs::create_dir_all(above).map_err(fail)?;
        }
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(fail(error));
            }
            _ => {}
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::open(&path, flags, Mode::empty())
            .map_err(|e| format!("{shown} is no folder of its own: {e}"))?;
        let folder = File::from(folder);
        let meta = folder.metadata().map_err(fail)?;
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(format!("{shown} belongs to somebody else"));
        }
        if meta.mode() & 0o077 != 0 {
            return Err(format!(
                "others may look into {shown} or write to it (mode {:o}); say {}",
                meta.mode() & 0o777,
                Command::new("chmod 700").file(&path)
            ));
        }
        Ok(Cache { path, folder })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is there under this name, if it is the user's own.
    pub(super) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.folder, format!("{name}.json"), flags, Mode::empty());
        let file = File::from(file.ok()?);
        let meta = file.metadata().ok()?;
        // A hard link to a file of somebody else is none of ours.
        let own = meta.is_file()
            && meta.uid() == rustix::process::geteuid().as_raw()
            && meta.mode() & 0o022 == 0
            && meta.nlink() == 1;
        own.then(|| STORED.read(file).ok()).flatten()
    }

    /// Puts something under this name, in one step, and removes what is old.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
            file.write_all(text.as_bytes())?;
            file.persist(self.path.join(format!("{name}.json"))).map_err(|e| e.error)?;
            Ok(())
        };
        write().map_err(|e| e.to_string())?;
        self.tidy();
        Ok(())
    }

    /// Removes what is old, once in a process.
    fn tidy(&self) {
        static TIDIED: std::sync::Once = std::sync::Once::new();
        TIDIED.call_once(|| {
            let now = SystemTime::now();
            for entry in std::fs::read_dir(&self.path).into_iter().flatten().flatten() {
                let age = entry.metadata().ok().and_then(|meta| meta.modified().ok());
                let age = age.and_then(|modified| now.duration_since(modified).ok());
                if age.is_some_and(|age| age > OLDEST) {
                    // What cannot be removed today is removed another day.
                    let _ = std::fs::remove_file(entry.path());
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn open(home: &Path) -> Result<Cache, String> {
        let home = home.to_owned();
        Cache::open(move |name| (name == "XDG_CACHE_HOME").then(|| home.clone().into()))
    }

    #[test]
    fn only_the_users_own_folder_is_a_cache() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path()).unwrap();
        let path = cache.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        cache.write("a", "text").unwrap();
        assert_eq!(cache.read("a").unwrap(), b"text");
        assert_eq!(cache.read("b"), None);
        // Neither links nor what others may write.
        symlink(path.join("a.json"), path.join("c.json")).unwrap();
        assert_eq!(cache.read("c"), None);
        fs::set_permissions(path.join("a.json"), fs::Permissions::from_mode(0o622)).unwrap();
        assert_eq!(cache.read("a"), None);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(open(dir.path()).unwrap_err().contains("chmod 700"));
        let other = tempfile::tempdir().unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        symlink(&path, other.path().join("tidegate")).unwrap();
        assert!(open(other.path()).is_err());
        assert!(Cache::open(|_| None).is_err());
        assert!(Cache::open(|_| Some("relative".into())).is_err());
    }
}
