//! The running home.

pub mod channel;
pub mod defaults;
pub mod identity;
pub mod defaults;
pub mod discovery;
pub mod config;
pub mod defaults;
pub mod defaults;
pub mod http;
pub mod node;
pub mod views;
