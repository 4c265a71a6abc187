//! The running home: loop, store, links, discovery, bridges, HTTP.

pub mod backup;
pub mod bridge;
pub mod channel;
pub mod config;
pub mod custom;
pub mod database;
pub mod defaults;
pub mod discovery;
mod event_loop;
#[cfg(feature = "fuzz")]
pub mod fuzz;
pub mod home;
pub mod http;
pub mod identity;
pub mod memory;
pub mod node;
mod policies;
pub mod store;
pub mod views;
