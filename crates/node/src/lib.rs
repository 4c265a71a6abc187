//! The running home.

pub mod defaults;
pub mod store;
