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

/// The largest object, in bytes.
pub const LARGEST_OBJECT: u64 = 5_000_000_000_000;

/// The largest object that parts of this size make, in bytes.
#[must_use]
pub fn holds(part_size: u64) -> u64 {
    part_size.saturating_mul(MOST_PARTS.into()).min(LARGEST_OBJECT)
}

/// How large each part of an upload is. Those of the first half are as large as they are asked for; those of the
/// second are larger where the object may need it, as nobody knows how much a stream brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartSizes {
    first: u64,
    later: u64,
}

impl PartSizes {
    /// Parts of `first` bytes, for an object of `most` bytes at most.
    #[must_use]
    pub fn new(first: u64, most: u64) -> Self {
        let half = u64::from(MOST_PARTS / 2);
        let rest = most.saturating_sub(first.saturating_mul(half));
        let least = rest.div_ceil(half).div_ceil(MIB).saturating_mul(MIB);
        PartSizes { first, later: least.clamp(first, LARGEST_PART.max(first)) }
    }

    /// Bytes of the part with this number, counted from 1.
    #[must_use]
    pub fn of(self, number: u32) -> u64 {
        match number <= u32::from(MOST_PARTS / 2) {
            true => self.first,
            false => self.later,
        }
    }

    /// Bytes of the largest part.
    #[must_use]
    pub fn largest(self) -> u64 {
        self.later
    }
}

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
    fn later_parts_are_larger_where_a_stream_may_need_it() {
        let most = 100_000_000_000;
        let sizes = PartSizes::new(5 * MIB, most);
        assert_eq!((sizes.of(1), sizes.of(5000), sizes.of(5001)), (5 * MIB, 5 * MIB, 15 * MIB));
        assert!((sizes.of(1) + sizes.of(10_000)) * 5000 >= most);
        let fixed = PartSizes::new(10 * MIB, most);
        assert_eq!(
            (fixed.of(1), fixed.of(10_000), fixed.largest()),
            (10 * MIB, 10 * MIB, 10 * MIB)
        );
        assert_eq!(PartSizes::new(LARGEST_PART, u64::MAX).largest(), LARGEST_PART);
        assert_eq!((holds(5 * MIB), holds(LARGEST_PART)), (52_428_800_000, LARGEST_OBJECT));
    }

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
