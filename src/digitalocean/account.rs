//! The account that a token is of.

use std::time::{Duration, Instant};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::client::{Again, Call, Client};
use super::error::{Error, Kind};
use super::lenient;
use crate::bytes::hex;

/// For how long it is asked for.
const BRIEF: Duration = Duration::from_secs(10);

/// `account`: what identifies one.
#[derive(Debug, Deserialize)]
struct Account {
    #[serde(default, deserialize_with = "lenient::text")]
    uuid: String,
    #[serde(default)]
    team: Option<Team>,
}

/// `account.team`: who owns what is made.
#[derive(Debug, Deserialize)]
struct Team {
    #[serde(default, deserialize_with = "lenient::text")]
    uuid: String,
}

/// `/v2/account`.
pub struct Accounts(pub(super) Client);

impl Accounts {
    /// What tells the account from others, with salt, in hexadecimal, by a single call of ten seconds at most. All tokens
    /// of a team have the same one, since images and keys are the team's.
    ///
    /// # Errors
    /// If it cannot be had at once; a token for images need not have the scope `account:read`.
    pub async fn digest(&self, salt: &str) -> Result<String, Error> {
        let call = Call::get("v2/account", "account:read");
        let client = self.0.until(Instant::now() + BRIEF);
        let account: Account = client.ask(&Call { again: Again::Never, ..call }, "account").await?;
        let own = match account.team {
            Some(team) if !team.uuid.is_empty() => format!("team {}", team.uuid),
            _ if !account.uuid.is_empty() => format!("account {}", account.uuid),
            _ => return Err(Error::new(Kind::Incomplete, "nothing in it identifies the account")),
        };
        Ok(hex(&Sha256::digest(format!("{salt} {own}"))))
    }
}
