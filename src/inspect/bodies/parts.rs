//! A VMDK whose disk lies in several files: its descriptor, and its parts.

use super::containers::{both_ways, walked_over};
use crate::facts::Notebook;
use crate::formats::{self, MemoryImage};

/// The image as a descriptor in a file of its own: what it names lies beside it, once, and adds up to the disk.
pub(super) fn descriptor(image: &MemoryImage<'_>) {
    let notebook = Notebook::new(&|_| false, 1 << 40);
    let mut view = image.clone();
    let parts = formats::parts(&mut view, &notebook).expect("memory can be read");
    let Some(parts) = parts else {
        assert!(!notebook.close().is_empty(), "nothing says why");
        return;
    };
    let mut size = 0u64;
    let mut names = std::collections::BTreeSet::new();
    for part in &parts.parts {
        size += part.bytes();
        let Some(name) = part.content.name() else { continue };
        let path = std::path::Path::new(name);
        assert_eq!(path.file_name(), Some(path.as_os_str()), "{name:?} leads to another folder");
        assert!(!name.contains(['\\', '\0']) && names.insert(name), "{name:?}");
    }
    assert_eq!(size, parts.virtual_size);
    assert!(size > 0 && parts.parts.len() <= 256);
}

/// The image as a sparse extent, a part of a disk: at any offset as in a stream.
pub(super) fn extent(image: &MemoryImage<'_>) {
    let mut capacity = [0; 8];
    image.clone().read(12, &mut capacity);
    let sectors = u64::from_le_bytes(capacity);
    both_ways(image, |view, notebook| {
        let examined = formats::examine_part(view, notebook, sectors, true)?;
        walked_over(examined, view, notebook)
    });
}
