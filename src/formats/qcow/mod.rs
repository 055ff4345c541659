//! qcow of version 1, as QEMU reads it (`block/qcow.c`).
//!
//! DigitalOcean does not take it: it is read only to take the disk out of it. A disk that is encrypted, or that needs another
//! image, is refused by its header.

mod disk;
mod examine;
mod header;
mod walk;

pub(super) use examine::examine;
