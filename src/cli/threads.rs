//! How many threads the user wants.

use super::Usage;
use crate::bytes::Hostile;

/// The variable that says it.
const THREADS: &str = "TIDEGATE_THREADS";

/// More are of no use.
const MOST: usize = 1024;

/// Threads that decode gzip and bzip2: what the environment says, or else what the machine and the quota of the process allow.
pub(super) fn threads() -> Result<usize, Usage> {
    let Some(said) = std::env::var_os(THREADS).filter(|said| !said.is_empty()) else {
        return Ok(std::thread::available_parallelism().map_or(1, usize::from));
    };
    let count = said.to_str().and_then(|text| text.parse().ok());
    count.filter(|count| (1..=MOST).contains(count)).ok_or_else(|| {
        let said = Hostile::from_os(&said);
        Usage(format!("{THREADS} is \"{said}\", and has to be a number from 1 to {MOST}"))
    })
}
