//! Where the key, the bucket and its server are: given, or in the environment.

use super::bucket::Keys;
use super::endpoint::{Endpoint, Region};
use super::names::BucketName;
use crate::net::{Address, Secret};

/// Pairs of variables that may have a key's id and the key: the first pair of which one is set counts.
/// They are those of DigitalOcean's Terraform provider, of its Packer plugin, and of AWS.
pub const VARIABLES: [(&str, &str); 3] = [
    ("SPACES_ACCESS_KEY_ID", "SPACES_SECRET_ACCESS_KEY"),
    ("DIGITALOCEAN_SPACES_ACCESS_KEY", "DIGITALOCEAN_SPACES_SECRET_KEY"),
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
];

/// What goes along with temporary keys of AWS.
const SESSION: &str = "AWS_SESSION_TOKEN";

/// What the user said; the environment says the rest.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The server's URL.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The bucket.
    pub bucket: Option<String>,
    /// The key.
    pub keys: Option<Keys>,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The server.
    pub endpoint: Endpoint,
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub keys: Keys,
}

/// Finds all of it. `variable` reads the environment.
///
/// # Errors
/// Says what is missing or wrong, and where; nothing of a key is repeated.
pub fn find(places: &Places, variable: impl Fn(&str) -> Option<String>) -> Result<Found, String> {
    let variable = &variable;
    let endpoint = endpoint(places, variable)?;
    let bucket = bucket(places, variable)?;
    let keys = match &places.keys {
        Some(keys) => keys.clone(),
        None => keys(&endpoint, variable)?,
    };
    Ok(Found { endpoint, bucket, keys })
}

/// The bucket: given, or `SPACES_BUCKET`.
///
/// # Errors
/// If there is none, or its name can be none.
pub fn bucket(
    places: &Places,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<BucketName, String> {
    match said(places.bucket.as_ref(), "SPACES_BUCKET", &variable) {
        Some(name) => BucketName::parse(&name),
        None => Err("there is no bucket: name it, or set SPACES_BUCKET".into()),
    }
}

/// The server: a URL that was given, or `SPACES_ENDPOINT_URL`, or Spaces in the region that was given, or
/// in `SPACES_REGION`.
///
/// # Errors
/// If there is none, or it is wrong.
pub fn endpoint(
    places: &Places,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Endpoint, String> {
    let region = said(places.region.as_ref(), "SPACES_REGION", &variable);
    let region = region.as_deref().map(Region::parse).transpose()?;
    // A region that was given beats a server that the environment has.
    let variable = |name: &str| match places.region {
        Some(_) if places.endpoint.is_none() => None,
        _ => variable(name),
    };
    match (said(places.endpoint.as_ref(), "SPACES_ENDPOINT_URL", &variable), region) {
        (Some(url), region) => {
            let address =
                Address::parse(&url).map_err(|why| format!("the URL of Spaces: {why}"))?;
            Endpoint::at(address, region)
        }
        (None, Some(region)) => Endpoint::spaces(&region),
        (None, None) => Err(
            "there is no region of Spaces: name it, or set SPACES_REGION or SPACES_ENDPOINT_URL"
                .into(),
        ),
    }
}

/// The key for a server, from the environment.
///
/// # Errors
/// If there is none, a half of it, or one that the server does not take.
pub fn keys(
    endpoint: &Endpoint,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Keys, String> {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    for (id, secret) in VARIABLES {
        let (access, key) = match (set(id), set(secret)) {
            (None, None) => continue,
            (Some(access), Some(key)) => (access, key),
            (Some(_), None) => return Err(format!("{id} is set, and {secret} is missing")),
            (None, Some(_)) => return Err(format!("{secret} is set, and {id} is missing")),
        };
        let mut keys =
            Keys::new(&access, &key).map_err(|why| format!("{id} and {secret}: {why}"))?;
        if let Some(session) = set(SESSION).filter(|_| id.starts_with("AWS_")) {
            if endpoint.is_spaces() {
                return Err(format!(
                    "{SESSION} is set: the key in {id} is a temporary one of AWS, and Spaces has none such; set SPACES_ACCESS_KEY_ID and SPACES_SECRET_ACCESS_KEY"
                ));
            }
            let session = Secret::new(&session).map_err(|why| format!("{SESSION}: {why}"))?;
            keys.session = Some(session);
        }
        return Ok(keys);
    }
    Err("there is no key of Spaces: set SPACES_ACCESS_KEY_ID and SPACES_SECRET_ACCESS_KEY".into())
}

/// What was given, or a variable that is set.
fn said(
    given: Option<&String>,
    name: &str,
    variable: &impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let given = given.cloned().or_else(|| variable(name));
    given.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}
