use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::bytes::Hostile;
#[cfg(feature = "net")]
use crate::facts::Code;
use crate::inspect::{Event, Listener, Options, Report};
use crate::source::{FileIdentity, NameDigest, file_name, is_url};

/// A file that changed so shortly before its check may change again without another time stamp: kernels count in
/// steps of some milliseconds, and some file systems in seconds.
const SETTLED: Duration = Duration::from_secs(2);

/// What was checked: what tells that it has not changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Subject {
    /// A file.
    File {
        /// Its name, escaped; a finding may be about it.
        name: String,
        /// What tells the name from others that are shown alike.
        name_sha256: NameDigest,
        /// What the file system says of it.
        identity: FileIdentity,
    },
    /// An object behind a URL.
    Url {
        /// The address that was asked for, and those on the way to the answer.
        way: Vec<String>,
        /// Bytes.
        length: u64,
        /// The strong entity tag, with its quotes.
        etag: String,
        /// What the importer would stumble over on the way.
        stumbles: Vec<(String, String)>,
    },
}

const NO_STDIN: &str = "nothing identifies standard input";
const NO_QUERY: &str = "a URL with a query or a password may lead to something else each time";
const NO_PIPE: &str = "nothing identifies what is in a device or a pipe";
const NO_NANOSECONDS: &str = "its time stamp has whole seconds, as an image of a file system or an archive has them, so it does not tell one \
                              file from another; change a byte of it or copy it";
const LOOP: &str =
    "it is on a loop device, whose number is given to the next image that is mounted";

/// Why nothing would tell that it changed.
#[derive(Debug)]
pub(super) enum Unknown {
    /// It cannot be asked, and probably not be read.
    Now(String),
    /// It is of such a kind.
    Ever(String),
}

impl Unknown {
    pub(super) fn why(self) -> String {
        match self {
            Unknown::Now(why) | Unknown::Ever(why) => why,
        }
    }
}

impl Subject {
    /// What is there now.
    ///
    /// # Errors
    /// Says why nothing would tell that it changed.
    pub(super) fn look(
        argument: &OsStr,
        options: &Options,
        listener: &dyn Listener,
    ) -> Result<Subject, Unknown> {
        Subject::is_identifiable(argument).map_err(Unknown::Ever)?;
        match is_url(argument) {
            true => Subject::url(argument, options, listener),
            false => Subject::file(argument, false).map_err(Unknown::Now),
        }
    }

    /// Whether anything could tell that it changed, as far as that is known without reading or asking.
    ///
    /// # Errors
    /// Says why nothing would.
    pub(super) fn is_identifiable(argument: &OsStr) -> Result<(), String> {
        if argument == "-" {
            return Err(NO_STDIN.into());
        }
        if is_url(argument) {
            return if is_fixed(argument) { Ok(()) } else { Err(NO_QUERY.into()) };
        }
        match Path::new(argument).metadata() {
            Ok(meta) if !meta.is_file() => Err(NO_PIPE.into()),
            Ok(_) => File::open(argument).map_or(Ok(()), |file| tells_changes(&file)),
            Err(_) => Ok(()),
        }
    }

    /// The same after all that was written to it has reached the file system, so that no page in memory can change
    /// any more without a new time stamp. Whoever is patient, and hears of it, has it when its time stamp has settled.
    pub(super) fn settled(
        self,
        argument: &OsStr,
        patient: Option<&dyn Listener>,
    ) -> Result<Subject, String> {
        let Subject::File { name, .. } = &self else { return Ok(self) };
        let now = Subject::file(argument, true)?;
        let (Some(listener), Some(wait)) = (patient, now.unsettled()) else { return Ok(now) };
        listener.event(Event::Settling { source: name, wait });
        std::thread::sleep(wait);
        Subject::file(argument, true)
    }

    /// How long it takes until its time stamp is settled; not of one that is ahead of the clock.
    fn unsettled(&self) -> Option<Duration> {
        let Subject::File { identity: FileIdentity { changed: (seconds, nanos), .. }, .. } = self
        else {
            return None;
        };
        let since = Duration::new(u64::try_from(*seconds).ok()?, u32::try_from(*nanos).ok()?);
        let settled = UNIX_EPOCH.checked_add(since)?.checked_add(SETTLED)?;
        let wait = settled.duration_since(SystemTime::now()).ok()?;
        // It has to be older, and not as old.
        (wait <= SETTLED).then_some(wait + Duration::from_millis(1))
    }

    fn file(argument: &OsStr, sync: bool) -> Result<Subject, String> {
        let fail = |e: std::io::Error| e.to_string();
        let path = Path::new(argument);
        let name = file_name(argument).unwrap_or_default();
        // Opening a pipe must not wait for its writer.
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        let file = File::options().read(true).custom_flags(nonblocking).open(path).map_err(fail)?;
        if !file.metadata().map_err(fail)?.is_file() {
            return Err(NO_PIPE.into());
        }
        tells_changes(&file)?;
        if sync {
            file.sync_data().map_err(fail)?;
        }
        let identity = FileIdentity::of(&file).map_err(fail)?;
        if identity.changed.1 == 0 {
            return Err(NO_NANOSECONDS.into());
        }
        let (name, name_sha256) = (Hostile::from_os(&name).to_string(), NameDigest::of(&name));
        Ok(Subject::File { name, name_sha256, identity })
    }

    #[cfg(feature = "net")]
    fn url(
        argument: &OsStr,
        options: &Options,
        listener: &dyn Listener,
    ) -> Result<Subject, Unknown> {
        let (identity, stumbles) = crate::inspect::glance(argument, options, listener)
            .map_err(|e| Unknown::Now(e.to_string()))?;
        Subject::of_url(&identity, stumbles).map_err(Unknown::Ever)
    }

