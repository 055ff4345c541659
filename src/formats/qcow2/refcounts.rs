//! The refcounts of a block.

/// The refcounts of a block that are not zero, with their index. They have 2^order bits; those of less
/// than a byte begin at the least significant bit (QEMU docs/interop/qcow2.rst, refcount blocks).
pub(super) fn refcounts(bytes: &[u8], order: u32) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    let mut note = |index: u64, value: u64| {
        if value != 0 {
            found.push((index, value));
        }
    };
    match order {
        0..=2 => {
            let (bits, per_byte) = (1u32 << order, 8u64 >> order);
            for (index, &byte) in (0u64..).zip(bytes).filter(|(_, byte)| **byte != 0) {
                for part in 0..per_byte {
                    let value = u32::from(byte) >> (part as u32 * bits) & ((1 << bits) - 1);
                    note(index * per_byte + part, u64::from(value));
                }
            }
        }
        _ => {
            let size = 1usize << (order.min(6) - 3);
            for (index, entry) in (0u64..).zip(bytes.chunks_exact(size)) {
                note(index, entry.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refcounts_of_every_width() {
        assert_eq!(refcounts(&[0b0000_0101], 0), [(0, 1), (2, 1)]);
        assert_eq!(refcounts(&[0b0000_1101], 1), [(0, 1), (1, 3)]);
        assert_eq!(refcounts(&[0x20, 0x03], 2), [(1, 2), (2, 3)]);
        assert_eq!(refcounts(&[0, 7], 3), [(1, 7)]);
        assert_eq!(refcounts(&[0, 0, 1, 2], 4), [(1, 258)]);
        assert_eq!(refcounts(&[0, 0, 0, 0, 0, 0, 1, 0], 6), [(0, 256)]);
    }
}
