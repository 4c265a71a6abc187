//! What the loop has to do after a step of the core, in this order.

use crate::{
    EntityKey, HomeId,
    conflict::Conflict,
    intent::{Intent, Outcome, Timing},
    table::Number,
};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Makes durable what the change log holds; stands first.
    Commit(Durability),
    /// Tells observers that an entity has changed.
    Changed(Number),
    /// Puts on record that an entity had changed in several homes at once.
    Conflict(Box<Conflict>),
    /// Stores the joint space's policy and tells the other members.
    JointPolicy,
    /// Tells observers that the entity of this name and birth is no longer known.
    Removed(EntityKey, u64),
    /// Drops what is stored of a deleted entity; observers were told when it was deleted.
    Forgotten(EntityKey, u64),
    /// Judges a peer's command.
    Perform {
        /// Who sent it.
        peer: HomeId,
        /// The command.
        intent: Box<Intent>,
        /// When it was said.
        timing: Timing,
    },
    /// Tells whoever waits for a command what became of it.
    Settled {
        /// Who answered.
        peer: HomeId,
        /// The answer.
        outcome: Outcome,
    },
    /// Verifies and follows a peer's change of key.
    Rotated {
        /// Whose session it was.
        peer: HomeId,
        /// The statement, signed by both keys.
        statement: Vec<u8>,
    },
    /// A peer has sent a ping, which its commands may count from.
    Pinged {
        /// Who.
        peer: HomeId,
        /// The ping's nonce.
        nonce: u64,
    },
    /// A ping came back.
    Echo {
        /// From whom.
        peer: HomeId,
        /// The ping's nonce.
        nonce: u64,
    },
    /// Both sides hold what they held when this mark was set.
    Marked {
        /// Whose session it was.
        peer: HomeId,
        /// The mark's number.
        number: u64,
    },
    /// Stores the clock as it is: this home's clock had leapt ahead and was put right.
    Restamped,
    /// Tells people of something that ought not to happen.
    Report {
        /// Whose session it was.
        peer: HomeId,
        /// What was seen.
        incident: Incident,
    },
}

/// How soon a change must survive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// With the next flush: the house reports it again after a crash.
    Lazy,
    /// Before anybody hears of it.
    Now,
}

/// Something a person may want to know of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incident {
    /// The peer tried to write what it may not.
    Forbidden,
    /// The peer's stamps lie in the future of this home.
    ClockSkew,
    /// The peer offered more entities than it may place here.
    Quota,
    /// The peer has seen a future of this home that this home has lost: a backup was restored, or a crash cost the end.
    Fork,
    /// The peer has lost changes that this home has seen: what it does not have any more is repaired here.
    WentBack,
    /// Both sides held different things while they thought they agreed; repaired.
    Diverged,
}
