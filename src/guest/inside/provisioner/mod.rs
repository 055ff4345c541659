//! What sets a Droplet up when it boots first: whether there is such a thing, whether it starts, and what it does.

// until the driver is there
#![allow(dead_code)]

mod cloud_init;

#[doc(hidden)]
pub use cloud_init::ds_identify;
