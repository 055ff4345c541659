use std::io::{Error, ErrorKind};
use std::path::{Component, Path, PathBuf};

/// A path that stays below a folder: a file that was found somewhere must not name what is elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Below {
    folder: PathBuf,
    inner: PathBuf,
}

impl Below {
    /// A path below `folder`, as it is written.
    ///
    /// # Errors
    /// If it is absolute, empty, or goes up.
    pub fn new(folder: &Path, inner: &str) -> Result<Below, &'static str> {
        let path = Path::new(inner);
        if path.components().any(|part| matches!(part, Component::ParentDir)) {
            return Err(
                "the path goes up (`..`); it has to stay below the folder of tidegate.toml",
            );
        }
        if path.is_absolute() {
            return Err("the path is absolute; it has to stay below the folder of tidegate.toml");
        }
        if is_of_git(path) {
            return Err("what is below `.git` belongs to git");
        }
        if path.file_name().is_none() || inner.contains('\0') {
            return Err("it is no path of a file");
        }
        Ok(Below { folder: folder.to_owned(), inner: path.to_owned() })
    }

    /// As it is written, below the folder.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.join(&self.inner)
    }

    /// The path of a regular file to read, if links do not lead out of the folder. What is not there leads nowhere.
    ///
    /// # Errors
    /// If they do, or it is something else, such as a pipe, which might never end.
    pub fn to_read(&self) -> Result<PathBuf, Error> {
        let path = self.path();
        match path.canonicalize() {
            Ok(real) => {
                self.inside(&real)?;
                match real.metadata()?.is_file() {
                    true => Ok(path),
                    false => Err(Error::other("it is no regular file")),
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(path),
            Err(error) => Err(error),
        }
    }

    /// The path of a file to write, in a folder that is there and below the folder, links followed. Whoever writes
    /// has to replace what is at the path, because that may be a link.
    ///
    /// # Errors
    /// If there is no such folder, or it is elsewhere.
    pub fn to_write(&self) -> Result<PathBuf, Error> {
        let path = self.path();
        let folder = path.parent().unwrap_or(&self.folder);
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let real = folder.canonicalize()?;
        self.inside(&real)?;
        // A path made by `new` has a name at its end.
        Ok(real.join(self.inner.file_name().unwrap_or_default()))
    }

    fn inside(&self, real: &Path) -> Result<(), Error> {
        match real.strip_prefix(self.folder.canonicalize()?) {
            Ok(inner) if is_of_git(inner) => {
                Err(Error::other("a link leads to what belongs to git"))
            }
            Ok(_) => Ok(()),
            Err(_) => Err(Error::other("a link leads out of the folder of tidegate.toml")),
        }
    }
}

/// Whether it is git's own: there are programs that git runs, and credentials. Some file systems fold the case.
fn is_of_git(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str().eq_ignore_ascii_case(".git"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("out")).unwrap();
        std::fs::create_dir_all(root.join(".git/hooks")).unwrap();
        std::fs::write(root.join("out/disk"), "x").unwrap();
        std::os::unix::fs::symlink(".git/hooks", root.join("hooks")).unwrap();
        std::fs::write(dir.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(dir.path(), root.join("up")).unwrap();
        std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();
        for bad in
            ["", "..", "../x", "a/../../x", "/x", ".", "/", "a\0b", ".git/config", "a/.GIT/b"]
        {
            assert!(Below::new(&root, bad).is_err(), "{bad:?}");
        }
        let below = |inner| Below::new(&root, inner).unwrap();
        assert_eq!(below("out/disk").to_read().unwrap(), root.join("out/disk"));
        assert!(below("out/new").to_write().is_ok());
        for bad in ["up/secret", "link"] {
            assert!(below(bad).to_read().is_err(), "{bad}");
        }
        assert!(below("out").to_read().is_err());
        assert!(below("out/none").to_read().is_ok());
        assert!(below("up/new").to_write().is_err());
        assert!(below("hooks/pre-commit").to_write().is_err());
        assert!(below("none/new").to_write().is_err());
        // What is at the path is replaced and not followed.
        assert!(below("link").to_write().is_ok());
    }
}
