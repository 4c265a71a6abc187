//! The running home.

pub mod defaults;
pub mod http;
pub mod node;
pub mod views;
