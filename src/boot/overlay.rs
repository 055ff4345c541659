//! An empty qcow2 of version 3 (QEMU, docs/interop/qcow2.txt) that goes over a disk: what the guest writes goes there. It
//! names no file: QEMU's command line gives the disk below it.

/// Bytes of a cluster, 64 KiB as QEMU has it by default.
const CLUSTER: u64 = 1 << 16;
/// Bytes of the disk that one table of the second level is for.
const PER_TABLE: u64 = CLUSTER / 8 * CLUSTER;

/// The bytes of one of this size, to be followed by zeros up to [`LENGTH`] bytes; `None` if the disk is too large for it.
pub(super) fn header(disk: u64) -> Option<Vec<u8>> {
    let tables = u32::try_from(disk.div_ceil(PER_TABLE)).ok()?;
    if u64::from(tables) * 8 > CLUSTER {
        return None;
    }
    let mut bytes = Vec::new();
    let word = |bytes: &mut Vec<u8>, word: u32| bytes.extend(word.to_be_bytes());
    let long = |bytes: &mut Vec<u8>, long: u64| bytes.extend(long.to_be_bytes());
    bytes.extend(b"QFI\xfb");
    word(&mut bytes, 3);
    // No name of what is below, of no length.
    long(&mut bytes, 0);
    word(&mut bytes, 0);
    word(&mut bytes, CLUSTER.trailing_zeros());
    long(&mut bytes, disk);
    // Not encrypted; the table of the first level is the fourth cluster.
    word(&mut bytes, 0);
    word(&mut bytes, tables);
    long(&mut bytes, 3 * CLUSTER);
    // The table of refcounts is the second cluster, and takes one; no snapshots.
    long(&mut bytes, CLUSTER);
    word(&mut bytes, 1);
    word(&mut bytes, 0);
    long(&mut bytes, 0);
    // No features; refcounts of 16 bits; the length of this header.
    bytes.extend([0; 24]);
    word(&mut bytes, 4);
    word(&mut bytes, 104);
    bytes.resize(CLUSTER as usize, 0);
    // The third cluster has the refcounts: one for each of the four clusters.
    long(&mut bytes, 2 * CLUSTER);
    bytes.resize(2 * CLUSTER as usize, 0);
    bytes.extend([0, 1, 0, 1, 0, 1, 0, 1]);
    Some(bytes)
}

/// Bytes of an empty one.
pub(super) const LENGTH: u64 = 4 * CLUSTER;

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn qemu_finds_it_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("overlay");
        for size in [512, 1 << 20, 25 << 30, 99_999_999_488, 1 << 42] {
            std::fs::write(&path, header(size).unwrap()).unwrap();
            std::fs::File::options().write(true).open(&path).unwrap().set_len(LENGTH).unwrap();
            let run = |args: &[&str]| Command::new("qemu-img").args(args).arg(&path).output();
            let Ok(check) = run(&["check", "-f", "qcow2"]) else {
                assert!(std::env::var_os("CI").is_none(), "qemu-img is missing");
                return;
            };
            assert!(check.status.success(), "{size}: {check:?}");
            let info = run(&["info", "--output=json", "-f", "qcow2"]).unwrap();
            let info: serde_json::Value = serde_json::from_slice(&info.stdout).unwrap();
            assert_eq!(info["virtual-size"], size);
            assert_eq!(info["backing-filename"], serde_json::Value::Null);
        }
        assert_eq!(header((1 << 42) + 1), None);
    }
}
