//! An image started on this machine, in QEMU, looking to its guest like a Droplet: does it boot, get its address, is it
//! provisioned, does it let its owner in?
//!
//! [`boot`] makes the machine, watches it and talks to it with OpenSSH's client, and says what came of each [`Stage`](crate::inspect::booted::Stage).
//! Nothing is written to the image: what the guest writes goes to an overlay that is deleted. The guest is on a network with
//! this program alone, which is its DHCP server and metadata service.
//!
//! The room knows the machine and the guest as its owner sees it. It knows nothing of how the image was judged.

mod console;
mod folder;
mod image;
mod iso;
mod launch;
mod machine;
mod metadata;
mod network;
mod overlay;
mod qmp;
mod run;
mod screen;
mod ssh;
mod watch;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use self::folder::Folder;
pub use self::image::{Image, judged};
pub(crate) use self::launch::become_another;
pub use self::machine::{Accelerator, missing};
use self::machine::{Base, Process, Size};
use crate::facts::DiskFormat;
use crate::inspect::booted::{Booted, Reached};

/// What is to be booted, and how.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct Order {
    /// A file of this machine, not compressed.
    pub image: PathBuf,
    /// What it is.
    pub format: DiskFormat,
    /// What runs the processor.
    pub accelerator: Accelerator,
    /// Bytes of the disk that the guest sees; not fewer than the image's.
    pub disk_size: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// Processors.
    pub cpus: u16,
    /// How long all of it may take.
    pub timeout: Duration,
    /// The users that may be let in, the likeliest first.
    pub users: Vec<String>,
    /// A second network card, by which the guest reaches what this machine does.
    pub network: bool,
    /// A command for the guest's shell.
    pub command: Option<String>,
    /// The machine runs on after the login instead of being shut down, and the folder stays. Gets the command to log in with.
    pub keep: Option<fn(&str)>,
}

impl Order {
    fn base(&self) -> Base {
        Base { path: self.image.clone(), format: self.format }
    }

    fn size(&self) -> Size {
        Size { disk: self.disk_size, memory: self.memory, cpus: self.cpus }
    }
}

/// Why nothing is known of the image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// This machine cannot do it.
    #[error("{0}")]
    Here(String),
}

/// What a boot has running and lying about, so that it can be ended from another thread.
#[derive(Clone, Default)]
pub struct Handle(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    folder: Option<Folder>,
    process: Option<Process>,
}

impl Handle {
    /// Kills the machine and removes all files.
    pub fn end(&self) {
        let held = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(process) = held.process {
            process.kill();
        }
        if let Some(folder) = held.folder {
            folder.remove();
        }
    }

    /// Has it remove this folder, too.
    pub fn holds(&self, folder: &Folder) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).folder = Some(folder.clone());
    }

    fn runs(&self, process: &Process) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).process = Some(process.clone());
    }
}

/// Boots an image. `tell` hears of each stage; `handle` can end it before its end, and nothing is left afterwards. The calling
/// thread has to last as long: QEMU is killed when it ends.
///
/// # Errors
/// If nothing can be said of the image, because of this machine.
pub fn boot(
    order: &Order,
    folder: &Folder,
    handle: &Handle,
    tell: &dyn Fn(&Reached),
) -> Result<Booted, Error> {
    handle.holds(folder);
    let booted = run::boot(order, folder, handle, tell);
    handle.end();
    booted
}
