//! What sets a Droplet up when it boots first: whether there is such a thing, whether it starts, and what it does.

mod cloud_init;
mod others;

#[doc(hidden)]
pub use cloud_init::DsIdentify;

use super::{Case, Provisioner};
use crate::facts::Code;
use crate::guest::fs::Trouble;

/// Looks for what sets a Droplet up, and judges it.
///
/// # Errors
/// If it cannot be read.
pub(super) fn judge(case: &mut Case<'_, '_>) -> Result<(), Trouble> {
    if cloud_init::judge(case)? || others::judge(case)? {
        return Ok(());
    }
    case.book.found(
        Code::ProvisionerMissing,
        "Nothing that takes the owner's keys from a Droplet was found: neither cloud-init nor Ignition, nor any service of the image's own that asks 169.254.169.254.",
    );
    Ok(())
}

/// Notes by which name it goes in reports.
fn named(case: &mut Case<'_, '_>, name: &str, datasource: Option<&str>) {
    let (name, datasource) = (name.to_owned(), datasource.map(str::to_owned));
    case.inside.provisioner = Some(Provisioner { name, version: None, datasource });
}
