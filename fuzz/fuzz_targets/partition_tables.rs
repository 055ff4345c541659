//! The partitions that a check lists against those that libblkid lists: where they differ, the check warns.
#![no_main]

use std::ffi::{c_int, c_longlong, c_void};
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use tidegate::inspect::bodies::{Listed, partition_tables, partition_tables_against};

type Probe = *mut c_void;
type Partlist = *mut c_void;
type Partition = *mut c_void;

#[link(name = "blkid")]
unsafe extern "C" {
    fn blkid_new_probe() -> Probe;
    fn blkid_free_probe(probe: Probe);
    fn blkid_probe_set_device(probe: Probe, file: c_int, at: c_longlong, size: c_longlong) -> c_int;
    fn blkid_probe_enable_partitions(probe: Probe, enable: c_int) -> c_int;
    fn blkid_probe_get_partitions(probe: Probe) -> Partlist;
    fn blkid_partlist_numof_partitions(list: Partlist) -> c_int;
    fn blkid_partlist_get_partition(list: Partlist, index: c_int) -> Partition;
    fn blkid_partition_get_partno(partition: Partition) -> c_int;
    fn blkid_partition_get_start(partition: Partition) -> c_longlong;
    fn blkid_partition_get_size(partition: Partition) -> c_longlong;
}

/// What libblkid lists.
fn libblkid(path: &Path) -> Option<Vec<Listed>> {
    let file = File::open(path).ok()?;
    // SAFETY: the probe is freed after its last use, and the file is open until then. A list and its partitions
    // belong to their probe.
    unsafe {
        let probe = blkid_new_probe();
        if probe.is_null() || blkid_probe_set_device(probe, file.as_raw_fd(), 0, 0) != 0 {
            return None;
        }
        blkid_probe_enable_partitions(probe, 1);
        let list = blkid_probe_get_partitions(probe);
        let count = if list.is_null() { 0 } else { blkid_partlist_numof_partitions(list) };
        let listed = (0..count).map(|index| {
            let partition = blkid_partlist_get_partition(list, index);
            let bytes = |sectors: c_longlong| (sectors as u64).wrapping_mul(512);
            (
                blkid_partition_get_partno(partition) as u32,
                bytes(blkid_partition_get_start(partition)),
                bytes(blkid_partition_get_size(partition)),
            )
        });
        let listed = listed.collect();
        blkid_free_probe(probe);
        Some(listed)
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    partition_tables(input);
    let Some(compared) = partition_tables_against(input, libblkid) else { return };
    assert!(!compared.is_silent(), "{compared:?}");
});
