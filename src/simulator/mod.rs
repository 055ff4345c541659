//! DigitalOcean's images API and a Spaces bucket on this machine: the same paths, bodies, headers and delays, and faults by plan.
//!
//! Nothing here is shared with a client of the API, so that each can be held against what DigitalOcean
//! publishes. An import really fetches its URL and examines the image by [`crate::inspect`]. What is
//! not known of DigitalOcean is marked where it is made up.

mod actions;
mod api;
mod bucket;
mod clock;
mod faults;
mod images;
mod import;
mod keys;
mod limits;
mod log;
mod model;
mod pages;
mod regions;
mod reply;
mod server;
mod store;
mod tags;
mod token;

use crate::bytes::Small;

/// What the simulator writes down of itself.
const STATE: Small = Small { what: "a state of the simulator", most: 64 << 20 };

pub use faults::Plan;
pub use limits::Rates;
pub use server::{Options, Shape, Simulator, Spaces};
