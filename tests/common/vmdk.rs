//! VMDK images as VMware writes them and no program here does.

use std::io::Write as _;

/// The stream that VMware writes of a disk of whole grains: grains, in the order of the disk or the reverse, table,
/// directory, footer.
pub(crate) fn stream(disk: &[u8], reversed: bool) -> Vec<u8> {
    const GRAIN: usize = 64 << 10;
    const SECTOR: usize = 512;
    let size = (disk.len() / SECTOR) as u64;
    assert!(disk.len().is_multiple_of(GRAIN) && disk.len() / GRAIN <= 512);
    let header = |directory: u64| {
        let mut header = [&b"KDMV"[..], &3u32.to_le_bytes(), &0x3_0001u32.to_le_bytes()].concat();
        header.extend([size, (GRAIN / SECTOR) as u64, 1, 20].map(u64::to_le_bytes).concat());
        header.extend(512u32.to_le_bytes());
        header.extend([0, directory, 128].map(u64::to_le_bytes).concat());
        header.extend(b"\0\n \r\n\x01\0");
        header.resize(SECTOR, 0);
        header
    };
    let marker = |sectors: u64, kind: u32| {
        let mut marker = [&sectors.to_le_bytes()[..], &[0; 4], &kind.to_le_bytes()].concat();
        marker.resize(SECTOR, 0);
        marker
    };
    let mut bytes = header(u64::MAX);
    write!(
        bytes,
        "# Disk DescriptorFile\nversion=1\nCID=7b2c41e5\nparentCID=ffffffff\ncreateType=\"streamOptimized\"\n\n\
         RW {size} SPARSE \"disk.vmdk\"\n\n#DDB\nddb.adapterType = \"lsilogic\"\n"
    )
    .unwrap();
    bytes.resize(128 * SECTOR, 0);
    let mut used: Vec<(usize, &[u8])> = disk.chunks(GRAIN).enumerate().collect();
    used.retain(|(_, grain)| grain.iter().any(|byte| *byte != 0));
    if reversed {
        used.reverse();
    }
    let mut table = vec![0u32; 512];
    for (n, grain) in used {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(grain).unwrap();
        let data = zlib.finish().unwrap();
        table[n] = (bytes.len() / SECTOR) as u32;
        bytes.extend(((n * GRAIN / SECTOR) as u64).to_le_bytes());
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(SECTOR), 0);
    }
    bytes.extend(marker(4, 1));
    let at = bytes.len() / SECTOR;
    bytes.extend(table.iter().flat_map(|sector| sector.to_le_bytes()));
    bytes.extend(marker(1, 2));
    let directory = (bytes.len() / SECTOR) as u64;
    bytes.extend((at as u32).to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(SECTOR), 0);
    bytes.extend(marker(1, 3));
    bytes.extend(header(directory));
    bytes.extend(marker(0, 0));
    bytes
}
