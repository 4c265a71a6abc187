//! The running home.

pub mod config;
pub mod defaults;
