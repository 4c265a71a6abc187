//! Commands to a device in another home, and what became of them.
//!
//! Only the owner's home reports a device's state, so whoever wants it otherwise
//! sends an [`Intent`] and hears [`Outcome`]s. An intent is carried out at most
//! once and never after its time: late is worse than never. [`Sender`] decides for
//! the home that asks, [`Owner`] for the home whose device it is; both are told
//! what happens and return what is to be done.
//!
//! ```text
//! queued ─▶ sent ─▶ accepted ─▶ applied ─▶ settled
//!    └───────┴─────────┴───────────┴─────▶ rejected, stale, superseded, expired
//! ```
//!
//! No wall clock is asked how old an intent is, see [`Elapsed`].

use crate::{
    EntityId, defaults,
    dot::{Dot, VersionVector},
    groups::STATE,
    json::{Json, Members},
};

mod elapsed;
mod explanation;
mod owner;
mod sender;
#[cfg(test)]
mod tests;

pub use elapsed::{Elapsed, Stopwatch};
pub use explanation::Explanation;
pub use owner::{Answer, Judged, Owner};
pub use sender::{Asked, Sender, Step};

/// A command to the owner of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Its name for ever.
    pub id: Dot,
    /// The device, in the receiver's own space.
    pub entity: EntityId,
    /// What is wanted.
    pub wish: Wish,
    /// Whether the last wish counts, or each one.
    pub kind: Kind,
    /// What its sender had seen of the device.
    pub seen: VersionVector,
    /// How long it may still be carried out, in milliseconds from when it was said.
    pub ttl_ms: u64,
}

/// Whether the last wish counts, or each one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A wanted state: a later one takes its place.
    Set,
    /// A push, such as a toggle or a service call: each one counts.
    Pulse,
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

/// When a command was said, in words that need no common clock: so long after the receiver's mark was heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// The nonce of the receiver's latest ping, or nothing for its hello.
    pub mark: Option<u64>,
    /// How long ago the mark was heard, at least, in milliseconds.
    pub since_ms: u64,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The command.
    pub id: Dot,
    /// How far it came.
    pub status: Status,
    /// Why it came no further, for the person who waits.
    pub explanation: Option<Explanation>,
    /// The version of the device that shows what was wanted.
    pub shown_by: Option<Dot>,
}

/// How far a command came; the later ones of the first five follow the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It waits for a link to the owner.
    Queued,
    /// It is on its way.
    Sent,
    /// The owner has made it its own: it is carried out once, or its time runs out.
    Accepted,
    /// The house has taken it on.
    Applied,
    /// The device does what was wanted.
    Settled,
    /// The sender has no right, or the house cannot do it.
    Rejected,
    /// The device had changed after the sender made up its mind.
    Stale,
    /// A later command wants something else.
    Superseded,
    /// Its time was over before the device did it.
    Expired,
}

impl Status {
    /// Every status, in order.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Sent,
        Self::Accepted,
        Self::Applied,
        Self::Settled,
        Self::Rejected,
        Self::Stale,
        Self::Superseded,
        Self::Expired,
    ];

    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Accepted => "accepted",
            Self::Applied => "applied",
            Self::Settled => "settled",
            Self::Rejected => "rejected",
            Self::Stale => "stale",
            Self::Superseded => "superseded",
            Self::Expired => "expired",
        }
    }

    /// Tells whether nothing comes after it.
    pub fn is_final(self) -> bool {
        self >= Self::Settled
    }
}

impl Outcome {
    /// Returns an outcome that needs no words.
    pub fn plain(id: Dot, status: Status) -> Self {
        Self { id, status, explanation: None, shown_by: None }
    }

    /// Returns an outcome with its reason.
    pub fn because(id: Dot, status: Status, reason: &str) -> Self {
        Self { explanation: Some(Explanation::new(reason)), ..Self::plain(id, status) }
    }
}

impl Wish {
    /// Returns the wanted values by field; a call names none.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let (state, attributes) = match self {
            Self::Set { state, attributes } => (state.as_ref(), Some(attributes)),
            Self::Call { .. } => (None, None),
        };
        let state = state.map(|state| (STATE, state.as_str()));
        state.into_iter().chain(attributes.into_iter().flat_map(Members::iter))
    }

    /// Returns how a wish for this entity counts.
    pub fn kind(&self, entity: &EntityId) -> Kind {
        let pushed = matches!(entity.domain(), "button" | "input_button" | "scene" | "script" | "event");
        match self {
            Self::Set { .. } if !pushed => Kind::Set,
            _ => Kind::Pulse,
        }
    }
}

impl Intent {
    /// Tells whether this command leaves nothing of an earlier one to be done.
    fn supersedes(&self, earlier: &Self) -> bool {
        let sets = self.kind == Kind::Set && earlier.kind == Kind::Set && self.entity == earlier.entity;
        let names = |field: &str| self.wish.fields().any(|(name, _)| name == field);
        sets && self.id != earlier.id && earlier.wish.fields().all(|(name, _)| names(name))
    }
}

/// Returns how long a command to this entity may wait.
pub fn ttl_ms(entity: &EntityId) -> u64 {
    match entity.domain() {
        "lock" | "alarm_control_panel" | "cover" | "valve" | "siren" => defaults::RISKY_INTENT_TTL_MS,
        _ => defaults::INTENT_TTL_MS,
    }
}
