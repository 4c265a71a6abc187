//! Whom this home admits: the pinned keys, and whether the door for pairing is open.
//!
//! Both are read live by every handshake, so a key revoked now is refused from now on.
//!
//! ```
//! use crosshome_node::{channel::Pins, identity::Identity};
//! let (pins, cabin) = (Pins::default(), Identity::generate().key());
//! pins.insert(cabin);
//! assert!(pins.contains(&cabin));
//! pins.deny(cabin.id());
//! assert!(!pins.contains(&cabin) && pins.is_denied(&cabin.id()));
//! ```

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crosshome_core::HomeId;

use crate::identity::{PeerKey, Spki};

/// The remembered keys of peers; cloning gives another handle to the same set.
#[derive(Debug, Clone, Default)]
pub struct Pins {
    // Held for one lookup or change; the handshakes of many tasks read it.
    lists: Arc<Mutex<Lists>>,
}

#[derive(Debug, Default)]
struct Lists {
    pinned: HashMap<HomeId, Spki>,
    denied: HashSet<HomeId>,
}

impl Pins {
    /// Remembers `key`; a denial of its home ends, because this follows a new pairing.
    pub fn insert(&self, key: PeerKey) {
        let mut lists = self.lists();
        lists.denied.remove(&key.id());
        lists.pinned.insert(key.id(), key.spki());
    }

    /// Forgets the key of `id`.
    pub fn remove(&self, id: &HomeId) {
        self.lists().pinned.remove(id);
    }

    /// Forgets the key of `id` and puts it on the deny list.
    pub fn deny(&self, id: HomeId) {
        let mut lists = self.lists();
        lists.pinned.remove(&id);
        lists.denied.insert(id);
    }

    /// Tells whether exactly this key is remembered.
    pub fn contains(&self, key: &PeerKey) -> bool {
        self.lists().pinned.get(&key.id()) == Some(&key.spki())
    }

    /// Tells whether a key of `id` is remembered.
    pub fn knows(&self, id: &HomeId) -> bool {
        self.lists().pinned.contains_key(id)
    }

    /// Tells whether `id` was revoked and not paired again.
    pub fn is_denied(&self, id: &HomeId) -> bool {
        self.lists().denied.contains(id)
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        // No change leaves the lists half done, so they are sound even after a panic elsewhere.
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether strangers are admitted to the pairing protocol; closed until somebody opens it.
#[derive(Debug, Clone, Default)]
pub struct Door(Arc<AtomicBool>);

impl Door {
    /// Admits strangers to the pairing protocol from now on.
    pub fn open(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Refuses strangers from now on.
    pub fn close(&self) {
        self.0.store(false, Ordering::Release);
    }

    /// Tells whether strangers are admitted.
    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    #[test]
    fn new_pairing_lifts_a_denial() {
        let (pins, cabin) = (Pins::default(), Identity::generate().key());
        pins.deny(cabin.id());
        pins.insert(cabin);
        assert!(pins.contains(&cabin) && !pins.is_denied(&cabin.id()));
    }

    #[test]
    fn key_of_another_home_is_not_contained() {
        let pins = Pins::default();
        pins.insert(Identity::generate().key());
        assert!(!pins.contains(&Identity::generate().key()));
    }

    #[test]
    fn clone_sees_what_the_other_learns() {
        let (pins, cabin) = (Pins::default(), Identity::generate().key());
        let other = pins.clone();
        pins.insert(cabin);
        assert!(other.contains(&cabin));
        other.remove(&cabin.id());
        assert!(!pins.contains(&cabin));
    }
}
