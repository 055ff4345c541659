//! One HTTP client for everything that leaves the machine.
//!
//! The room knows requests, redirects, time limits, trust, retries, signatures, and how to speak of
//! an address without its secrets. It knows nothing of what is fetched. Requests are async; [`Client::wait`] is
//! how threads wait for them.

mod address;
mod call;
mod client;
mod date;
mod failure;
mod flow;
mod header;
mod pace;
mod reach;
mod retry;
mod secret;
mod sign;
mod trust;

pub use address::Address;
pub use call::{Called, Request, WHOLE_AFTER};
pub use client::{Answer, Client, Hop, Log, Options};
pub use date::time;
pub use failure::{Failure, Kind};
pub use header::Header;
pub use pace::Pace;
pub use reach::{as_host, is_public};
pub use reqwest::Method;
pub use reqwest::header::{HeaderName, HeaderValue};
pub use retry::{Backoff, LONGEST_ASKED, Retry, retry_after};
pub use secret::Secret;
pub(crate) use secret::masked_text;
pub use sign::{Headers, Signer, encode};
