//! The running home.

pub mod defaults;
pub mod node;
pub mod views;
