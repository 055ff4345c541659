//! The whole job as one transaction: check an image and stage it in the same pass, create it, wait for the
//! import, spread it, and leave nothing behind.
//!
//! The room knows the steps, their order and what undoes each one; the journal that tells of them; and the
//! sweep that ends what a killed run began. It knows no formats, and prints nothing.

mod again;
mod back;
mod check;
mod clean;
mod compared;
mod create;
mod cut;
mod entry;
mod event;
mod gone;
mod handed;
mod journal;
mod looking;
mod mint;
mod object;
mod order;
mod owner;
mod parts;
mod probe;
mod pushed;
mod remote;
mod run;
mod spread;
mod stage;
mod state;
mod stop;
mod stored;
mod sweep;
mod upload;
pub mod within;
mod world;

pub use event::{Event, Listener, Step};
pub use journal::{JournalError, could_begin};
pub use mint::Temporary;
pub use order::{NewImage, Order, Repack, Route, fingerprint, stem};
pub use probe::{Trial, Tried, try_bucket};
pub use pushed::{Pushed, RegionOutcome, Source, Staged};
pub use remote::sweep_remote;
pub use run::push;
pub use stop::Stop;
pub use sweep::{
    Connect, Started, StepOutcome, Sweep, Swept, SweptState, Unfinished, Unlisted, alive, sweep,
    unfinished,
};
pub use world::{Cancel, Cancelled, Canceller, Mint, World};

/// What the keys of all objects begin with that pushes make.
pub const PREFIX: &str = "tidegate/";
