use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::NAME;

/// The file in a folder or above it. The root of a git repository is the last place that is looked at; without
/// one, a folder that everybody may write to is none, unless it is the first.
pub(super) fn find(folder: &Path) -> Option<PathBuf> {
    for (depth, folder) in folder.ancestors().enumerate() {
        if depth > 0 && is_everybodys(folder) {
            return None;
        }
        let file = folder.join(NAME);
        // Also one that cannot be read, or leads nowhere: it is not passed over in silence.
        if file.symlink_metadata().is_ok() {
            return Some(file);
        }
        if folder.join(".git").symlink_metadata().is_ok() {
            return None;
        }
    }
    None
}

/// Whether everybody may put a file there, as in `/tmp`.
fn is_everybodys(folder: &Path) -> bool {
    folder.metadata().is_ok_and(|meta| meta.mode() & 0o002 != 0)
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
    fn what_everybody_can_put_somewhere_is_not_found() {
        let dir = tempfile::tempdir().unwrap();
        let open = dir.path().join("open");
        fs::create_dir_all(open.join("mine")).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
        fs::write(open.join(NAME), "").unwrap();
        assert_eq!(find(&open.join("mine")), None);
        assert_eq!(find(&open), Some(open.join(NAME)));
    }
}
