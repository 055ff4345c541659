use super::client::Client;
use super::page::Pages;
use super::types::Region;

/// `/v2/regions`.
#[derive(Clone, Debug)]
pub struct Regions(pub(super) Client);

impl Regions {
    /// `GET /v2/regions`: all of them, with what each offers.
    #[must_use]
    pub fn list(&self) -> Pages<Region> {
        Pages::new(self.0.clone(), "v2/regions".into(), "regions", "regions:read")
    }
}
