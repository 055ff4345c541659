use std::fmt::Write;

/// A size for people: decimal units, as DigitalOcean counts, with one decimal.
#[must_use]
pub fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A SHA-256 from its 64 hexadecimal digits.
#[must_use]
pub fn unhex(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().as_chunks::<2>().0) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

/// Bytes from `100GB`, `20GiB` or a plain number; none of nothing.
#[must_use]
pub fn read_size(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 9] = [
        ("kib", 1 << 10),
        ("mib", 1 << 20),
        ("gib", 1 << 30),
        ("tib", 1 << 40),
        ("kb", 1000),
        ("mb", 1_000_000),
        ("gb", 1_000_000_000),
        ("tb", 1_000_000_000_000),
        ("b", 1),
    ];
    let lower = text.trim().to_ascii_lowercase();
    let (digits, unit) = UNITS
        .iter()
        .find_map(|(name, unit)| Some((lower.strip_suffix(name)?.trim_end(), *unit)))
        .unwrap_or((&lower, 1));
    let digits = Some(digits).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse::<u64>().ok()?.checked_mul(unit).filter(|&size| size > 0)
}

/// The text form of a GUID, whose first three fields are little-endian on disks and in images.
#[must_use]
pub fn guid(bytes: [u8; 16]) -> String {
    let [d, c, b, a, f, e, h, g, i, j, rest @ ..] = bytes;
    let [first, second, third] = [hex(&[a, b, c, d]), hex(&[e, f]), hex(&[g, h])];
    format!("{first}-{second}-{third}-{}-{}", hex(&[i, j]), hex(&rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_decimal() {
        assert_eq!(human_size(0), "0 B");
        assert_eq!(human_size(999), "999 B");
        assert_eq!(human_size(1000), "1.0 kB");
        assert_eq!(human_size(999_999), "1.0 MB");
        assert_eq!(human_size(100_000_000_000), "100.0 GB");
        assert_eq!(human_size(u64::MAX), "18.4 EB");
    }

    #[test]
    fn hex_is_lower_case() {
        assert_eq!(hex(&[0, 0xab, 0xff]), "00abff");
        let digest = std::array::from_fn(|at| at as u8);
        assert_eq!(unhex(&hex(&digest)), Some(digest));
        for bad in ["", "00", &"g".repeat(64), &"ä".repeat(32), &"0".repeat(65)] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(read_size("100GB"), Some(100_000_000_000));
        assert_eq!(read_size("20 GiB"), Some(20 << 30));
        assert_eq!(read_size("5000000000"), Some(5_000_000_000));
        assert_eq!(read_size("7b"), Some(7));
        for bad in ["", "GB", "-1", "1.5GB", "0", "99999999999TB", "+5"] {
            assert_eq!(read_size(bad), None, "{bad}");
        }
    }

    #[test]
    fn guids_are_mixed_endian() {
        let bytes = [
            0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e,
            0xc9, 0x3b,
        ];
        assert_eq!(guid(bytes), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
    }
}
