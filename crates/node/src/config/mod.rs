//! The configuration: one YAML block, the environment and flags, as one checked [`Config`].
//!
//! It stands before everything else: the program reads it once at start and hands
//! typed values inward. What always holds: every value of a [`Config`] has been
//! checked; all mistakes are told at once, each with its place and what was probably
//! meant ([`ConfigErrors`]); no secret is ever shown; nothing outside the directory of the
//! main file is read; other blocks of the file are none of our business.
//!
//! A file becomes a tree with places (`yaml`), tags are resolved while our block is
//! walked (`reader`, `files`), and one table of keys (`keys`) says what may stand where. The same
//! table gives [`Config::schema`] and `docs/configuration.md`.
//!
//! ```
//! use crosshome_node::config::{Config, Origin, Override, Sources};
//!
//! let flag = Override { key: "sync.port".into(), value: "9000".into(), flag: "--sync-port".into() };
//! let loaded = Config::load(&Sources { overrides: vec![flag], ..Sources::default() })?;
//! assert_eq!(loaded.config.sync.port, 9000);
//! assert_eq!(loaded.origin("sync.port"), Origin::Flag { name: "--sync-port".into() });
//! assert_eq!(loaded.origin("api.port"), Origin::Default);
//! # Ok::<(), crosshome_node::config::ConfigErrors>(())
//! ```

mod block;
mod check;
mod choices;
mod files;
mod keys;
mod load;
mod names;
mod nearest;
mod pattern;
mod peer_address;
mod place;
mod problem;
mod reader;
mod render;
mod rules;
mod schema;
mod secret;
mod setting;
mod texts;
mod types;
mod yaml;

#[cfg(test)]
mod tests;

pub use choices::{LogFormat, LogLevel};
pub use load::{Loaded, Override, Shown, Sources, Warning};
pub use names::{HomeName, HomeNameError, HomeRef, InterfaceName};
pub use pattern::{EntityPattern, EntityPatternError};
pub use peer_address::{PeerAddress, PeerAddressError};
pub use place::Origin;
pub use problem::{ConfigError, ConfigErrors, Problem};
pub use rules::{ConflictRule, ShareRule};
pub use secret::Secret;
pub use texts::{BridgeUrl, Template};
pub use types::{
    ApiConfig, Config, ConflictConfig, DiscoveryConfig, EncryptionConfig, HomeAssistantConfig, LogConfig,
    SyncConfig,
};
