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
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
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
#[non_exhaustive]
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
    let (endpoint, bucket) = place(places, variable)?;
    let keys = match &places.keys {
        Some(keys) => keys.clone(),
        None => keys(&endpoint, variable)?,
    };
    Ok(Found { endpoint, bucket, keys })
}

/// The server and the bucket.
///
/// # Errors
/// If there is none of the two, or the server's URL has the bucket in it.
pub fn place(
    places: &Places,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(Endpoint, BucketName), String> {
    let endpoint = endpoint(places, &variable)?;
    let bucket = bucket(places, &variable)?;
    endpoint.is_apart_from(&bucket)?;
    Ok((endpoint, bucket))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn in_env<'a>(set: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    fn spaces() -> Endpoint {
        Endpoint::spaces(&Region::parse("nyc3").unwrap()).unwrap()
    }

    #[test]
    fn keys_are_pairs_and_have_an_order() {
        let all: Vec<(&str, &str)> =
            VARIABLES.iter().flat_map(|(id, key)| [(*id, *id), (*key, "s3cret")]).collect();
        for first in 0..VARIABLES.len() {
            let found = keys(&spaces(), in_env(&all[2 * first..])).unwrap();
            assert_eq!(found.access, VARIABLES[first].0);
        }
        assert!(keys(&spaces(), in_env(&[])).unwrap_err().contains("set SPACES_ACCESS_KEY_ID"));
        for (id, key) in VARIABLES {
            let said = keys(&spaces(), in_env(&[(id, "AK"), (key, " ")])).unwrap_err();
            assert!(said.ends_with(&format!("{key} is missing")), "{said}");
            let said = keys(&spaces(), in_env(&[(key, "s3cret")])).unwrap_err();
            assert!(said.ends_with(&format!("{id} is missing")), "{said}");
            let said = keys(&spaces(), in_env(&[(id, "A/K"), (key, "s3 cret")])).unwrap_err();
            assert!(said.contains(id) && !said.contains("s3") && !said.contains("A/K"), "{said}");
        }
    }

    #[test]
    fn temporary_keys_are_for_others_than_spaces() {
        let env = [
            ("AWS_ACCESS_KEY_ID", "AK"),
            ("AWS_SECRET_ACCESS_KEY", "s3cret"),
            ("AWS_SESSION_TOKEN", "t0ken"),
        ];
        let said = keys(&spaces(), in_env(&env)).unwrap_err();
        assert!(said.contains("AWS_SESSION_TOKEN is set") && !said.contains("t0ken"), "{said}");
        let local = Endpoint::at(Address::parse("http://127.0.0.1:9").unwrap(), None).unwrap();
        let found = keys(&local, in_env(&env)).unwrap();
        assert!(found.session.is_some());
        assert_eq!(format!("{found:?}"), "Keys(…)");
        // A token of AWS does not belong to a key of Spaces.
        let mut both = env.to_vec();
        both.extend([("SPACES_ACCESS_KEY_ID", "SK"), ("SPACES_SECRET_ACCESS_KEY", "s3cret")]);
        assert!(keys(&spaces(), in_env(&both)).unwrap().session.is_none());
    }

    #[test]
    fn servers_are_named_by_url_or_region() {
        let at = |given: (&str, &str), env: &[(&str, &str)]| {
            let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let (endpoint_url, region) = (text(given.0), text(given.1));
            let places = Places { endpoint: endpoint_url, region, ..Places::default() };
            let found = endpoint(&places, in_env(env))?;
            Ok::<_, String>(format!("{} {}", found.address(), found.region().as_str()))
        };
        let nyc3 = "https://nyc3.digitaloceanspaces.com/ nyc3";
        assert_eq!(at(("", "nyc3"), &[]).unwrap(), nyc3);
        assert_eq!(at(("", ""), &[("SPACES_REGION", "nyc3")]).unwrap(), nyc3);
        assert_eq!(at(("", "nyc3"), &[("SPACES_REGION", "fra1")]).unwrap(), nyc3);
        let env = [("SPACES_ENDPOINT_URL", "https://nyc3.digitaloceanspaces.com")];
        assert_eq!(at(("", ""), &env).unwrap(), nyc3);
        assert!(at(("", "fra1"), &env).unwrap_err().contains("leave one of the two out"));
        assert_eq!(at(("https://s3.example", ""), &env).unwrap(), "https://s3.example/ us-east-1");
        assert_eq!(at(("https://s3.example", "x9"), &env).unwrap(), "https://s3.example/ x9");
        // A region that is too new for this list has a URL.
        let new = "https://mars1.digitaloceanspaces.com";
        assert_eq!(at((new, ""), &[]).unwrap(), format!("{new}/ mars1"));
        assert!(
            at(("", "nyc1"), &[]).unwrap_err().contains("nyc1 has no Spaces: take one of ams3")
        );
        assert!(at(("", ""), &[]).unwrap_err().contains("SPACES_REGION"));
        for bad in [
            "http://nyc3.digitaloceanspaces.com",
            "https://b.nyc3.digitaloceanspaces.com",
            "https://key:s3cret@s3.example",
            "https://s3.example/?s3cret",
            "s3cret",
        ] {
            let said = at((bad, ""), &[]).unwrap_err();
            assert!(!said.contains("s3cret"), "{said}");
        }
        let places = Places { bucket: Some("a.b".into()), ..Places::default() };
        assert!(bucket(&places, in_env(&[])).unwrap_err().contains("dot"));
        let env = [("SPACES_BUCKET", "images")];
        assert_eq!(bucket(&Places::default(), in_env(&env)).unwrap().as_str(), "images");
    }
}