    #[cfg(not(feature = "net"))]
    fn url(_: &OsStr, _: &Options, _: &dyn Listener) -> Result<Subject, Unknown> {
        Err(Unknown::Now("this tidegate was built without URLs".into()))
    }

    #[cfg(feature = "net")]
    fn of_url(
        identity: &crate::inspect::Identity,
        stumbles: Vec<(Code, String)>,
    ) -> Result<Subject, String> {
        // One that was cut to be shown is not known in full.
        let strong = |etag: &&String| etag.starts_with('"') && !etag.contains('…');
        let etag = identity.etag.as_ref().filter(strong);
        let (Some(etag), Some(length)) = (etag, identity.length) else {
            return Err("the server sends no strong ETag or no length".into());
        };
        let way = identity.redirects.iter().chain([&identity.url]).cloned().collect();
        let mut stumbles: Vec<(String, String)> =
            stumbles.into_iter().map(|(code, said)| (code.as_str().to_owned(), said)).collect();
        stumbles.sort_unstable();
        Ok(Subject::Url { way, length, etag: etag.clone(), stumbles })
    }

    /// Makes sure that a check read this very thing, and that it had not just been changed.
    pub(super) fn confirmed(&self, report: &Report, began: SystemTime) -> Result<(), String> {
        match self {
            Subject::File { identity, .. } => {
                if report.opened.as_ref() != Some(identity) {
                    return Err("another file was read".into());
                }
                let limit = began.checked_sub(SETTLED).unwrap_or(UNIX_EPOCH);
                // Whatever changes a file changes this one of its time stamps, which nobody can set.
                match before(identity.changed, limit) {
                    true => Ok(()),
                    false => Err("it changed less than 2 s before the check".into()),
                }
            }
            #[cfg(feature = "net")]
            Subject::Url { .. } => {
                let identity = report.identity.as_ref().ok_or("nothing identifies it")?;
                match Subject::of_url(identity, stumbles(report))? == *self {
                    true => Ok(()),
                    false => Err("the server answered otherwise when it was read".into()),
                }
            }
            #[cfg(not(feature = "net"))]
            Subject::Url { .. } => Err("this tidegate was built without URLs".into()),
        }
    }
}

fn tells_changes(file: &File) -> Result<(), String> {
    match is_local(file) {
        true if is_of_loop(file) => Err(LOOP.into()),
        true => Ok(()),
        false => Err("the file system is not one of those that tell every change, so its bytes have to be read again each time".into()),
    }
}

/// Whether the file is on a loop device, by the number of block devices (Documentation/admin-guide/devices.txt).
fn is_of_loop(file: &File) -> bool {
    const LOOP: u32 = 7;
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|meta| rustix::fs::major(meta.dev()) == LOOP)
}

/// Whether a URL leads to the same thing each time, as far as it tells by itself. What is none is not for here to tell.
#[cfg(feature = "net")]
fn is_fixed(argument: &OsStr) -> bool {
    crate::source::address(argument)
        .map_or(true, |address| !address.has_credentials() && !address.has_query())
}

#[cfg(not(feature = "net"))]
fn is_fixed(_: &OsStr) -> bool {
    true
}

/// What a report says of the way to a URL.
#[cfg(feature = "net")]
fn stumbles(report: &Report) -> Vec<(Code, String)> {
    let about = report.findings.iter().filter(|finding| finding.code.as_str().starts_with("url-"));
    about.map(|finding| (finding.code, finding.message.clone())).collect()
}

/// Whether a time stamp is older.
fn before((seconds, nanos): (i64, i64), limit: SystemTime) -> bool {
    let limit = limit.duration_since(UNIX_EPOCH).unwrap_or_default();
    (seconds, nanos) < (limit.as_secs() as i64, i64::from(limit.subsec_nanos()))
}

/// Whether the file is on a file system of this machine that notes every change with nanoseconds. Network file
/// systems keep old attributes for a while, and those in user space say what they like (magic numbers: statfs(2)). tmpfs
/// notes only the first change through a mapping, since it never writes pages back; nor does an overlay whose upper layer
/// is on a tmpfs, and from inside a container nothing shows what is under an overlay.
#[cfg(target_os = "linux")]
fn is_local(file: &File) -> bool {
    const EXT: i64 = 0xef53;
    const XFS: i64 = 0x5846_5342;
    const BTRFS: i64 = 0x9123_683e;
    const F2FS: i64 = 0xf2f5_2010;
    const BCACHEFS: i64 = 0xca45_1a4e;
    const ZFS: i64 = 0x2fc1_2fc1;
    let known = [EXT, XFS, BTRFS, F2FS, BCACHEFS, ZFS];
    // The kernel's field is narrower on some machines, and then signed.
    #[allow(clippy::unnecessary_cast)]
    let magic = |stat: rustix::fs::StatFs| stat.f_type as i64 & 0xffff_ffff;
    rustix::fs::fstatfs(file).is_ok_and(|stat| known.contains(&magic(stat)))
}

#[cfg(not(target_os = "linux"))]
fn is_local(_: &File) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_held_to_the_nanosecond() {
        let limit = UNIX_EPOCH + Duration::new(10, 500);
        assert!(before((10, 499), limit));
        assert!(!before((10, 500), limit));
        assert!(!before((11, 0), limit));
        assert!(before((-1, 0), limit));
    }

    #[test]
    fn what_has_no_identity_has_no_receipt() {
        let look = |argument: &str| Subject::file(argument.as_ref(), true);
        for argument in ["/dev/null", "/proc/version", "/", "/nonexistent"] {
            assert!(look(argument).is_err(), "{argument}");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, "x").unwrap();
        assert!(look(path.to_str().unwrap()).is_ok());
    }
}
