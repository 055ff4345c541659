//! The fields of an image: where they are and what may be written into them.

use crate::bases::Made;

/// Integer fields of one kind in one image.
pub(crate) struct Field {
    /// The row of the table that it counts in.
    pub(crate) class: &'static str,
    pub(crate) name: &'static str,
    /// Image offsets; of a header field one, of table entries many.
    pub(crate) places: Vec<u64>,
    pub(crate) width: usize,
    pub(crate) big_endian: bool,
    /// What a step to the next cluster, block or grain adds.
    pub(crate) unit: u64,
    /// Values that make it point to where it is itself, or to another table.
    pub(crate) tables: Vec<u64>,
    /// A CRC-32C over the range, stored at the offset in it, that can be made right again.
    pub(crate) crc: Option<(u64, u64)>,
}

/// A named place of a structure: class, name, offset, width.
type Named = (&'static str, u64, usize);

impl Field {
    pub(crate) fn read(&self, image: &[u8], place: u64) -> u64 {
        let bytes = &image[place as usize..place as usize + self.width];
        let step = |sum, byte: &u8| sum << 8 | u64::from(*byte);
        match self.big_endian {
            true => bytes.iter().fold(0, step),
            false => bytes.iter().rev().fold(0, step),
        }
    }

    pub(crate) fn encode(&self, value: u64) -> Vec<u8> {
        let mut bytes = value.to_le_bytes()[..self.width].to_vec();
        if self.big_endian {
            bytes.reverse();
        }
        bytes
    }
}

fn be(image: &[u8], at: u64, width: u64) -> u64 {
    image[at as usize..(at + width) as usize].iter().fold(0, |sum, &b| sum << 8 | u64::from(b))
}

fn le(image: &[u8], at: u64, width: u64) -> u64 {
    image[at as usize..(at + width) as usize].iter().rev().fold(0, |s, &b| s << 8 | u64::from(b))
}

/// A catalogue in the making, for an image of one format.
struct Catalogue {
    fields: Vec<Field>,
    big_endian: bool,
    unit: u64,
    tables: Vec<u64>,
}

impl Catalogue {
    fn new(big_endian: bool, unit: u64, tables: Vec<u64>) -> Self {
        Catalogue { fields: Vec::new(), big_endian, unit, tables }
    }

    /// Fields of a structure at `base`.
    fn structure(
        &mut self,
        class: &'static str,
        base: u64,
        crc: Option<(u64, u64)>,
        named: &[Named],
    ) {
        for &(name, at, width) in named {
            self.places(class, name, vec![base + at], width, crc);
        }
    }

    fn places(
        &mut self,
        class: &'static str,
        name: &'static str,
        places: Vec<u64>,
        width: usize,
        crc: Option<(u64, u64)>,
    ) {
        if !places.is_empty() {
            let (big_endian, unit, tables) = (self.big_endian, self.unit, self.tables.clone());
            self.fields.push(Field { class, name, places, width, big_endian, unit, tables, crc });
        }
    }
}

/// The entries in use of a table, and some that are not.
fn entries(at: u64, count: u64, width: u64, used: impl Fn(u64) -> bool) -> Vec<u64> {
    let mut unused = 0;
    (0..count)
        .map(|index| at + index * width)
        .filter(|&place| {
            let is_used = used(place);
            unused += u32::from(!is_used);
            is_used || unused <= 4
        })
        .collect()
}

pub(crate) fn of(made: &Made, image: &[u8]) -> Vec<Field> {
    match made.format {
        "qcow2" => qcow2(image),
        "vhdx" => vhdx(image),
        "vdi" => vdi(image),
        "vmdk" => vmdk(image),
        other => panic!("{other} has no catalogue"),
    }
}

fn qcow2(image: &[u8]) -> Vec<Field> {
    const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
    const COPIED: u64 = 1 << 63;
    let version = be(image, 4, 4);
    let cluster = 1 << be(image, 20, 4);
    let (l1, l1_count) = (be(image, 40, 8), be(image, 36, 4));
    let refcounts = be(image, 48, 8);
    let snapshots = be(image, 60, 4);
    let snapshot = be(image, 64, 8);
    let extended = version == 3 && be(image, 72, 8) & 16 != 0;
    let entry = if extended { 16 } else { 8 };

    let l2_of = |l1: u64, count: u64| -> Vec<u64> {
        (0..count).map(|i| be(image, l1 + i * 8, 8) & OFFSET).filter(|&table| table != 0).collect()
    };
    let active = l2_of(l1, l1_count);
    let first = active.first().copied().unwrap_or_default();
    let tables = vec![l1, l1 | COPIED, first | COPIED, refcounts, refcounts | COPIED, cluster];
    let mut all = Catalogue::new(true, cluster, tables);
    all.structure(
        "header",
        0,
        None,
        &[
            ("magic", 0, 4),
            ("version", 4, 4),
            ("backing_file_offset", 8, 8),
            ("backing_file_size", 16, 4),
            ("cluster_bits", 20, 4),
            ("size", 24, 8),
            ("crypt_method", 32, 4),
            ("l1_size", 36, 4),
            ("l1_table_offset", 40, 8),
            ("refcount_table_offset", 48, 8),
            ("refcount_table_clusters", 56, 4),
            ("nb_snapshots", 60, 4),
            ("snapshots_offset", 64, 8),
        ],
    );
    if version == 3 {
        all.structure(
            "header",
            72,
            None,
            &[
                ("incompatible_features", 0, 8),
                ("compatible_features", 8, 8),
                ("autoclear_features", 16, 8),
                ("refcount_order", 24, 4),
                ("header_length", 28, 4),
                ("compression_type", 32, 1),
            ],
        );
        let length = be(image, 100, 4);
        all.structure("header", length, None, &[("extension.type", 0, 4), ("extension.len", 4, 4)]);
    }
    let l2_fields = |all: &mut Catalogue, class, tables: &[u64]| {
        let mut standard = Vec::new();
        let mut packed = Vec::new();
        let mut bitmaps = Vec::new();
        for &table in tables {
            for place in entries(table, cluster / entry, entry, |at| be(image, at, 8) != 0) {
                match be(image, place, 8) >> 62 & 1 {
                    0 => standard.push(place),
                    _ => packed.push(place),
                }
                if extended {
                    bitmaps.push(place + 8);
                }
            }
        }
        all.places(class, "entry", standard, 8, None);
        all.places(class, "compressed entry", packed, 8, None);
        all.places(class, "subcluster bitmap", bitmaps, 8, None);
    };
    let used = |at: u64| be(image, at, 8) != 0;
    all.places("L1 table", "entry", entries(l1, l1_count, 8, used), 8, None);
    l2_fields(&mut all, "L2 table", &active);

    all.places("refcount table", "entry", entries(refcounts, cluster / 8, 8, used), 8, None);
    let blocks = (0..cluster / 8).map(|i| be(image, refcounts + i * 8, 8)).filter(|&b| b != 0);
    let counts: Vec<u64> = blocks
        .flat_map(|block| entries(block, cluster / 2, 2, |at| be(image, at, 2) != 0))
        .collect();
    all.places("refcount block", "refcount", counts, 2, None);

    let mut at = snapshot;
    for _ in 0..snapshots {
        all.structure(
            "snapshot table",
            at,
            None,
            &[
                ("l1_table_offset", 0, 8),
                ("l1_size", 8, 4),
                ("id_str_size", 12, 2),
                ("name_size", 14, 2),
                ("date_sec", 16, 4),
                ("vm_state_size", 32, 4),
                ("extra_data_size", 36, 4),
                ("extra.vm_state_size_large", 40, 8),
                ("extra.disk_size", 48, 8),
            ],
        );
        let (l1, count) = (be(image, at, 8), be(image, at + 8, 4));
        all.places("snapshot table", "L1 entry", entries(l1, count, 8, used), 8, None);
        let own: Vec<u64> =
            l2_of(l1, count).into_iter().filter(|table| !active.contains(table)).collect();
        l2_fields(&mut all, "snapshot's L2 table", &own);
        let names = be(image, at + 12, 2) + be(image, at + 14, 2) + be(image, at + 36, 4);
        at += (40 + names).next_multiple_of(8);
    }
    all.fields
}

fn vhdx(image: &[u8]) -> Vec<Field> {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    /// Region GUID of the BAT, its first eight bytes as they are stored.
    const BAT: [u8; 8] = [0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42];
    let (mut bat, mut metadata) = (0, 0);
    let regions = le(image, 192 * KIB + 8, 4);
    for region in 0..regions {
        let at = 192 * KIB + 16 + region * 32;
        let place = le(image, at + 16, 8);
        match image[at as usize..at as usize + 8] == BAT {
            true => bat = place,
            false => metadata = place,
        }
    }
    let tables = vec![bat, bat | 6, metadata, metadata | 6, MIB, MIB | 6, 6];
    let mut all = Catalogue::new(false, MIB, tables);
    all.structure("headers", 0, None, &[("file identifier", 0, 8)]);
    for header in [64 * KIB, 128 * KIB] {
        let named = [
            ("signature", 0, 4),
            ("checksum", 4, 4),
            ("sequence_number", 8, 8),
            ("file_write_guid", 16, 8),
            ("data_write_guid", 32, 8),
            ("log_guid", 48, 8),
            ("log_version", 64, 2),
            ("version", 66, 2),
            ("log_length", 68, 4),
            ("log_offset", 72, 8),
        ];
        all.structure("headers", header, Some((header, 4 * KIB)), &named);
    }
    for table in [192 * KIB, 256 * KIB] {
        let crc = Some((table, 64 * KIB));
        let named = [("signature", 0, 4), ("checksum", 4, 4), ("entry_count", 8, 4)];
        all.structure("region tables", table, crc, &named);
        for region in 0..regions {
            let named =
                [("guid", 0, 8), ("file_offset", 16, 8), ("length", 24, 4), ("required", 28, 4)];
            all.structure("region tables", table + 16 + region * 32, crc, &named);
        }
    }
    all.structure("metadata", metadata, None, &[("signature", 0, 8), ("entry_count", 10, 2)]);
    for item in 0..le(image, metadata + 10, 2) {
        let at = metadata + 32 + item * 32;
        let named = [
            ("item.guid", 0, 8),
            ("item.offset", 16, 4),
            ("item.length", 20, 4),
            ("item.flags", 24, 4),
        ];
        all.structure("metadata", at, None, &named);
        let value = metadata + le(image, at + 16, 4);
        let named: &[Named] = match le(image, at, 4) {
            0xcaa1_6737 => &[("block_size", 0, 4), ("file flags", 4, 4)],
            0x2fa5_4224 => &[("virtual_disk_size", 0, 8)],
            0x8141_bf1d => &[("logical_sector_size", 0, 4)],
            0xcda3_48c7 => &[("physical_sector_size", 0, 4)],
            _ => &[("page_83", 0, 8)],
        };
        all.structure("metadata", value, None, named);
    }
    let places = entries(bat, MIB / 8, 8, |at| le(image, at, 8) != 0);
    all.places("BAT", "entry", places, 8, None);
    all.fields
}

fn vdi(image: &[u8]) -> Vec<Field> {
    let (map, data) = (le(image, 0x154, 4), le(image, 0x158, 4));
    let mut all = Catalogue::new(false, 512, vec![map, data, 0x40]);
    all.structure(
        "header",
        0,
        None,
        &[
            ("signature", 0x40, 4),
            ("version", 0x44, 4),
            ("header_size", 0x48, 4),
            ("image_type", 0x4c, 4),
            ("image_flags", 0x50, 4),
            ("offset_bmap", 0x154, 4),
            ("offset_data", 0x158, 4),
            ("cylinders", 0x15c, 4),
            ("heads", 0x160, 4),
            ("sectors", 0x164, 4),
            ("sector_size", 0x168, 4),
            ("unused1", 0x16c, 4),
            ("disk_size", 0x170, 8),
            ("block_size", 0x178, 4),
            ("block_extra", 0x17c, 4),
            ("blocks_in_image", 0x180, 4),
            ("blocks_allocated", 0x184, 4),
            ("uuid_image", 0x188, 8),
            ("uuid_last_snap", 0x198, 8),
            ("uuid_link", 0x1a8, 8),
            ("uuid_parent", 0x1b8, 8),
        ],
    );
    let blocks = le(image, 0x180, 4);
    all.tables = vec![blocks, blocks - 1, 0xffff_fffe];
    all.unit = 16;
    let places = entries(map, blocks, 4, |at| le(image, at, 4) < 0xffff_fffe);
    all.places("block map", "entry", places, 4, None);
    all.fields
}

fn vmdk(image: &[u8]) -> Vec<Field> {
    const SECTOR: u64 = 512;
    const HEADER: &[Named] = &[
        ("magic", 0, 4),
        ("version", 4, 4),
        ("flags", 8, 4),
        ("capacity", 12, 8),
        ("grain_size", 20, 8),
        ("desc_offset", 28, 8),
        ("desc_size", 36, 8),
        ("num_gtes_per_gt", 44, 4),
        ("rgd_offset", 48, 8),
        ("gd_offset", 56, 8),
        ("grain_offset", 64, 8),
        ("unclean", 72, 1),
        ("check_bytes", 73, 4),
        ("compress_algorithm", 77, 2),
    ];
    let streamed = le(image, 56, 8) == u64::MAX;
    let footer = image.len() as u64 - 2 * SECTOR;
    let given = if streamed { footer } else { 0 };
    let (capacity, grain) = (le(image, given + 12, 8), le(image, given + 20, 8));
    let per_table = le(image, given + 44, 4);
    let directories = capacity.div_ceil(grain * per_table);
    let (redundant, directory) = (le(image, given + 48, 8), le(image, given + 56, 8));
    let first = le(image, directory * SECTOR, 4);

    let mut all = Catalogue::new(false, grain, vec![directory, redundant, first, 1, 2]);
    all.structure("header", 0, None, HEADER);
    let used = |at: u64| le(image, at, 4) != 0;
    let mut maps = |class: &'static str, directory: u64| {
        let at = directory * SECTOR;
        all.places(class, "directory entry", entries(at, directories, 4, used), 4, None);
        let grains: Vec<u64> = (0..directories)
            .map(|index| le(image, at + index * 4, 4) * SECTOR)
            .filter(|&table| table != 0)
            .flat_map(|table| entries(table, per_table, 4, used))
            .collect();
        all.places(class, "table entry", grains.clone(), 4, None);
        grains
    };
    let grains = maps("grain directory and tables", directory);
    if redundant != 0 && !streamed {
        maps("their second copy", redundant);
    }
    if le(image, given + 77, 2) == 1 {
        let grains: Vec<u64> =
            grains.iter().map(|&at| le(image, at, 4) * SECTOR).filter(|&at| at != 0).collect();
        all.places("markers", "grain.lba", grains.clone(), 8, None);
        all.places("markers", "grain.size", grains.iter().map(|at| at + 8).collect(), 4, None);
    }
    if streamed {
        all.structure("footer", footer, None, HEADER);
        let named = [("marker.sectors", 0, 8), ("marker.size", 8, 4), ("marker.type", 12, 4)];
        let tables = [directory - 1, first - 1].map(|sector| sector * SECTOR);
        for at in [footer - SECTOR, footer + SECTOR].into_iter().chain(tables) {
            all.structure("markers", at, None, &named);
        }
    }
    all.fields
}
