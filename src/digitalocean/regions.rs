use std::time::{Duration, Instant};

use super::client::{Again, Call, Client};
use super::error::{Error, Kind};
use super::page::Pages;
use super::types::Region;

const PATH: &str = "v2/regions";
const SCOPE: &str = "regions:read";

/// For how long [`Regions::once`] waits: nobody's work should wait long for a hint.
const BRIEF: Duration = Duration::from_secs(10);

/// As many as a page may have (DigitalOcean API, pagination: `per_page`); there are about fifteen regions.
const PAGE: usize = 200;

/// `/v2/regions`.
#[derive(Clone, Debug)]
pub struct Regions(pub(super) Client);

impl Regions {
    /// `GET /v2/regions`: all of them, with what each offers.
    #[must_use]
    pub fn list(&self) -> Pages<Region> {
        Pages::new(self.0.clone(), PATH.into(), "regions", SCOPE)
    }

    /// All regions by a single call of ten seconds at most, to hold a name against.
    ///
    /// # Errors
    /// If they cannot be had at once, as when there are more of them than a page takes; a token for images need not have the scope `regions:read`.
    pub async fn once(&self) -> Result<Vec<Region>, Error> {
        let call = Call::get(format!("{PATH}?per_page={PAGE}"), SCOPE);
        let client = self.0.until(Instant::now() + BRIEF);
        let regions: Vec<Region> =
            client.ask(&Call { again: Again::Never, ..call }, "regions").await?;
        match regions.len() {
            0 => Err(Error::new(Kind::Incomplete, "the API has no regions")),
            PAGE.. => {
                Err(Error::new(Kind::Incomplete, "the API has more regions than a page takes"))
            }
            _ => Ok(regions),
        }
    }
}
