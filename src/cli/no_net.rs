//! In the place of `net.rs` when the program is built without URLs.

use std::ffi::OsStr;

use super::Usage;
use super::args::NetArgs;
use crate::source::{Client, is_url};

/// Refuses URLs.
pub(super) fn client<'a>(
    _: &NetArgs,
    _: bool,
    arguments: impl IntoIterator<Item = &'a OsStr>,
) -> Result<Option<Client>, Usage> {
    match arguments.into_iter().any(is_url) {
        true => Err(Usage("this tidegate was built without URLs (feature \"net\")".into())),
        false => Ok(None),
    }
}

/// Is never called: there is no client.
pub(super) fn fetch(client: &Client, _: &OsStr, _: usize) -> Result<Vec<u8>, String> {
    match *client {}
}
