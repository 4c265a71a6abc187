//! What must hold, and what must be able to happen.

use crate::{Scenario, World};

/// A promise of DESIGN.md that is checked in every state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invariant {
    /// Homes with the same grants and changes show the same.
    I1,
    /// No acknowledged write is lost silently.
    I2,
    /// A change never disappears behind one that had not seen it.
    I3,
    /// A dot names one change for ever.
    I5,
    /// Nothing is encoded for a peer that it may not see at that moment.
    I7,
    /// No home holds what no grant ever gave it.
    I8,
    /// What was replaced or deleted does not come back.
    I13,
    /// What is durable survives a crash.
    I14,
    /// An honest conversation never ends in an error, and comes to rest.
    Session,
}

type Condition = fn(&Scenario, &World) -> bool;

impl Invariant {
    /// Every invariant with its name and what tells that it holds.
    pub const ALL: [(&'static str, Condition); 9] = [
        ("I1 convergence", |_, world| world.keeps(Self::I1)),
        ("I2 no silent lost update", |_, world| world.keeps(Self::I2)),
        ("I3 causality", |_, world| world.keeps(Self::I3)),
        ("I5 a dot names one change", |_, world| world.keeps(Self::I5)),
        ("I7 nothing after a revocation", |_, world| world.keeps(Self::I7)),
        ("I8 nothing without a grant", |_, world| world.keeps(Self::I8)),
        ("I13 what was deleted or replaced stays so", |_, world| world.keeps(Self::I13)),
        ("I14 durable stays durable", |_, world| world.keeps(Self::I14)),
        ("sessions of honest homes go on", |_, world| world.keeps(Self::Session)),
    ];
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Broken {
    /// Which one.
    pub invariant: Invariant,
    /// What was seen.
    pub what: String,
}

impl Broken {
    pub(crate) fn new(invariant: Invariant, what: impl Into<String>) -> Self {
        Self { invariant, what: what.into() }
    }
}

/// What a check comes to.
pub(crate) type Checked<T = ()> = Result<T, Broken>;

/// Something that must be able to happen, or the search has looked at too little.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Two homes have changed an entity without knowing of each other.
    Conflict,
    /// A home came back from a backup, a peer noticed, and all agree again.
    RollbackRepaired,
    /// Two people have settled one conflict apart from each other.
    DoubleResolution,
    /// All homes hold an entity as deleted.
    Deleted,
    /// A home has lost what was withdrawn from it.
    Withdrawn,
}

impl Reach {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Conflict => "a conflict",
            Self::RollbackRepaired => "a restored backup is repaired",
            Self::DoubleResolution => "two resolutions of one conflict",
            Self::Deleted => "a deletion arrives",
            Self::Withdrawn => "a withdrawal arrives",
        }
    }

    pub(crate) fn condition(self) -> Condition {
        match self {
            Self::Conflict => |_, world| world.reached(Self::Conflict),
            Self::RollbackRepaired => |_, world| world.reached(Self::RollbackRepaired),
            Self::DoubleResolution => |_, world| world.reached(Self::DoubleResolution),
            Self::Deleted => |_, world| world.reached(Self::Deleted),
            Self::Withdrawn => |_, world| world.reached(Self::Withdrawn),
        }
    }

    /// Returns the bit under which a world remembers it.
    pub(crate) fn bit(self) -> u8 {
        1 << self as u8
    }
}
