//! Names of buckets, objects, uploads and parts: what is wrong with one is said before anything is sent.

use std::fmt;

use md5_simd::Md5;

use super::body::Digest16;
use super::limits::MOST_PARTS;
use crate::bytes::{Hostile, hex};

/// The longest key, in bytes (S3, "Naming Amazon S3 objects").
const LONGEST_KEY: usize = 1024;

/// An upload's name is no longer than this, in bytes; those of S3 have about 130.
const LONGEST_ID: usize = 2048;

/// The name of a bucket: one label of a DNS name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BucketName(String);

impl BucketName {
    /// Parses a name: 3 to 63 lower-case letters, digits and dashes.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(name: &str) -> Result<BucketName, String> {
        let shown = Hostile::from(name);
        if name.contains('.') {
            return Err(format!(
                "the bucket {shown} has a dot in its name: the wildcard certificate of Spaces does not cover {shown}.REGION.digitaloceanspaces.com, so nobody can fetch from it over https; take a bucket without dots"
            ));
        }
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let ends = name.bytes().next().is_some_and(plain) && name.bytes().last().is_some_and(plain);
        let all = name.bytes().all(|b| plain(b) || b == b'-');
        if !(3..=63).contains(&name.len()) || !ends || !all {
            return Err(format!(
                "{shown} is no name of a bucket: it has to be 3 to 63 lower-case letters, digits and dashes, with no dash at its ends"
            ));
        }
        Ok(BucketName(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of an object in its bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// Parses a key: 1 to 1024 bytes, without control characters and without `.` and `..` as parts of its
    /// path, which are not sent as they are written.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(key: &str) -> Result<Key, String> {
        let shown = Hostile::from(key);
        if key.len() > LONGEST_KEY {
            return Err(format!(
                "\"{shown}\" is no key of an object: it has {} bytes, and a key has {LONGEST_KEY} at most",
                key.len()
            ));
        }
        if key.is_empty() || key.chars().any(char::is_control) {
            return Err(format!("\"{shown}\" is no key of an object"));
        }
        if key.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(format!("\"{shown}\" has a part that leads elsewhere"));
        }
        Ok(Key(key.to_owned()))
    }

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hostile::from(self.0.as_str()), f)
    }
}

/// The server's name for a multipart upload.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UploadId(String);

impl UploadId {
    /// Parses it, as it came from a server or was written down.
    ///
    /// # Errors
    /// Says that it is none.
    pub fn parse(id: &str) -> Result<UploadId, String> {
        match id.is_empty() || id.len() > LONGEST_ID || id.chars().any(char::is_control) {
            true => Err(format!("\"{}\" is no name of an upload", Hostile::from(id))),
            false => Ok(UploadId(id.to_owned())),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hostile::from(self.0.as_str()), f)
    }
}

/// The server's name for a version of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VersionId(String);

impl VersionId {
    /// Parses it, as it came from a server.
    ///
    /// # Errors
    /// Says that it is none.
    pub fn parse(id: &str) -> Result<VersionId, String> {
        match id.is_empty() || id.len() > LONGEST_ID || id.chars().any(char::is_control) {
            true => Err(format!("\"{}\" is no name of a version", Hostile::from(id))),
            false => Ok(VersionId(id.to_owned())),
        }
    }

    /// Whether it is that of what was written without versions (S3, "Using versioning in S3 buckets").
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0 == "null"
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hostile::from(self.0.as_str()), f)
    }
}

/// The number of a part: 1 to 10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartNumber(u16);

impl PartNumber {
    /// The first one.
    pub const FIRST: PartNumber = PartNumber(1);

    /// A number, if it can be one.
    #[must_use]
    pub fn new(number: u16) -> Option<PartNumber> {
        (1..=MOST_PARTS).contains(&number).then_some(PartNumber(number))
    }

