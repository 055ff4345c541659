//! DigitalOcean's API for images: a typed client.
//!
//! The room knows the requests, the answers and how they go wrong: [`Client::images`],
//! [`Client::actions`], [`Client::account`], [`Client::regions`], [`wait`](mod@wait) and the credentials. Types are named as
//! in DigitalOcean's OpenAPI description. It knows nothing of disk images.

mod account;
mod actions;
mod budget;
mod client;
mod create;
pub mod credentials;
mod error;
mod images;
mod keys;
mod lenient;
mod names;
mod page;
pub(crate) mod posting;
mod regions;
mod token;
mod transfer;
mod types;
pub mod wait;

pub use account::Accounts;
pub use actions::{Actions, ImageActions};
pub use budget::Budget;
pub use client::{Client, Event, Listener, Options, PUBLISHED};
pub use create::{CreateError, Created, PushId, Settling};
pub use error::{Error, Kind};
pub use images::{Deleted, Filter, ImageKey, Images};
pub(crate) use keys::is_access;
pub use keys::{Keys, ListedKey, SpacesKey};
pub use names::{
    ActionStatus, ActionType, Distribution, ImageStatus, ImageType, QueryType, RegionSlug, nearest,
};
pub use page::{MOST_PAGES, Pages, Unread};
pub use regions::Regions;
pub use token::Token;
pub use transfer::{Transferred, transfer, unknown_start};
pub use types::{
    Action, ErrorBody, Image, ImageNewCustom, ImageUpdate, MetaProperties, NewAction, PageLinks,
    Pagination, Region,
};
