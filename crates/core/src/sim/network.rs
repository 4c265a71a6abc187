//! The virtual network: per pair of homes one link of two wires, which give what a channel gives: each frame once and in
//! its order, until the link is cut.

use std::collections::{HashMap, VecDeque};

use crate::{
    EntityId, HomeId, Space,
    wire::{Message, Offer, Said},
};

/// A link between two homes; wire 0 leads from the first to the second.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) up: bool,
    /// When a link that is down comes up again.
    pub(super) retry_at: u64,
    pub(super) wires: [Wire; 2],
}

/// One direction of a link.
#[derive(Debug, Default)]
pub(super) struct Wire {
    pub(super) frames: VecDeque<(u64, Vec<u8>)>,
    pub(super) stalled: bool,
    /// How many frames may be under way: few for a slow reader.
    pub(super) window: usize,
    pub(super) delay_ms: u64,
    eye: Eye,
}

impl Link {
    /// Loses everything under way.
    pub(super) fn cut(&mut self, retry_at: u64) {
        (self.up, self.retry_at) = (false, retry_at);
        for wire in &mut self.wires {
            wire.frames.clear();
            wire.eye = Eye::default();
        }
    }
}

impl Wire {
    /// Takes a frame that arrives after the delay, and never before an earlier one.
    pub(super) fn put(&mut self, frame: Vec<u8>, now: u64) {
        let due = self.frames.back().map_or(0, |(due, _)| *due).max(now + self.delay_ms);
        self.frames.push_back((due, frame));
    }

    /// Returns the next frame that has arrived.
    pub(super) fn take(&mut self, now: u64) -> Option<Vec<u8>> {
        let due = !self.stalled && self.frames.front().is_some_and(|(due, _)| *due <= now);
        due.then(|| self.frames.pop_front().map(|(_, frame)| frame)).flatten()
    }

    /// Reads a frame as somebody who sees everything, and returns what it says and the entities that it speaks of.
    pub(super) fn read(
        &mut self,
        frame: &[u8],
        from: HomeId,
        to: HomeId,
    ) -> (String, Vec<(Space, EntityId)>) {
        self.eye.read(frame, from, to)
    }
}

/// Follows one direction of a session, for the checks.
#[derive(Debug, Default)]
struct Eye {
    said: Said,
    names: HashMap<u32, (Space, EntityId)>,
}

impl Eye {
    fn read(&mut self, frame: &[u8], from: HomeId, to: HomeId) -> (String, Vec<(Space, EntityId)>) {
        let Ok(offer) = Offer::decode(frame, from, to, &mut self.said) else {
            return (format!("{:?}", Message::decode(frame)), Vec::new());
        };
        let (mut seen, said) = (Vec::new(), format!("{:?} {} {:?}", offer.seq, offer.end, offer.items));
        for item in offer.items {
            if let Some(name) = item.name {
                self.names.insert(item.number, name);
            }
            seen.extend(self.names.get(&item.number).cloned());
        }
        (said, seen)
    }
}
