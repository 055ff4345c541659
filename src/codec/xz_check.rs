//! What an xz file holds its blocks against.

use sha2::{Digest as _, Sha256};

/// The check of a block's unpacked data (.xz file format, 2.1.1.2 and 3.4).
#[derive(Clone, Default)]
pub(super) enum Check {
    #[default]
    None,
    Crc32(crc32fast::Hasher),
    Crc64(u64),
    Sha256(Box<Sha256>),
}

impl Check {
    /// The check that these stream flags name; `None` if it has no meaning yet.
    pub(super) fn of(flags: [u8; 2]) -> Option<Self> {
        match flags {
            [0, 0] => Some(Check::None),
            [0, 1] => Some(Check::Crc32(crc32fast::Hasher::new())),
            [0, 4] => Some(Check::Crc64(0)),
            [0, 10] => Some(Check::Sha256(Box::default())),
            _ => None,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Check::None => "check",
            Check::Crc32(_) => "CRC-32",
            Check::Crc64(_) => "CRC-64",
            Check::Sha256(_) => "SHA-256",
        }
    }

    /// Bytes as stored.
    pub(super) fn size(&self) -> usize {
        match self {
            Check::None => 0,
            Check::Crc32(_) => 4,
            Check::Crc64(_) => 8,
            Check::Sha256(_) => 32,
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Check::None => {}
            Check::Crc32(crc) => crc.update(bytes),
            Check::Crc64(crc) => *crc = crc64(*crc, bytes),
            Check::Sha256(digest) => digest.update(bytes),
        }
    }

    pub(super) fn matches(self, stored: &[u8]) -> bool {
        match self {
            Check::None => stored.is_empty(),
            Check::Crc32(crc) => crc.finalize().to_le_bytes() == stored,
            Check::Crc64(crc) => crc.to_le_bytes() == stored,
            Check::Sha256(digest) => digest.finalize()[..] == *stored,
        }
    }
}

/// What the blocks of a stream were, or what its index says they were, in little memory: a stream may
/// have any number of them.
#[derive(Clone, Default)]
pub(super) struct Records {
    count: u64,
    digest: Sha256,
}

impl Records {
    /// One more block, with its size without padding and unpacked.
    pub(super) fn add(&mut self, unpadded: u64, size: u64) {
        self.count += 1;
        self.digest.update(unpadded.to_le_bytes());
        self.digest.update(size.to_le_bytes());
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

impl PartialEq for Records {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count
            && self.digest.clone().finalize() == other.digest.clone().finalize()
    }
}

/// The polynomial of ECMA-182, bits reversed.
const POLYNOMIAL: u64 = 0xc96c_5795_d787_0f42;

static TABLE: [u64; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u64;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ POLYNOMIAL } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

/// CRC-64 as xz has it (.xz file format, 6), of what comes after what gave `crc`.
fn crc64(crc: u64, bytes: &[u8]) -> u64 {
    !bytes.iter().fold(!crc, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc64_is_that_of_the_standard() {
        // The check value of CRC-64/XZ.
        assert_eq!(crc64(0, b"123456789"), 0x995d_c9bb_df19_39fa);
        assert_eq!(crc64(crc64(0, b"1234"), b"56789"), 0x995d_c9bb_df19_39fa);
    }
}
