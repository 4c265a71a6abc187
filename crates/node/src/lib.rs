//! The running home.

pub mod defaults;
pub mod discovery;
