//! Arguments on which servers are asked for a URL, and how slow they may be.

use clap::Args;

use crate::bytes::{Hostile, read_size};

/// Whom a URL may lead to, and how slow it may be.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct ReachArgs {
    /// Ask only servers at addresses that can be reached from anywhere, redirects included. Nothing is sent to any
    /// other; through a proxy nothing is asked at all.
    #[arg(long)]
    pub(in crate::cli) public_only: bool,

    /// Bytes a second that a URL has to bring at least, on average over the time of --timeout; 0 is no limit. Each of
    /// several connections has its share.
    #[arg(long, value_name = "SIZE", default_value = "1KiB", value_parser = rate)]
    pub(in crate::cli) min_rate: u64,
}

impl Default for ReachArgs {
    fn default() -> Self {
        ReachArgs { public_only: false, min_rate: 1 << 10 }
    }
}

fn rate(text: &str) -> Result<u64, String> {
    let none = (text == "0").then_some(0);
    none.or_else(|| read_size(text)).ok_or_else(|| {
        format!("{} is no rate; it is bytes a second, such as 10KiB", Hostile::from(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_of_0_is_no_limit() {
        assert_eq!(rate("0"), Ok(0));
        assert_eq!(rate("10KiB"), Ok(10 << 10));
        assert!(rate("slow").is_err());
    }
}
