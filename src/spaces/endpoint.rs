//! Where a bucket is.

use super::names::{BucketName, Key};
use crate::bytes::Hostile;
use crate::net::{Address, encode};

/// Regions that have Spaces (DigitalOcean's Terraform provider, `spaces_entities.go`).
pub const REGIONS: [&str; 11] =
    ["ams3", "atl1", "blr1", "fra1", "lon1", "nyc3", "sfo2", "sfo3", "sgp1", "syd1", "tor1"];

/// A region, as signatures name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region(String);

impl Region {
    /// Parses a name: letters, digits and dashes, as in `nyc3` or `us-east-1`.
    ///
    /// # Errors
    /// Says that it is none.
    pub fn parse(name: &str) -> Result<Region, String> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        match (1..=63).contains(&name.len()) && name.bytes().all(plain) {
            true => Ok(Region(name.to_owned())),
            false => Err(format!("{} is no name of a region", Hostile::from(name))),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a request names its bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Style {
    /// `https://HOST/BUCKET/KEY`.
    Path,
    /// `https://BUCKET.HOST/KEY`.
    VirtualHost,
}

/// A server that speaks S3.
#[derive(Clone, Debug)]
pub struct Endpoint {
    address: Address,
    region: Region,
    style: Style,
}

impl Endpoint {
    /// Spaces in a region.
    ///
    /// # Errors
    /// If the region has none.
    pub fn spaces(region: &Region) -> Result<Endpoint, String> {
        if !REGIONS.contains(&region.as_str()) {
            return Err(format!(
                "the region {} has no Spaces: take one of {}, or name the server by its URL",
                region.as_str(),
                REGIONS.join(", ")
            ));
        }
        let address =
            Address::parse(&format!("https://{}.digitaloceanspaces.com", region.as_str()))?;
        Ok(Endpoint { address, region: region.clone(), style: Style::VirtualHost })
    }

    /// Any server. It has to be https, unless it is this machine.
    ///
    /// # Errors
    /// Says what is wrong with the address.
    pub fn other(address: Address, region: Region, style: Style) -> Result<Endpoint, String> {
        if !address.is_https() && !address.is_loopback() {
            return Err(format!(
                "{address} is plain http: what is sent could be read and changed on the way"
            ));
        }
        if address.has_credentials() || address.has_query() {
            return Err(format!("{address} has more than a host and a path"));
        }
        if style == Style::VirtualHost && !address.has_name() {
            return Err(format!("{address} has no name, so no bucket can stand before it"));
        }
        Ok(Endpoint { address, region, style })
    }

    /// The server of an address: Spaces by the names of its hosts, which also say the region, and anything
    /// else with the bucket in the path. `region` is what the user said.
    ///
    /// # Errors
    /// Says what is wrong with the address, or that it contradicts the region.
    pub fn at(address: Address, region: Option<Region>) -> Result<Endpoint, String> {
        let host = address.host().to_ascii_lowercase();
        let Some(named) = host.strip_suffix(".digitaloceanspaces.com") else {
            // What those who know no regions are asked for.
            let region = region.unwrap_or(Region("us-east-1".into()));
            return Endpoint::other(address, region, Style::Path);
        };
        let named = Region::parse(named).map_err(|_| {
            format!("{address} is no region of Spaces; without a bucket it is https://REGION.digitaloceanspaces.com")
        })?;
        if let Some(region) = region.filter(|region| *region != named) {
            return Err(format!(
                "{address} is not in the region {}: leave one of the two out",
                region.as_str()
            ));
        }
        if let Some(above) = address.above() {
            return Err(format!(
                "{address} has a path, and Spaces has none: the URL is {}",
                top(above)
            ));
        }
        Endpoint::other(address, named, Style::VirtualHost)
    }

    /// Makes sure that the URL does not have the bucket in it, as browsers show it: each object would get a key that
    /// begins with the bucket's name, where nobody looks for it.
    ///
    /// # Errors
    /// Says what the URL is without it.
    pub fn is_apart_from(&self, bucket: &BucketName) -> Result<(), String> {
        let address = &self.address;
        let wrong = |right: &Address| {
            Err(format!(
                "{address} has the name of the bucket in it, which is added to each request: the URL without it is {right}"
            ))
        };
        match (address.last_of_path(), address.above()) {
            (Some(last), Some(above)) if last == bucket.as_str() => return wrong(&above),
            _ => {}
        }
        // Another host may be called as the bucket is; one of S3 is not.
        match address.without_label(bucket.as_str()) {
            Some(host) if self.style == Style::Path && host.host().starts_with("s3") => {
                wrong(&host)
            }
            _ => Ok(()),
        }
    }

    /// Whether it is DigitalOcean's.
    #[must_use]
    pub fn is_spaces(&self) -> bool {
        self.address.host().to_ascii_lowercase().ends_with(".digitaloceanspaces.com")
    }

    /// The server.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Where a bucket is, or an object in it. `query` is empty or encoded.
    pub(super) fn place(
        &self,
        bucket: &BucketName,
        key: Option<&Key>,
        query: &str,
    ) -> Result<Address, String> {
        let key = key.map(|key| encode(key.as_str(), true)).unwrap_or_default();
        let mark = if query.is_empty() { "" } else { "?" };
        match self.style {
            Style::Path => {
                let slash = if key.is_empty() { "" } else { "/" };
                self.address.below(&format!("{bucket}{slash}{key}{mark}{query}"))
            }
            // A key may look like another host or an absolute path; "./" makes it one below.
            Style::VirtualHost => {
                self.address.with_label(bucket.as_str())?.below(&format!("./{key}{mark}{query}"))
            }
        }
    }
}

/// The root of a server.
fn top(mut address: Address) -> Address {
    while let Some(above) = address.above() {
        address = above;
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_is_no_part_of_the_url() {
        let bucket = BucketName::parse("images").unwrap();
        let at = |url: &str| {
            let endpoint = Endpoint::at(Address::parse(url).unwrap(), None)?;
            endpoint.is_apart_from(&bucket)
        };
        for (url, right) in [
            ("http://127.0.0.1:9/images", "http://127.0.0.1:9/"),
            ("http://127.0.0.1:9/images/", "http://127.0.0.1:9/"),
            ("https://s3.example/a/images//", "https://s3.example/a"),
            ("https://images.s3.example:8/", "https://s3.example:8/"),
            ("https://nyc3.digitaloceanspaces.com/images", "https://nyc3.digitaloceanspaces.com/"),
            ("https://nyc3.digitaloceanspaces.com/a/b", "https://nyc3.digitaloceanspaces.com/"),
        ] {
            let said = at(url).unwrap_err();
            assert!(said.ends_with(&format!(" is {right}")), "{said}");
            at(right).unwrap();
        }
        for url in [
            "https://s3.example/images2",
            "https://images.example",
            "https://s3.images.example/images/s3",
        ] {
            at(url).unwrap();
        }
    }

    fn place(address: &str, style: Style, key: &str) -> String {
        let region = Region::parse("nyc3").unwrap();
        let endpoint = Endpoint::other(Address::parse(address).unwrap(), region, style).unwrap();
        let bucket = BucketName::parse("images").unwrap();
        let key = Key::parse(key).unwrap();
        endpoint.place(&bucket, Some(&key), "").unwrap().to_string()
    }

    #[test]
    fn objects_have_places() {
        let spaces = "https://nyc3.digitaloceanspaces.com";
        assert_eq!(
            place(spaces, Style::VirtualHost, "tidegate/1/disk.qcow2.gz"),
            "https://images.nyc3.digitaloceanspaces.com/tidegate/1/disk.qcow2.gz"
        );
        assert_eq!(
            place("http://127.0.0.1:9/s3/", Style::Path, "a b/ü?#"),
            "http://127.0.0.1:9/s3/images/a%20b/%C3%BC%3F%23"
        );
        for key in ["/etc", "//h/x", "http://h/x", "a:b", "a//b", "%2e%2e/x"] {
            let encoded = encode(key, true);
            let seen = place(spaces, Style::VirtualHost, key);
            assert_eq!(seen, format!("https://images.nyc3.digitaloceanspaces.com/{encoded}"));
            let seen = place(spaces, Style::Path, key);
            assert_eq!(seen, format!("{spaces}/images/{encoded}"));
        }
    }

    #[test]
    fn servers_without_names_have_buckets_in_their_paths() {
        let region = Region::parse("nyc3").unwrap();
        let address = Address::parse("https://10.0.0.1").unwrap();
        assert!(Endpoint::other(address.clone(), region, Style::VirtualHost).is_err());
        assert!(Endpoint::at(address, None).is_ok_and(|found| !found.is_spaces()));
        assert!(Region::parse("").is_err() && Region::parse("nyc3/x").is_err());
    }
}
