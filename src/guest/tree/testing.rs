//! Trees for the tests of whoever looks at one.

use super::super::fs::memory::Memory;
use super::super::volumes::Holds;
use super::*;
use crate::formats::{Disk, Got, Halt, Place, Run};

/// A disk of zeros, with these bytes at these offsets.
struct Sectors(Vec<(u64, Vec<u8>)>);

impl Disk for Sectors {
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> Result<Got, Halt> {
        buf.fill(0);
        for (start, bytes) in &self.0 {
            let (from, to) =
                (at.max(*start), (at + buf.len() as u64).min(start + bytes.len() as u64));
            if from < to {
                let there = &bytes[(from - start) as usize..(to - start) as usize];
                buf[(from - at) as usize..(to - at) as usize].copy_from_slice(there);
            }
        }
        Ok(Got::Bytes(buf.len()))
    }

    fn run(&mut self, _: u64) -> Result<Run, Halt> {
        Ok(Run { len: 1, place: Place::Zeros })
    }

    fn size(&mut self) -> Result<Option<u64>, Halt> {
        Ok(Some(1 << 30))
    }
}

/// A volume of ext4: the partition of this number.
pub(in crate::guest) fn volume(number: u32) -> Volume {
    Volume {
        partition: Some(number),
        logical: None,
        start: u64::from(number) << 20,
        size: 1 << 20,
        holds: Holds::Ext4,
        uuid: Some(format!("00000000-0000-0000-0000-00000000000{number}")),
        label: None,
        partuuid: Some(format!("12345678-0{number}")),
        partlabel: None,
        kind: Some("83".to_owned()),
    }
}

/// A tree of volumes that hold these, of which the first is the root.
pub(in crate::guest) fn tree(systems: Vec<Memory>) -> Tree<'static> {
    let volumes = (1..).zip(systems).map(|(number, system)| (volume(number), Some(system)));
    tree_on(Vec::new(), volumes.collect())
}

/// The same of these volumes, on a disk with these bytes at these offsets. The first volume that is opened is the root.
pub(in crate::guest) fn tree_on(
    sectors: Vec<(u64, Vec<u8>)>,
    volumes: Vec<(Volume, Option<Memory>)>,
) -> Tree<'static> {
    let disk = Area::whole(Box::leak(Box::new(Sectors(sectors))), 1 << 30);
    let (mut listed, mut opened) = (Vec::new(), Vec::new());
    for (number, (volume, system)) in volumes.into_iter().enumerate() {
        listed.push(volume);
        opened
            .extend(system.map(|system| Opened { volume: number, system: Box::new(system) as _ }));
    }
    let root = opened.first().map(|opened: &Opened<'_>| opened.volume);
    let mut tree = Tree::new(disk, listed, opened);
    assert!(tree.mount_root(root.unwrap_or(0), None) || root.is_none());
    tree
}
