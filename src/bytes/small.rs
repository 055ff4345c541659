use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// Something small that is read whole. Nothing is read whole that has no such bound: a device has no end, and a file is as
/// large as its writer wants.
#[derive(Clone, Copy, Debug)]
pub struct Small {
    /// What it is, with its article.
    pub what: &'static str,
    /// Bytes that it may have.
    pub most: usize,
}

impl Small {
    /// All of a file.
    ///
    /// # Errors
    /// If it cannot be read, or is larger.
    pub fn open(self, path: &Path) -> Result<Vec<u8>> {
        self.read(File::open(path)?)
    }

    /// All that is left in a reader.
    ///
    /// # Errors
    /// If it cannot be read, or is larger.
    pub fn read(self, from: impl Read) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        from.take(self.most as u64 + 1).read_to_end(&mut bytes)?;
        match bytes.len() > self.most {
            true => Err(self.too_large()),
            false => Ok(bytes),
        }
    }

    /// All of a file of text.
    ///
    /// # Errors
    /// If it cannot be read, is larger, or no UTF-8.
    pub fn text(self, path: &Path) -> Result<String> {
        String::from_utf8(self.open(path)?)
            .map_err(|e| Error::new(ErrorKind::InvalidData, format!("it is no UTF-8: {e}")))
    }

    /// Says that it has more bytes than it may have.
    #[must_use]
    pub fn too_large(self) -> Error {
        let most = match self.most {
            most if most < 1 << 20 => format!("{} KiB", most >> 10),
            most => format!("{} MiB", most >> 20),
        };
        let why = format!("it is larger than {most}, so it is not {}", self.what);
        Error::new(ErrorKind::FileTooLarge, why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_not_read_to_it() {
        let small = Small { what: "a list of check sums", most: 3 << 20 };
        let why = small.open(Path::new("/dev/zero")).unwrap_err().to_string();
        assert_eq!(why, "it is larger than 3 MiB, so it is not a list of check sums");
        assert_eq!(small.read(&[7; 3 << 20][..]).unwrap().len(), 3 << 20);
        assert!(small.read(&[7; (3 << 20) + 1][..]).is_err());
        assert!(small.text(Path::new("/no such file")).is_err());
    }
}
