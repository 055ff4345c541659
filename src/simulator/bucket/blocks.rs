/// Bytes of a block of MD5, SHA-1 and SHA-256 (RFC 1321, FIPS 180-4).
const BLOCK: usize = 64;

/// The bytes in pieces that end where the blocks of a message end. They begin at this offset of it.
pub(super) fn blocks(at: u64, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    // Less than a block, so it is a length.
    let begun = (at % BLOCK as u64) as usize;
    let first = if begun == 0 { 0 } else { (BLOCK - begun).min(bytes.len()) };
    let (first, rest) = bytes.split_at(first);
    [first].into_iter().filter(|first| !first.is_empty()).chain(rest.chunks(BLOCK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_where_blocks_end() {
        let lengths =
            |at, len: usize| -> Vec<usize> { blocks(at, &vec![0; len]).map(<[u8]>::len).collect() };
        assert_eq!(lengths(0, 130), [64, 64, 2]);
        assert_eq!(lengths(128, 64), [64]);
        assert_eq!(lengths(130, 62 + 65), [62, 64, 1]);
        assert_eq!(lengths(63, 1), [1]);
        assert_eq!(lengths(1, 3), [3]);
        assert!(lengths(1, 0).is_empty() && lengths(0, 0).is_empty());
        let text: Vec<u8> = (0..200).collect();
        assert_eq!(blocks(7, &text).flatten().copied().collect::<Vec<u8>>(), text);
    }
}
