//! tidegate: a streaming gate for disk images on their way to DigitalOcean.
//!
//! The rooms, from the lowest to the highest; imports go down only:
//! [`bytes`], [`facts`], `net`, `digitalocean`, `spaces`, [`source`], [`codec`], [`formats`], [`guest`],
//! [`rules`], [`inspect`], `simulator`, `push`, [`project`], [`render`], [`cli`].

#![warn(clippy::unwrap_used)]

pub mod bytes;
pub mod cli;
pub mod codec;
#[cfg(feature = "net")]
pub mod digitalocean;
pub mod facts;
pub mod formats;
pub mod guest;
pub mod inspect;
#[cfg(feature = "net")]
pub mod net;
pub mod project;
#[cfg(feature = "net")]
pub mod push;
pub mod render;
pub mod rules;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod source;
#[cfg(feature = "net")]
pub mod spaces;
