//! Rows to store.

use crosshome_core::{
    EntityKey, HomeId, Space,
    dot::Actor,
    record,
    replica::{Options, Replica},
    table::{Class, Entity},
    update::Update,
    version::Cause,
};

use crate::store::{Batch, EntityRow, Store};

/// The home whose store it is.
pub(super) const HERE: HomeId = HomeId([1; 32]);

/// A home with entities to change.
pub(super) struct Scene {
    pub(super) replica: Replica,
    flushed: u64,
}

impl Scene {
    pub(super) fn new() -> Self {
        Self { replica: Replica::new(HERE, Options::default()), flushed: 0 }
    }

    /// Sets the state of the entity of this number.
    pub(super) fn set(&mut self, number: u64, state: &str) {
        let key = key(number);
        let time = 1_000 + self.replica.table().head();
        let update = Update::replace(state, r#"{"friendly_name":"Living room lamp","brightness":128,"supported_features":40,"icon":"mdi:lamp"}"#).unwrap();
        self.replica.update(&key, Class::Device, &update, Cause::Device, time).expect("it is an own entity");
    }

    /// Collects what has changed since the last call, as the loop does.
    pub(super) fn batch(&mut self, durable: bool) -> Batch {
        let changed = self.replica.table().since(self.flushed);
        let entities = changed.map(|(_, entity)| (entity.key.clone(), Some(EntityRow::of(entity)))).collect();
        self.flushed = self.replica.table().head();
        Batch { durable, head: self.flushed, actor: Some(Actor::first(HERE)), entities, ..Batch::default() }
    }
}

pub(super) fn key(number: u64) -> EntityKey {
    EntityKey { space: Space::Home(HERE), id: format!("sensor.number_{number}").parse().unwrap() }
}
