use std::ffi::OsStr;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Nobody has as many machines.
const MOST: u32 = 100_000;

/// A part of a fleet: shard `index` of `of`, counted from 0, as job indices of Kubernetes and GitHub are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    index: u32,
    of: u32,
}

/// Why a text is no shard.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// It is something else.
    #[error("a shard is K/N, such as 0/8 for the first of eight")]
    Malformed,
    /// There is no shard in none, nor in that many.
    #[error("there can be 1 to {MOST} shards")]
    Count,
    /// There is none of this number.
    #[error("shards are counted from 0: of {of} there are 0/{of} to {last}/{of}", last = of - 1)]
    Past {
        /// How many there are.
        of: u32,
    },
}

impl Shard {
    /// Which one it is, from 0.
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }

    /// How many there are.
    #[must_use]
    pub fn of(self) -> u32 {
        self.of
    }

    /// Whether an image of this name falls to it. Each name falls to one shard, whatever other names there are: the
    /// first 8 bytes of its SHA-256, as a big-endian number, modulo the count of shards.
    #[must_use]
    pub fn takes(self, name: &OsStr) -> bool {
        let digest = Sha256::digest(name.as_encoded_bytes());
        let first = digest.iter().take(8).fold(0, |number, &byte| number << 8 | u64::from(byte));
        first % u64::from(self.of) == u64::from(self.index)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Shard, ShardError> {
        let number = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
            true => text.parse::<u32>().map_err(|_| ShardError::Malformed),
            false => Err(ShardError::Malformed),
        };
        let (index, of) = text.split_once('/').ok_or(ShardError::Malformed)?;
        let (index, of) = (number(index)?, number(of)?);
        match (1..=MOST).contains(&of) {
            false => Err(ShardError::Count),
            true if index >= of => Err(ShardError::Past { of }),
            true => Ok(Shard { index, of }),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_counted_from_zero() {
        assert_eq!("0/8".parse(), Ok(Shard { index: 0, of: 8 }));
        assert_eq!("7/8".parse::<Shard>().unwrap().to_string(), "7/8");
        for past in ["8/8", "9/8"] {
            assert_eq!(past.parse::<Shard>(), Err(ShardError::Past { of: 8 }));
        }
        for none in ["0/0", "0/100001"] {
            assert_eq!(none.parse::<Shard>(), Err(ShardError::Count));
        }
        for bad in ["", "/", "3", "3/", "/8", "-1/8", "+1/8", "1/8/9", " 1/8", "1/99999999999"] {
            assert_eq!(bad.parse::<Shard>(), Err(ShardError::Malformed), "{bad}");
        }
    }

    #[test]
    fn each_name_falls_to_one_shard_and_stays_there() {
        let shards: Vec<Shard> = (0..8).map(|index| Shard { index, of: 8 }).collect();
        let mut counts = [0; 8];
        for n in 0..1000 {
            let name = format!("images/disk-{n}.qcow2");
            let taking = shards.iter().filter(|shard| shard.takes(OsStr::new(&name)));
            let taking: Vec<u32> = taking.map(|shard| shard.index).collect();
            assert_eq!(taking.len(), 1, "{name}");
            counts[taking[0] as usize] += 1;
        }
        assert!(counts.iter().all(|count| (80..170).contains(count)), "{counts:?}");
        // SHA-256 of "abc" begins with ba7816bf 8f01cfea (FIPS 180-4).
        let of = |of| 0xba78_16bf_8f01_cfea_u64 % of;
        assert!(Shard { index: of(8) as u32, of: 8 }.takes(OsStr::new("abc")));
        assert!(Shard { index: of(7) as u32, of: 7 }.takes(OsStr::new("abc")));
    }
}
