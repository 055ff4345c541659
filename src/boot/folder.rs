//! The folder of a boot: overlay, keys and sockets, for nobody else to see.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How the names of these folders begin.
const PREFIX: &str = "tidegate-boot-";
/// Locked as long as the boot goes on.
const LOCK: &str = "lock";
/// There if the folder is to stay.
const KEPT: &str = "kept";
/// A folder without a lock that is older was left by a program that was killed before it made one.
const GRACE: Duration = Duration::from_secs(60);

/// A folder in the one for temporary files; it goes away with its last handle, unless it was kept.
#[derive(Clone)]
pub struct Folder(Arc<Inner>);

struct Inner {
    path: PathBuf,
    /// The folder itself, by which sockets in it have short names, and its lock.
    open: File,
    _lock: File,
    kept: Mutex<bool>,
}

impl Folder {
    /// A new one, after those were removed that killed boots left.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new() -> io::Result<Folder> {
        let place = std::env::temp_dir();
        sweep(&place);
        let private = Permissions::from_mode(0o700);
        let made =
            tempfile::Builder::new().prefix(PREFIX).permissions(private).tempdir_in(&place)?;
        // What QEMU is given must not depend on where it runs.
        let path = made.keep().canonicalize()?;
        let lock = File::create_new(path.join(LOCK))?;
        lock.try_lock()?;
        let open = File::open(&path)?;
        Ok(Folder(Arc::new(Inner { path, open, _lock: lock, kept: Mutex::new(false) })))
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Bytes that can be written to it, if the system says.
    #[must_use]
    pub fn room(&self) -> Option<u64> {
        let space = rustix::fs::fstatvfs(&self.0.open).ok()?;
        space.f_bavail.checked_mul(space.f_frsize)
    }

    /// The path of something in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.path.join(name)
    }

    /// The path of a socket in it, which is short however long that of the folder is (unix(7): 107 bytes).
    pub(super) fn socket(&self, name: &str) -> PathBuf {
        Path::new("/proc/self/fd").join(self.0.open.as_raw_fd().to_string()).join(name)
    }

    /// Leaves it there.
    pub(super) fn keep(&self) -> io::Result<()> {
        File::create(self.file(KEPT))?;
        *self.0.kept.lock().unwrap_or_else(PoisonError::into_inner) = true;
        Ok(())
    }

    /// Removes it now, unless it was kept.
    pub(super) fn remove(&self) {
        self.0.remove();
    }
}

impl Inner {
    fn remove(&self) {
        if !*self.kept.lock().unwrap_or_else(PoisonError::into_inner) {
            // What cannot be removed is removed by a later boot, or by nobody.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Removes what boots of this user left that were killed.
fn sweep(place: &Path) {
    let Ok(entries) = fs::read_dir(place) else { return };
    let user = rustix::process::geteuid().as_raw();
    for entry in entries.flatten() {
        let named = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        let path = entry.path();
        // Not following links: somebody else may have put one there.
        let own =
            named && path.symlink_metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == user);
        if own && is_left(&path) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// Whether nobody uses a folder any more, nor is to.
fn is_left(path: &Path) -> bool {
    if path.join(KEPT).symlink_metadata().is_ok() {
        return false;
    }
    match File::open(path.join(LOCK)) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(_) => {
            let age = path.metadata().and_then(|meta| meta.modified()).ok();
            age.and_then(|modified| modified.elapsed().ok()).is_some_and(|age| age > GRACE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_left_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let path = place.path().join(format!("{PREFIX}{name}"));
            fs::create_dir(&path).unwrap();
            path
        };
        let (live, left, kept, young) = (folder("a"), folder("b"), folder("c"), folder("d"));
        let lock = File::create(live.join(LOCK)).unwrap();
        lock.lock().unwrap();
        for path in [&left, &kept] {
            fs::write(path.join(LOCK), "").unwrap();
            fs::write(path.join("overlay"), "x").unwrap();
        }
        fs::write(kept.join(KEPT), "").unwrap();
        let other = place.path().join("else");
        fs::create_dir(&other).unwrap();
        sweep(place.path());
        let there: Vec<bool> =
            [&live, &left, &kept, &young, &other].map(|path| path.exists()).into();
        assert_eq!(there, [true, false, true, true, true]);
    }

    #[test]
    fn nobody_else_looks_into_it_and_it_goes_away() {
        let folder = Folder::new().unwrap();
        let path = folder.path().to_owned();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let listener = std::os::unix::net::UnixListener::bind(folder.socket("s")).unwrap();
        assert!(path.join("s").exists());
        drop((folder, listener));
        assert!(!path.exists());
    }
}
