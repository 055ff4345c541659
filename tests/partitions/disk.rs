//! Disks whose partition tables are made field by field.

/// Last sector of the disks.
pub(crate) const LAST: u32 = 16_383;

/// A disk of 8 MiB.
pub(crate) struct Disk(pub(crate) Vec<u8>);

impl Disk {
    fn new() -> Self {
        let mut disk = Disk(vec![0; (LAST as usize + 1) * 512]);
        disk.put(510, b"\x55\xaa");
        disk
    }

    /// Primary partitions of these types, first sectors and numbers of sectors.
    pub(crate) fn mbr(entries: &[(u8, u32, u32)]) -> Self {
        let mut disk = Disk::new();
        for (slot, entry) in (0..).zip(entries) {
            disk.entry(0, slot, *entry);
        }
        disk
    }

    /// An extended partition of sectors 2048 to 2299 with logical ones whose records are at 2048, 2100 and 2200.
    pub(crate) fn logical() -> Self {
        let mut disk = Disk::mbr(&[(0x05, 2048, 252)]);
        for (record, sectors, next) in
            [(2048, 51, Some((52, 100))), (2100, 99, Some((152, 100))), (2200, 99, None)]
        {
            disk.put(record as usize * 512 + 510, b"\x55\xaa");
            disk.entry(record, 0, (0x83, 1, sectors));
            if let Some((start, sectors)) = next {
                disk.entry(record, 1, (0x05, start, sectors));
            }
        }
        disk
    }

    /// Both copies of a GPT with two partitions.
    pub(crate) fn gpt() -> Self {
        let mut disk = Disk::gpt_of(128);
        disk.partition(0, 2048, 1000);
        disk.partition(1, 4096, 1000);
        disk.repair();
        disk
    }

    /// The same without a partition, with room for so many, and without check sums.
    pub(crate) fn gpt_of(entries: u32) -> Self {
        let mut disk = Disk::mbr(&[(0xee, 1, LAST)]);
        let (last, array) = (u64::from(LAST), u64::from(entries / 4));
        for (mine, other, at) in [(1, last, 2), (last, 1, last - array)] {
            let header = mine as usize * 512;
            disk.put(header, b"EFI PART\0\0\x01\0\x5c\0\0\0");
            for (at, number) in
                [(24, mine), (32, other), (40, 2 + array), (48, last - array - 1), (72, at)]
            {
                disk.put(header + at, &number.to_le_bytes());
            }
            disk.put(header + 56, &[7; 16]);
            disk.put(header + 80, &entries.to_le_bytes());
            disk.put(header + 84, &128u32.to_le_bytes());
        }
        disk
    }

    pub(crate) fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// An entry of the boot record in sector `record`.
    pub(crate) fn entry(&mut self, record: u64, slot: u64, (kind, first, sectors): (u8, u32, u32)) {
        let at = (record * 512 + 446 + 16 * slot) as usize;
        // Where UEFI has the entry of a GPT begin.
        let chs = [0, if kind == 0xee { 2 } else { 0 }, 0];
        self.put(at + 1, &chs);
        self.put(at + 4, &[kind]);
        self.put(at + 8, &first.to_le_bytes());
        self.put(at + 12, &sectors.to_le_bytes());
    }

    /// Enters a partition into both copies of the GPT.
    pub(crate) fn partition(&mut self, index: u64, first: u64, sectors: u64) {
        for header in [512, LAST as usize * 512] {
            let array = u64::from_le_bytes(self.0[header + 72..header + 80].try_into().unwrap());
            let entry = (array * 512 + index * 128) as usize;
            self.put(entry, &[0xaf; 16]);
            self.put(entry + 16, &(u128::from(index) + 1).to_le_bytes());
            self.put(entry + 32, &first.to_le_bytes());
            self.put(entry + 40, &(first + sectors - 1).to_le_bytes());
        }
    }

    /// Changes both headers of the GPT.
    pub(crate) fn copies(&mut self, change: impl Fn(&mut [u8])) {
        for header in [512, LAST as usize * 512] {
            change(&mut self.0[header..header + 512]);
        }
    }

    /// Makes the check sums of both copies right.
    pub(crate) fn repair(&mut self) {
        for header in [512, LAST as usize * 512] {
            let number = |at: usize| {
                u32::from_le_bytes(self.0[header + at..][..4].try_into().unwrap()) as usize
            };
            let (array, len) = (number(72) * 512, number(80) * number(84));
            let sum = crc32fast::hash(&self.0[array..array + len]);
            self.put(header + 88, &sum.to_le_bytes());
            self.put(header + 16, &[0; 4]);
            let sum = crc32fast::hash(&self.0[header..header + 92]);
            self.put(header + 16, &sum.to_le_bytes());
        }
    }
}
