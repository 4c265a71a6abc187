//! What a home has on its disk: what the store keeps, in the form in which it keeps it.
//!
//! A flush follows the change log from the place of the last one, as the store
//! does, so a change that does not move its entity in the log is lost here too.

use std::collections::BTreeMap;

use crate::{
    EntityId, EntityKey, HomeId,
    dot::{Actor, Dot},
    epoch::{Cursor, Epochs},
    grant::Grants,
    hlc::Hlc,
    policy::{JointPolicy, Policy},
    record::{self, Place},
    replica::{Options, Replica},
};

/// The durable state of one home.
#[derive(Clone, Debug)]
pub struct Disk {
    actor: Actor,
    clock: Hlc,
    head: u64,
    rows: BTreeMap<EntityKey, (Place, Vec<u8>)>,
    grants: Grants,
    policy: Policy,
    joint_policy: Option<JointPolicy>,
    gone: Vec<(HomeId, EntityId, u64)>,
    epochs: Epochs,
    cursors: BTreeMap<HomeId, Cursor>,
    /// The intents that were taken and may come again.
    pub(super) taken: Vec<Dot>,
}

impl Disk {
    /// Returns the empty disk of a home.
    pub fn new(home: HomeId) -> Self {
        Self {
            actor: Actor::first(home),
            clock: Hlc::default(),
            head: 0,
            rows: BTreeMap::new(),
            grants: Grants::default(),
            policy: Policy::default(),
            joint_policy: None,
            gone: Vec::new(),
            epochs: Epochs::default(),
            cursors: BTreeMap::new(),
            taken: Vec::new(),
        }
    }

    /// Makes everything so far durable, in one transaction.
    pub fn flush(&mut self, replica: &Replica, removed: &mut Vec<EntityKey>) {
        removed.drain(..).for_each(|key| {
            self.rows.remove(&key);
        });
        for (_, entity) in replica.table().since(self.head) {
            self.rows.insert(entity.key.clone(), (Place::of(entity), record::encode(entity)));
        }
        self.head = replica.table().head();
        self.actor = replica.actor();
        self.grants = replica.grants.clone();
        self.policy = replica.policy().clone();
        self.joint_policy = replica.joint_policy().cloned();
        self.epochs = replica.epochs.clone();
        self.cursors = replica.cursors.clone();
        let of = |peer| replica.gone(peer).map(move |(id, seq)| (peer, id.clone(), seq));
        self.gone = replica.gone_peers().flat_map(of).collect();
    }

    /// Stores the clock's high-water mark ahead, when it is passed.
    pub fn keep_clock(&mut self, replica: &Replica, now_ms: u64) {
        if replica.clock().last() > self.clock {
            self.clock = replica.clock().ahead(now_ms);
        }
    }

    /// Lets the clock's mark fall to the present: the home's clock had leapt ahead.
    pub fn forget_clock(&mut self) {
        self.clock = Hlc::default();
    }

    /// Starts a home from what is here.
    pub fn start(&self, options: Options) -> Replica {
        let mut replica = Replica::restore(self.actor, self.clock, self.head, options);
        let read = |(place, bytes): &(Place, Vec<u8>)| {
            record::decode(place.clone(), bytes).expect("what was stored can be read")
        };
        replica.put_back(self.rows.values().map(read));
        for (peer, id, seq) in &self.gone {
            replica.put_back_gone(*peer, id.clone(), *seq);
        }
        replica.grants = self.grants.clone();
        replica.epochs = self.epochs.clone();
        replica.cursors = self.cursors.clone();
        if let Some(joint) = self.joint_policy.clone() {
            replica.put_back_joint_policy(joint);
        }
        let effects = replica.set_policy(self.policy.clone());
        assert_eq!(effects.len(), 1, "strategies are stored with their entities");
        replica
    }
}
