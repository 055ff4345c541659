//! How large parts are, and how many: the limits of S3 and of Spaces (DigitalOcean, "Spaces Limits").

const MIB: u64 = 1 << 20;

/// The smallest part, in bytes; the last one may be smaller.
pub const SMALLEST_PART: u64 = 5 * MIB;

/// The largest part, and the largest object that one PUT makes, in bytes.
pub const LARGEST_PART: u64 = 5_000_000_000;

/// The most parts of an object; they are numbered from 1.
pub const MOST_PARTS: u16 = 10_000;

/// The most uploads of parts of one object at once.
pub const MOST_AT_ONCE: usize = 10;

/// What parts begin with, in bytes.
pub const FIRST_PART: u64 = 8 * MIB;

/// For how many seconds a presigned URL opens an object at most: a week (S3, "Sharing objects with presigned URLs").
pub const LONGEST_PRESIGNED: u32 = 7 * 24 * 3600;

/// The size of an upload whose length is not known, in bytes: DigitalOcean imports less.
pub const UNKNOWN_LENGTH: u64 = 100_000_000_000;

/// How large the parts of an object have to be, in bytes: 8 MiB, or as many MiB more as it takes for all
/// of it to fit into 10,000 parts.
#[must_use]
pub fn part_size(total: Option<u64>) -> u64 {
    let total = total.unwrap_or(UNKNOWN_LENGTH);
    let least = total.div_ceil(MOST_PARTS.into()).div_ceil(MIB).saturating_mul(MIB);
    least.clamp(FIRST_PART, LARGEST_PART)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_until_all_of_it_fits() {
        assert_eq!(part_size(Some(0)), 8 * MIB);
        assert_eq!(part_size(Some(80_000 * MIB)), 8 * MIB);
        assert_eq!(part_size(Some(80_000 * MIB + 1)), 9 * MIB);
        assert_eq!(part_size(None), 10 * MIB);
        for total in [1, 83_886_080_001, 100_000_000_000, 5_000_000_000_000] {
            assert!(part_size(Some(total)) * u64::from(MOST_PARTS) >= total, "{total}");
        }
        assert_eq!(part_size(Some(u64::MAX)), LARGEST_PART);
    }
}
