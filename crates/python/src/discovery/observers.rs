//! Who wants to hear of homes that come, change and go.
//!
//! What always holds: a function for homes that come hears of every home once, also of those that were in sight before it
//! was given; all run on the event loop that called `start()`.

use std::{collections::BTreeMap, sync::Mutex};

use crosshome_node::discovery::{DiscoveryEvent, Sighting};
use pyo3::{
    gc::{PyTraverseError, PyVisit},
    prelude::*,
    types::PyTuple,
};

use super::info::PeerInfo;
use crate::{callbacks::Callbacks, locks::locked};

/// What is heard on the event loop.
pub(super) enum Heard {
    /// Of a home.
    Home(DiscoveryEvent),
    /// Of a function that was given while the search was running.
    Late,
}

/// The functions to call, and what they have been told.
#[derive(Default)]
pub(super) struct Observers {
    pub(super) discovered: Callbacks,
    /// Those for homes that come which have not been told of those in sight.
    pub(super) late: Callbacks,
    pub(super) updated: Callbacks,
    pub(super) lost: Callbacks,
    // Held for a moment; the homes in sight, as told.
    known: Mutex<BTreeMap<String, Sighting>>,
}

impl Observers {
    /// Begins anew: every home in sight will be told once more.
    pub(super) fn forget(&self) {
        locked(&self.known).clear();
        self.discovered.take_over(&self.late);
    }

    /// Tells what was heard.
    pub(super) fn hear(&self, py: Python<'_>, heard: Heard) -> PyResult<()> {
        self.welcome(py)?;
        match heard {
            Heard::Home(DiscoveryEvent::Found(home)) => {
                self.note(&home);
                tell(py, &self.discovered, &home)
            }
            Heard::Home(DiscoveryEvent::Updated(home)) => {
                self.note(&home);
                tell(py, &self.updated, &home)
            }
            Heard::Home(DiscoveryEvent::Lost { id }) => {
                let home = locked(&self.known).remove(&id);
                home.map_or(Ok(()), |home| tell(py, &self.lost, &home))
            }
            Heard::Home(_) | Heard::Late => Ok(()),
        }
    }

    /// Tells those who came late of the homes in sight; from then on they are as the others.
    fn welcome(&self, py: Python<'_>) -> PyResult<()> {
        if self.late.is_empty() {
            return Ok(());
        }
        let guests = Callbacks::default();
        guests.take_over(&self.late);
        let known: Vec<_> = locked(&self.known).values().cloned().collect();
        let told = known.iter().try_for_each(|home| tell(py, &guests, home));
        self.discovered.take_over(&guests);
        told
    }

    fn note(&self, home: &Sighting) {
        locked(&self.known).insert(home.id.clone(), home.clone());
    }

    /// Shows Python's garbage collector what is held.
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.all().into_iter().try_for_each(|callbacks| callbacks.traverse(visit))
    }

    /// Forgets every function.
    pub(super) fn clear(&self) {
        self.all().into_iter().for_each(Callbacks::clear);
    }

    fn all(&self) -> [&Callbacks; 4] {
        [&self.discovered, &self.late, &self.updated, &self.lost]
    }
}

fn tell(py: Python<'_>, callbacks: &Callbacks, home: &Sighting) -> PyResult<()> {
    callbacks.call(py, || PyTuple::new(py, [PeerInfo::of(home)]))
}
