//! Pictures of the screen, as PNG (W3C, Portable Network Graphics): QEMU's own, or made from its PPM where it cannot.

use std::fs::File;
use std::io::{Read, Write};

use base64::Engine;
use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::machine::Machine;
use crate::inspect::booted::Screenshot;

/// Bytes of a picture that is shown, at most; a guest may draw what packs badly.
const LARGEST: u64 = 2 << 20;
/// Bytes of an unpacked picture, at most: more than a screen of VGA's memory of 16 MiB has.
const LARGEST_PPM: u64 = 32 << 20;

/// The screen of a mode of text with 80 columns and 25 rows: pixels across and down.
const TEXT: [u32; 2] = [720, 400];

/// A picture of the screen, if there can be one, and whether it is one of text.
pub(super) fn shoot(machine: &mut Machine) -> Option<(Screenshot, bool)> {
    let png = match machine.picture("screen.png", Some("png")) {
        Ok(path) => read(File::open(path).ok()?, LARGEST)?,
        Err(_) => {
            let path = machine.picture("screen.ppm", None).ok()?;
            png(&read(File::open(path).ok()?, LARGEST_PPM)?)?
        }
    };
    let whole = png.starts_with(b"\x89PNG\r\n\x1a\n") && png.len() as u64 <= LARGEST;
    let is_text = size(&png) == Some(TEXT);
    let base64 = whole.then(|| base64::engine::general_purpose::STANDARD.encode(png))?;
    Some((Screenshot { media_type: "image/png".into(), base64 }, is_text))
}

/// Width and height of a PNG, which its first chunk begins with.
fn size(png: &[u8]) -> Option<[u32; 2]> {
    let number = |at: usize| {
        let bytes = png.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    Some([number(16)?, number(20)?])
}

/// All of a file, unless it is larger.
fn read(file: File, most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= most).then_some(bytes)
}

/// A PNG of a picture that is a PPM of eight bits (Netpbm, ppm(5)).
fn png(ppm: &[u8]) -> Option<Vec<u8>> {
    let mut rest = ppm.strip_prefix(b"P6")?;
    let mut number = || {
        rest = rest.trim_ascii_start();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (text, after) = rest.split_at(digits);
        rest = after;
        std::str::from_utf8(text).ok()?.parse::<u32>().ok()
    };
    let (width, height, most) = (number()?, number()?, number()?);
    let pixels = rest.get(1..)?;
    let row = usize::try_from(width).ok()?.checked_mul(3)?;
    if most != 255 || row == 0 || row.checked_mul(usize::try_from(height).ok()?)? != pixels.len() {
        return None;
    }
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    for line in pixels.chunks(row) {
        // Filter 0: as it is.
        packed.write_all(&[0]).and_then(|()| packed.write_all(line)).ok()?;
    }
    let packed = packed.finish().ok()?;
    let mut header = Vec::new();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    // Eight bits of red, green and blue; nothing else there is to choose.
    header.extend([8, 2, 0, 0, 0]);
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", header), (b"IDAT", packed), (b"IEND", Vec::new())] {
        out.extend(u32::try_from(data.len()).ok()?.to_be_bytes());
        let from = out.len();
        out.extend(kind);
        out.extend(data);
        let sum = crc32fast::hash(&out[from..]);
        out.extend(sum.to_be_bytes());
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ppm_becomes_a_png() {
        let png = png(b"P6\n2 1\n255\n\xff\0\0\0\xff\0").unwrap();
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x02\0\0\0\x01\x08\x02"));
        assert_eq!(size(&png), Some([2, 1]));
        let at = png.windows(4).position(|four| four == b"IDAT").unwrap();
        let length = u32::from_be_bytes(png[at - 4..at].try_into().unwrap()) as usize;
        let mut pixels = Vec::new();
        flate2::read::ZlibDecoder::new(&png[at + 4..at + 4 + length])
            .read_to_end(&mut pixels)
            .unwrap();
        assert_eq!(pixels, b"\0\xff\0\0\0\xff\0");
        assert!(png.ends_with(b"IEND\xae\x42\x60\x82"));
    }

    #[test]
    fn what_is_no_picture_makes_none() {
        for ppm in [
            &b"P5\n1 1\n255\nx"[..],
            b"P6\n1 1\n255\n",
            b"P6 0 0 255 ",
            b"P6\n9999999999 1 255 x",
            b"",
            b"P6",
        ] {
            assert!(png(ppm).is_none());
        }
    }
}
