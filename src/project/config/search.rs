use std::fs::{File, Metadata};
use std::io::Error;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{NAME, PROJECT};
use crate::bytes::Command;

/// The file in a folder or above it. The root of a git repository is the last place that is looked at.
pub(super) fn find(folder: &Path) -> Option<PathBuf> {
    for folder in folder.ancestors() {
        let file = folder.join(NAME);
        // Also one that cannot be read, or leads nowhere: it is not passed over in silence.
        if file.symlink_metadata().is_ok() {
            return Some(file);
        }
        if is_root(folder) {
            return None;
        }
    }
    None
}

/// Whether it is the root of a git repository.
fn is_root(folder: &Path) -> bool {
    folder.join(".git").symlink_metadata().is_ok()
}

/// What is in a file that was found.
///
/// # Errors
/// If it is no regular file here (a link would show what is elsewhere), or somebody may have put it there whom the user
/// has no reason to believe.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Error> {
    // Opening a pipe must not wait for its writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = File::from(rustix::fs::open(file, flags, Mode::empty()).map_err(|e| match e {
        Errno::LOOP => {
            Error::other("it is a link, which may lead to anything; put the file itself here")
        }
        other => other.into(),
    })?);
    let meta = opened.metadata()?;
    if !meta.is_file() {
        return Err(Error::other("it is no regular file"));
    }
    distrust(file, &meta)?;
    PROJECT.read(opened)
}

/// Says why a file may be that of somebody else. In a repository that is the user's own, folders are what their modes
/// were made in a container, and the owner of the file tells enough.
fn distrust(file: &Path, meta: &Metadata) -> Result<(), Error> {
    if !is_own(meta) {
        return Err(Error::other(format!(
            "it is not used, because it belongs to somebody else (user {}); name the images instead, or make the file \
             your own",
            meta.uid()
        )));
    }
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let of_folder = folder.metadata()?;
    let is_shared = |meta: &Metadata| meta.mode() & 0o002 != 0;
    let shared =
        [(folder, &of_folder), (file, meta)].into_iter().filter(|(_, meta)| is_shared(meta));
    let shared: Vec<&Path> = shared.map(|(path, _)| path).collect();
    let own_root = folder
        .ancestors()
        .find(|folder| is_root(folder))
        .is_some_and(|root| root.join(".git").symlink_metadata().is_ok_and(|meta| is_own(&meta)));
    if shared.is_empty() || own_root {
        return Ok(());
    }
    let why = "it is not used, because everybody may write to it or to its folder; name the images instead, or";
    // A folder that everybody is to write to, such as /tmp, stays one; nor can its rights be changed by another user.
    let is_for_all =
        is_shared(&of_folder) && (of_folder.mode() & STICKY != 0 || !is_users(&of_folder));
    Err(Error::other(match is_for_all {
        true => format!("{why} put the file into a folder of your own"),
        false => {
            let close = shared.into_iter().fold(Command::new("chmod o-w"), Command::file);
            format!("{why} say {close}")
        }
    }))
}

/// The bit of a folder in which nobody removes the files of others.
const STICKY: u32 = 0o1000;

/// Whether it belongs to the user.
fn is_users(meta: &Metadata) -> bool {
    let user = rustix::process::geteuid().as_raw();
    user == 0 || meta.uid() == user
}

/// Whether it belongs to the user, or to root, who can do everything anyway; to root under sudo, also whoever called.
fn is_own(meta: &Metadata) -> bool {
    let user = rustix::process::geteuid().as_raw();
    let caller = || std::env::var("SUDO_UID").is_ok_and(|uid| uid == meta.uid().to_string());
    meta.uid() == user || meta.uid() == 0 || (user == 0 && caller())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn is_found_upward_to_the_root_of_the_repository() {
        let dir = tempfile::tempdir().unwrap();
        let (outer, root) = (dir.path().to_owned(), dir.path().join("repository"));
        let deep = root.join("a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::write(outer.join(NAME), "").unwrap();
        assert_eq!(find(&deep), Some(outer.join(NAME)));
        fs::create_dir(root.join(".git")).unwrap();
        assert_eq!(find(&deep), None);
        fs::write(root.join(NAME), "").unwrap();
        assert_eq!(find(&deep), Some(root.join(NAME)));
        fs::write(root.join("a").join(NAME), "").unwrap();
        assert_eq!(find(&deep), Some(root.join("a").join(NAME)));
    }

    #[test]
    fn what_everybody_can_write_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(NAME);
        fs::write(&file, "x").unwrap();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap()
        };
        for (folder, file_mode, read_it) in [
            (0o755, 0o644, true),
            (0o1777, 0o644, false),
            (0o777, 0o644, false),
            (0o755, 0o666, false),
        ] {
            mode(dir.path(), folder);
            mode(&file, file_mode);
            assert_eq!(read(&file).is_ok(), read_it, "{folder:o} {file_mode:o}");
        }
        // A repository of the user's own, as it is made in containers without a umask.
        fs::create_dir(dir.path().join(".git")).unwrap();
        mode(dir.path(), 0o777);
        assert_eq!(read(&file).unwrap(), b"x");
    }
}
