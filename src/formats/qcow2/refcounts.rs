//! The refcounts of a block.

/// The refcounts of a block that are not zero, with their index. They have 2^order bits, 64 at most; those of
/// less than a byte begin at the least significant bit (QEMU docs/interop/qcow2.rst, refcount blocks).
pub(super) fn refcounts(bytes: &[u8], order: u32) -> impl Iterator<Item = (u64, u64)> {
    let order = order.min(6);
    // Bytes of a refcount, or refcounts in a byte.
    let (size, per_byte) = ((1usize << order).div_ceil(8), (8u32 >> order).max(1));
    let entries = bytes
        .chunks_exact(size)
        .enumerate()
        .filter(|(_, entry)| entry.iter().any(|&byte| byte != 0));
    let values = entries.flat_map(move |(index, entry)| {
        let whole = entry.iter().fold(0, |value, &byte| value << 8 | u64::from(byte));
        (0..per_byte).map(move |part| {
            let index = index as u64 * u64::from(per_byte) + u64::from(part);
            match per_byte {
                1 => (index, whole),
                _ => (index, whole >> (part << order) & ((1 << (1 << order)) - 1)),
            }
        })
    });
    values.filter(|(_, value)| *value != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], order: u32) -> Vec<(u64, u64)> {
        refcounts(bytes, order).collect()
    }

    #[test]
    fn refcounts_of_every_width() {
        assert_eq!(all(&[0b0000_0101], 0), [(0, 1), (2, 1)]);
        assert_eq!(all(&[0b0000_1101], 1), [(0, 1), (1, 3)]);
        assert_eq!(all(&[0x20, 0x03], 2), [(1, 2), (2, 3)]);
        assert_eq!(all(&[0, 7], 3), [(1, 7)]);
        assert_eq!(all(&[0, 0, 1, 2], 4), [(1, 258)]);
        assert_eq!(all(&[0, 0, 0, 0, 0, 0, 1, 0], 6), [(0, 256)]);
    }
}
