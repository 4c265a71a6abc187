//! One direction of a link: what is under way, and what somebody who sees everything reads of it.

use std::{
    collections::{BTreeMap, VecDeque},
    hash::{Hash, Hasher},
};

use crosshome_core::{
    EntityKey, HomeId,
    wire::{Offer, Said},
};

/// One direction of a link.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire {
    pub(crate) frames: VecDeque<Vec<u8>>,
    said: Said,
    names: BTreeMap<u32, EntityKey>,
}

/// What was said before follows from the sender's session, which is part of the state already.
impl Hash for Wire {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.frames.hash(state);
    }
}

impl Wire {
    /// Takes a frame, and returns the entities that it speaks of.
    pub(crate) fn put(&mut self, frame: Vec<u8>, from: HomeId, to: HomeId) -> Vec<EntityKey> {
        let offer = Offer::decode(&frame, from, to, &mut self.said);
        self.frames.push_back(frame);
        let mut spoken_of = Vec::new();
        for item in offer.into_iter().flat_map(|offer| offer.items) {
            if let Some((space, id)) = item.name {
                self.names.insert(item.number, EntityKey { space, id });
            }
            spoken_of.extend(self.names.get(&item.number).cloned());
        }
        spoken_of
    }
}
