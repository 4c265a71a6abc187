//! Commands to a device in another home, and what became of them.
//!
//! Only the owner's home reports a device's state, so whoever wants it otherwise
//! sends an [`Intent`] and hears an [`Outcome`]. An intent names the call or the
//! wanted values, and lives for seconds: late is worse than never.

use crate::{
    EntityId, defaults,
    dot::Dot,
    json::{Json, Members},
};

/// A command to the owner of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Its name for ever.
    pub id: Dot,
    /// The device, in the receiver's own space.
    pub entity: EntityId,
    /// What is wanted.
    pub wish: Wish,
    /// How long it may still be carried out, in milliseconds from its stamp.
    pub ttl_ms: u64,
}

/// What a command wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// These values: the state, and single attributes.
    Set {
        /// The wanted state.
        state: Option<Json>,
        /// The wanted attributes.
        attributes: Members,
    },
    /// This service of Home Assistant, with its data as a JSON object.
    Call {
        /// `domain.service`
        service: Box<str>,
        /// A JSON object.
        data: Json,
    },
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The command.
    pub id: Dot,
    /// How far it came.
    pub status: Status,
}

/// How far a command came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The owner's house has taken it on.
    Accepted,
    /// The device does what was wanted.
    Settled,
    /// The sender has no right, or the house cannot do it.
    Rejected,
    /// Its time was over before the device did it.
    Expired,
}

impl Intent {
    /// Tells whether the command may still be carried out.
    pub fn alive(&self, now_ms: u64) -> bool {
        now_ms < self.id.hlc.ms().saturating_add(self.ttl_ms)
    }
}

/// Returns how long a command to this entity may wait.
pub fn ttl_ms(entity: &EntityId) -> u64 {
    match entity.domain() {
        "lock" | "alarm_control_panel" | "cover" => defaults::RISKY_INTENT_TTL_MS,
        _ => defaults::INTENT_TTL_MS,
    }
}
