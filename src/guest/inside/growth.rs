//! Whether the root grows to the disk of a Droplet, which is larger than the image's, and whether there is room until then.

use super::super::fs::Trouble;
use super::super::tree::Tree;
use super::super::volumes::Volume;
use super::Case;
use crate::bytes::human_size;
use crate::facts::Code;

/// Bytes that a first boot needs for keys, logs and what the provisioner keeps.
const LEAST_FREE: u64 = 64 << 20;

/// What makes the partition of the root larger at boot.
const GROWERS: [&str; 10] = [
    "/usr/bin/growpart",
    "/usr/sbin/growpart",
    "/usr/share/initramfs-tools/hooks/growroot",
    "/usr/lib/dracut/modules.d/50growroot",
    // NixOS
    "/etc/systemd/system/growpart.service",
    // Flatcar
    "/usr/lib/flatcar/extend-filesystems",
    "/usr/lib/coreos/extend-filesystems",
    // Fedora CoreOS
    "/usr/libexec/coreos-growpart",
    "/usr/libexec/ignition-ostree-growfs",
    // FreeBSD
    "/etc/rc.d/growfs",
];

/// Looks at the room of the root, and at what makes it larger.
///
/// # Errors
/// If the places of that cannot be read.
pub(super) fn judge(case: &mut Case<'_, '_>) -> Result<(), Trouble> {
    let Some(root) = case.inside.root else { return Ok(()) };
    let space = match case.tree.system(root) {
        Some(system) => system.space()?,
        None => None,
    };
    if let Some(space) = space {
        if space.free < LEAST_FREE {
            let said = format!(
                "{} are free on the root, of {}.",
                human_size(space.free),
                human_size(space.bytes)
            );
            case.book.found(Code::RootFull, said);
        } else if let (Some(0), Some(all)) = (space.free_inodes, space.inodes) {
            let said = format!("No inode is free on the root, of {all}: no file can be made.");
            case.book.found(Code::RootFull, said);
        }
    }
    if let Some(why) = in_the_way(case.tree.volumes(), root) {
        case.book.found(Code::RootNotGrown, why);
    } else if !case.known.provisioner.grows && !grows(&mut case.tree, root)? {
        let said = "Nothing was found that makes the partition of the root larger: neither growpart nor a definition for systemd-repart.";
        case.book.found(Code::RootNotGrown, said);
    }
    Ok(())
}

/// Why the root cannot simply be made larger, in a sentence.
fn in_the_way(volumes: &[Volume], root: usize) -> Option<String> {
    let volume = volumes.get(root)?;
    if volume.logical.is_some() {
        return Some(format!(
            "The root is the logical volume {}: partition, physical and logical volume would have to be made larger one after the other.",
            volume.name()
        ));
    }
    let behind = volumes
        .iter()
        .filter(|other| other.logical.is_none() && other.start > volume.start)
        .min_by_key(|other| other.start)?;
    Some(format!("The root is {}, and {} lies behind it.", volume.name(), behind.name()))
}

/// Whether something makes the root's partition larger.
fn grows(tree: &mut Tree<'_>, root: usize) -> Result<bool, Trouble> {
    if tree.volumes().get(root).is_some_and(|volume| volume.partition.is_none()) {
        // Without a partition the file system alone grows.
        return Ok(true);
    }
    for path in GROWERS {
        if tree.exists(path)? {
            return Ok(true);
        }
    }
    for directory in ["/etc/repart.d", "/usr/lib/repart.d", "/usr/local/lib/repart.d"] {
        if !tree.names(directory, ".conf")?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::super::super::fs::Space;
    use super::super::super::fs::memory::Memory;
    use super::super::testing::{codes, judged};
    use super::*;

    fn found(root: usize, systems: Vec<Memory>) -> Vec<&'static str> {
        let (found, _) = judged(systems, |case| {
            case.inside.root = Some(root);
            judge(case)
        });
        codes(&found)
    }

    fn room(free: u64, free_inodes: Option<u64>) -> Memory {
        let mut memory = Memory::new().program("/usr/bin/growpart");
        memory.space = Some(Space { bytes: 2 << 30, free, inodes: Some(1000), free_inodes });
        memory
    }

    #[test]
    fn room_is_needed() {
        assert_eq!(found(0, vec![room(1 << 30, Some(10))]), [""; 0]);
        assert_eq!(found(0, vec![room(LEAST_FREE, None)]), [""; 0]);
        assert_eq!(found(0, vec![room(LEAST_FREE - 1, Some(10))]), ["root-full"]);
        assert_eq!(found(0, vec![room(1 << 30, Some(0))]), ["root-full"]);
    }

    #[test]
    fn the_root_grows_if_it_is_last_and_something_does_it() {
        let plain = || Memory::new().with("/etc/fstab", "");
        assert_eq!(found(0, vec![plain()]), ["root-not-grown"]);
        assert_eq!(found(0, vec![room(1 << 30, None), plain()]), ["root-not-grown"]);
        let tree = vec![plain().with("/etc/repart.d/50-root.conf", "[Partition]\nType=root\n")];
        assert_eq!(found(0, tree), [""; 0]);
        let (list, _) = judged(vec![plain()], |case| {
            case.inside.root = Some(0);
            case.known.provisioner.grows = true;
            judge(case)
        });
        assert!(list.is_empty());
    }
}
