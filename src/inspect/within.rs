//! What is inside the disk of an image that is opened for it, and its files.

use super::Opened;
use super::report::Error;
use crate::facts::{Anomaly, Code, Notebook};
use crate::formats::{Disk, Halt};
use crate::guest::fs::{Trouble, Why};
use crate::guest::inside::{self, Inside};
use crate::guest::{self, Files, PartitionTable};

/// Nothing settles the matter for whoever looks.
fn never(_: Code) -> bool {
    false
}

fn table_of(disk: &mut dyn Disk) -> Result<PartitionTable, Halt> {
    let notebook = Notebook::new(&never, u64::MAX);
    guest::examine(disk, Code::DiskNoPartitionTable, &notebook)
}

/// What is inside the disk, and what is found there; nothing if no volume holds anything that is known.
///
/// # Errors
/// If the image cannot be read.
pub fn within(opened: &mut Opened) -> Result<(Inside, Vec<Anomaly>), Error> {
    let size = opened.virtual_size();
    let notebook = Notebook::new(&never, u64::MAX);
    let inside = opened.with_disk(|disk| {
        let table = table_of(disk)?;
        inside::examine((disk, size), false, &table, &notebook)
    })?;
    Ok((inside.unwrap_or_default(), notebook.close()))
}

/// Does something with the files of the guest.
///
/// # Errors
/// If the image, or the volume that they are on, cannot be read.
pub fn files<T>(
    opened: &mut Opened,
    work: impl FnOnce(&mut Files<'_>) -> Result<T, Trouble>,
) -> Result<T, Error> {
    let size = opened.virtual_size();
    let done = opened.with_disk(|disk| {
        let table = table_of(disk)?;
        match Files::open(disk, size, &table).and_then(|mut files| work(&mut files)) {
            Ok(done) => Ok(Ok(done)),
            Err(Trouble::Halt(halt)) => Err(halt),
            Err(Trouble::Left(why)) => Ok(Err(why)),
        }
    })?;
    done.map_err(|why| Error { kind: "unreadable".into(), message: unread(&why) })
}

fn unread(why: &Why) -> String {
    format!("the volume cannot be read: {why}")
}
