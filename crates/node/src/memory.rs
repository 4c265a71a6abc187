//! What a home without a data directory keeps for as long as the program wants: its key and its store.
//!
//! A [`Memory`] outlives the home that runs on it, so that a home that is stopped and started again is the same
//! home: peers know its key, and what was changed meanwhile is put together with what it had.
//!
//! ```no_run
//! # use crosshome_node::{config::Config, home::{Home, Options}, memory::Memory};
//! # async fn example(config: Config) -> Result<(), Box<dyn std::error::Error>> {
//! let memory = Memory::default();
//! let options = || Options { memory: Some(memory.clone()), ..Options::default() };
//! Home::start_with(config.clone(), options())?.stop().await;
//! let same = Home::start_with(config, options())?;
//! # drop(same);
//! # Ok(())
//! # }
//! ```

use std::sync::{Arc, OnceLock};

use crate::{
    identity::Identity,
    store::{Shelf, Store, StoreError, Stored},
};

/// Key and store of a home that keeps nothing on disk; dropped with its last clone and the home.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    identity: Arc<OnceLock<Identity>>,
    shelf: Shelf,
}

impl Memory {
    /// Returns the home's key, made at the first call.
    pub(crate) fn identity(&self) -> Identity {
        self.identity.get_or_init(Identity::generate).clone()
    }

    /// Opens the store as the last home has left it.
    pub(crate) fn store(&self) -> Result<(Store, Stored), StoreError> {
        Store::on_shelf(self.shelf.clone())
    }
}
