//! Check sums of ext4 and of its journal, none of which is inverted at its end as it is elsewhere.

/// CRC-32C, continued from `seed`.
pub(super) fn crc32c(seed: u32, bytes: &[u8]) -> u32 {
    !crc32c::crc32c_append(!seed, bytes)
}

/// CRC-16 of group descriptors without `metadata_csum` (`lib/crc16.c` of Linux), continued from `seed`.
pub(super) fn crc16(seed: u16, bytes: &[u8]) -> u16 {
    bytes.iter().fold(seed, |mut sum, byte| {
        sum ^= u16::from(*byte);
        for _ in 0..8 {
            sum = sum >> 1 ^ if sum & 1 == 1 { 0xa001 } else { 0 };
        }
        sum
    })
}

/// CRC-32 from the highest bit on (`crc32_be` of Linux), of journals with the feature `checksum`.
pub(super) fn crc32_be(seed: u32, bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let mut sum = (index as u32) << 24;
            let mut bit = 0;
            while bit < 8 {
                sum = sum << 1 ^ if sum >> 31 == 1 { 0x04c1_1db7 } else { 0 };
                bit += 1;
            }
            table[index] = sum;
            index += 1;
        }
        table
    };
    bytes.iter().fold(seed, |sum, byte| sum << 8 ^ TABLE[(sum >> 24) as usize ^ *byte as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the catalogue of parametrised CRC algorithms, for the digits 1 to 9.
    #[test]
    fn sums_are_those_of_their_definitions() {
        let digits = b"123456789";
        assert_eq!(!crc32c(!0, digits), 0xe306_9283);
        assert_eq!(crc16(0xffff, digits), 0x4b37); // CRC-16/MODBUS
        assert_eq!(crc32_be(!0, digits), 0x0376_e6e7); // CRC-32/MPEG-2
        assert_eq!(crc32c(crc32c(7, b"1234"), b"56789"), crc32c(7, digits));
    }
}
