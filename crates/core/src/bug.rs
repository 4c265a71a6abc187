//! Protocol bugs on purpose: each is one that somebody could make, and one that the simulator has to find.
//!
//! The places where they would stand ask [`is`], which is false where the feature `bugs` is off: what people install
//! holds none of this. `cargo xtask mutants` plays the simulator against each; one that survives means that the
//! simulator looks away somewhere.

use crate::{dot::VersionVector, table::Table};

macro_rules! bugs {
    ($($name:ident: $does:literal,)*) => {
        /// A bug on purpose.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Bug {
            $(#[doc = $does] $name,)*
        }

        #[cfg(feature = "bugs")]
        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns what is wrong, in one sentence.
            pub fn does(self) -> &'static str {
                match self {
                    $(Self::$name => $does,)*
                }
            }
        }
    };
}

bugs! {
    // epochs, cursors, commits
    EpochUnchecked: "A place in a log counts, whatever epoch it is of.",
    EpochEndsAtHead: "A place of an earlier epoch counts up to the head of the present one.",
    CursorBeforeData: "The cursor moves although something before it is still awaited.",
    PlacePastBacklog: "An offer says that the peer has got to the end while a backlog waits.",
    ForkForgiven: "A peer that hears of a fork asks for nothing again.",
    PairingForgotten: "A peer that remembers a pairing that this home has forgotten goes on from its place.",
    IncompleteDropped: "An entity of which groups are missing is dropped, and not asked for.",
    SkewForgotten: "What was refused for its stamp is never asked for again.",
    LogNotMoved: "What a peer has changed does not move in the change log.",
    DocumentsLazy: "A document is acknowledged before it is durable.",
    CommitLast: "What is to be committed is told to observers first.",
    // contexts, merge, deletions
    ContextPerHome: "A version says to have seen all that its home has seen, of whatever entity.",
    ContextOfLatest: "A version says to have seen the latest of what it replaces, and not the others.",
    IncarnationIgnored: "A home is taken to have seen whatever it has written in any incarnation.",
    ClockDecides: "The later stamp replaces the earlier one, seen or not.",
    SeenReturns: "A version that was replaced is taken in again.",
    DeletionUnmerged: "A deletion is not taken in where there is something to delete.",
    DeletionUnmarked: "A deletion is sent and stored as an empty document.",
    LifeIgnored: "An edit of an earlier life of an entity is taken in.",
    ForgottenEarly: "A deletion is forgotten before all have heard of it.",
    DeletionUnsaid: "A home forgets its deletion of a peer's entity before the peer has heard of it.",
    // groups and the wire
    GroupDotKept: "A group keeps its dot when its values change.",
    GroupDotTaken: "A group takes a new dot although its values stay.",
    RestUnchecked: "Groups left out are completed with whatever the receiver has.",
    BirthIgnored: "An entity that takes the number of a forgotten one is sent as if it were that one.",
    // views and strategies
    ViewByDot: "The view shows the version with the greatest home, and not the latest.",
    OutdatedShown: "Merging shows groups that another author had seen and changed.",
    RemovedReturns: "Merging brings back groups that another author had seen and removed.",
    EqualContested: "Equal values count as contested.",
    UntimedWins: "A version whose clock was wrong ranks like any other.",
    OlderMerged: "Merging shows the older of two groups that were changed apart.",
    TokenIgnored: "A person's choice covers versions that were not shown.",
    ReportDecides: "What the house reports covers versions that people have to choose from.",
    WriteDecides: "People write by the way what others have to choose from.",
    ConflictUntold: "Versions that differ are not put on record.",
    DecidedByAll: "Every home decides by its function, and not the authority alone.",
    PolicyRankIgnored: "The joint policy that arrives last holds.",
    StrategyUntold: "An owner does not tell which strategy holds.",
    StrategyKept: "A new policy holds for new entities only.",
    // grants and withdrawals
    FilterAtEnqueue: "The rules are asked when an entity is first sent, and not again.",
    RulesWait: "An offer may pass a withdrawal that was not said.",
    GoneForgotten: "What is withdrawn while a peer is away is never told.",
    GoneDropped: "An acknowledgement of anything counts for every withdrawal.",
    RightUntold: "A change of right is not told.",
    FallbackUntold: "An entity that falls back to an older rule is not told.",
    RiskIgnored: "A wide rule admits locks.",
    DenialIgnored: "A rule without right takes nothing out of wider ones.",
    SpecificLoses: "The latest rule holds, however wide.",
    MirrorExported: "A home passes on what belongs to a third.",
    EditUnchecked: "An edit is taken in without asking for the right.",
    ControlUnchecked: "A command is taken without asking for the right.",
    RefusedStays: "A refused edit stays where it was made.",
    VoidStays: "A full offer leaves versions that the owner has lost.",
    OwnEditsVoid: "A full offer voids edits that the owner has not answered.",
    WithdrawnStays: "What is withdrawn stays where it was.",
    // digests
    DigestOfNames: "Digests cover names, and not what they hold.",
    DigestUnread: "Digests are compared and nothing follows.",
    JointUnasked: "Divergence of the joint space is seen, and only one's own space asked for.",
    // clocks and incarnations
    IncarnationKept: "A home that learns of its lost past goes on under the same name.",
    MarkForgotten: "The clock's stored mark is not read at the start.",
    ClockFalls: "Stamps follow the wall clock when it is set back.",
    FutureAdmitted: "Stamps from the future are taken in.",
    NeverRestamped: "A home whose clock had leapt says nothing again.",
    FutureNamed: "A version names stamps that others refuse.",
    FutureGroups: "Groups keep stamps that others refuse.",
    PastAwaited: "A home waits for what it alone can say again.",
    // commands
    TimeIgnored: "A command is carried out however late.",
    TravelUncounted: "The time that a command was under way does not count.",
    CommandRepeated: "A command that comes again is carried out again.",
    RestartForgets: "A command is sent to a later start of the owner, which does not know it.",
    StaleObeyed: "A command is obeyed although the device has changed since.",
    SupersededObeyed: "A command is obeyed although a later one leaves nothing of it.",
    SettledUntrue: "A command is told to be settled whatever the device shows.",
    // memory
    RulesRequeued: "Every wake-up queues again what rules have admitted.",
}

#[cfg(feature = "bugs")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug in this thread, in the place of the one before.
#[cfg(feature = "bugs")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Tells whether this bug is planted.
#[cfg(feature = "bugs")]
pub(crate) fn is(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Tells that no bug is planted.
#[cfg(not(feature = "bugs"))]
pub(crate) const fn is(_: Bug) -> bool {
    false
}

/// Returns all that a home has seen anywhere, which a version of [`Bug::ContextPerHome`] names; else nothing.
pub(crate) fn seen_anywhere(table: &Table) -> VersionVector {
    let mut context = VersionVector::default();
    if is(Bug::ContextPerHome) {
        table.iter().for_each(|(_, entity)| context.join(&entity.context()));
    }
    context
}
