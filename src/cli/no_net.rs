//! In the place of `net.rs` when the program is built without URLs.

use std::ffi::OsStr;

use super::args::NetArgs;
use super::jobs::Teller;
use super::{Usage, project};
use crate::bytes::Small;
use crate::inspect::Options;
use crate::source::{Client, is_url};

/// Refuses URLs.
pub(super) fn client<'a>(
    _: &NetArgs,
    _: bool,
    images: impl IntoIterator<Item = &'a OsStr>,
    others: impl IntoIterator<Item = &'a OsStr>,
) -> Result<Option<Client>, Usage> {
    for argument in images.into_iter().chain(others) {
        project::means_one_thing(argument)?;
        if is_url(argument) {
            return Err(Usage("this tidegate was built without URLs (feature \"net\")".into()));
        }
    }
    Ok(None)
}

/// Is never called: there is no client.
pub(super) fn fetch(client: &Client, _: &OsStr, _: Small) -> Result<Vec<u8>, String> {
    match *client {}
}

/// There are no requests.
pub(super) fn tell(_: &mut Options, _: &Teller) {}