    /// The next one, if there may be one.
    #[must_use]
    pub fn next(self) -> Option<PartNumber> {
        PartNumber::new(self.0 + 1)
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for PartNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What tells one content of an object or a part from another, without its quotes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ETag(String);

impl ETag {
    /// As it stands in a header or a document; hostile text.
    #[must_use]
    pub fn new(text: &str) -> ETag {
        let text = text.trim();
        // A proxy that changes how a body is sent makes it a weak one (RFC 9110, 8.8.1): it names the same bytes.
        let strong =
            text.strip_prefix("W/").filter(|strong| strong.starts_with('"')).unwrap_or(text);
        ETag(strong.trim_matches('"').chars().filter(|c| !c.is_control()).collect())
    }

    /// That of a part with these bytes, where the server makes it of their MD5.
    #[must_use]
    pub fn of(bytes: &[u8]) -> ETag {
        Digest16::of(bytes).etag()
    }

    /// That of an object that was put together of parts with these ETags, where the server makes it as S3
    /// does: the MD5 of their MD5s, a dash and their number. `None` if they are none.
    #[must_use]
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a ETag>) -> Option<ETag> {
        let (mut all, mut count) = (Md5::new(), 0u32);
        for part in parts {
            all.update(&part.md5()?);
            count += 1;
        }
        Some(ETag(format!("{}-{count}", hex(&all.finalize()))))
    }

    /// The MD5 that it is, if it has the form of one.
    #[must_use]
    pub fn md5(&self) -> Option<[u8; 16]> {
        let mut digest = [0; 16];
        if self.0.len() != 32 {
            return None;
        }
        for (byte, pair) in digest.iter_mut().zip(self.0.as_bytes().as_chunks::<2>().0) {
            let digit = |b: u8| char::from(b).to_digit(16);
            // Two digits of 16 are less than 256.
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Some(digest)
    }

    /// The text without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hostile::from(self.0.as_str()), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_labels_of_dns_names() {
        for good in ["abc", "my-images-2", &"x".repeat(63)] {
            assert_eq!(BucketName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "ab", "-abc", "abc-", "Abc", "a_b", "a/b", "ä-b", &"x".repeat(64)] {
            assert!(BucketName::parse(bad).unwrap_err().contains("no name"), "{bad}");
        }
        assert!(BucketName::parse("my.images").unwrap_err().contains("wildcard certificate"));
    }

    #[test]
    fn keys_are_sent_as_they_are_written() {
        assert_eq!(Key::parse("tidegate/x y/disk.img").unwrap().as_str(), "tidegate/x y/disk.img");
        for bad in ["", "a/../b", "./a", "..", "a\nb", "a\u{85}", &"x".repeat(1025)] {
            assert!(Key::parse(bad).is_err(), "{bad}");
        }
        assert!(Key::parse("a..b/...").is_ok());
        assert!(UploadId::parse("").is_err() && UploadId::parse("2~x_Y").is_ok());
    }

    #[test]
    fn parts_have_numbers_from_1_to_10_000() {
        assert_eq!(PartNumber::new(0), None);
        assert_eq!(PartNumber::new(10_001), None);
        assert_eq!(PartNumber::new(10_000).unwrap().next(), None);
        assert_eq!(PartNumber::FIRST.next().unwrap().get(), 2);
    }

    #[test]
    fn etags_of_md5s() {
        let hello = ETag::new("\"5D41402ABC4B2A76B9719D911017C592\"");
        assert_eq!(hello.md5(), ETag::of(b"hello").md5());
        assert_eq!(ETag::new("W/\"5d41402abc4b2a76b9719d911017c592\"").md5(), hello.md5());
        assert_eq!(ETag::new(&"g".repeat(32)).md5(), None);
        // As md5sum has it of the two digests, one after the other.
        let both = ETag::of_parts([&ETag::of(b"hello"), &ETag::of(b"hello")]).unwrap();
        assert_eq!(both.as_str(), "616b22817b80eed9f65c3aa38cd29054-2");
    }
}
