//! Why a home did not do what it was asked.
//!
//! The loop answers with a [`NodeError`]; its [`Code`] is what the faces translate: to a status in
//! `http/problem.rs`, to an exit code in the command line's `output.rs`, to an exception in Python.

use serde::{Deserialize, Serialize};

/// Why a request to a home failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// Nothing here has this name.
    #[error("no {what} is called {name}")]
    NotFound {
        /// Kind of thing: `entity`, `home`, `conflict`.
        what: &'static str,
        /// Name as it was given.
        name: String,
    },
    /// Several things have this name.
    #[error("{name} may be any of {}", candidates.join(", "))]
    Ambiguous {
        /// Name as it was given.
        name: String,
        /// Names that are clear.
        candidates: Vec<String>,
    },
    /// The owner has not granted this.
    #[error("{home} does not allow this: {reason}")]
    NotAllowed {
        /// Name of the home that decides.
        home: String,
        /// What is missing.
        reason: String,
    },
    /// The home is known but not paired.
    #[error("{home} is not paired with this home")]
    NotPaired {
        /// Name of the home.
        home: String,
    },
    /// The code has a typing mistake; no try was used up.
    #[error("the code has a typing mistake")]
    BadCode,
    /// The code is well formed but not the one on show.
    #[error("wrong code")]
    WrongCode,
    /// No home shows a code, or its window has ended.
    #[error("no home is showing a code, or its time is over")]
    PairingClosed,
    /// The request makes no sense as it stands.
    #[error("{0}")]
    Invalid(String),
    /// A person has to choose a version before this entity takes updates.
    #[error("{entity_id} has an open conflict")]
    ConflictOpen {
        /// The entity.
        entity_id: String,
        /// Id of the conflict.
        conflict: String,
    },
    /// The versions are not those that were shown to whoever settles the conflict.
    #[error("{entity_id} has changed since it was shown")]
    Stale {
        /// The entity.
        entity_id: String,
        /// The conflict as it is now, in the form of [`ConflictView`](crate::views::ConflictView).
        present: Box<serde_json::Value>,
    },
    /// No link to the home could be had.
    #[error("{home} is not reachable: {reason}")]
    Unreachable {
        /// Name or address of the home.
        home: String,
        /// Why not.
        reason: String,
    },
    /// No answer in time.
    #[error("{what} got no answer within {seconds} s")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// The owner tried and could not, or will not.
    #[error("{home} could not do it: {reason}")]
    Refused {
        /// Name of the home.
        home: String,
        /// What it answered.
        reason: String,
    },
    /// Something else has to end first.
    #[error("{0}")]
    Busy(String),
    /// The disk takes no more.
    #[error("the disk is full or read-only: this is not stored")]
    StorageFull,
    /// The home itself is at fault.
    #[error("the home failed: {0}")]
    Failed(String),
    /// The home is shutting down.
    #[error("the home is stopping")]
    Stopped,
}

/// What kind of [`NodeError`] it is: the word that programs match on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the NodeError of the same name")]
pub enum Code {
    NotFound,
    Ambiguous,
    NotAllowed,
    NotPaired,
    BadCode,
    WrongCode,
    PairingClosed,
    Invalid,
    ConflictOpen,
    Stale,
    Unreachable,
    TimedOut,
    Refused,
    Busy,
    StorageFull,
    Failed,
    Stopped,
    /// The API refused the call before it reached the home.
    Http,
}

impl NodeError {
    /// Returns what kind of error it is.
    pub fn code(&self) -> Code {
        match self {
            Self::NotFound { .. } => Code::NotFound,
            Self::Ambiguous { .. } => Code::Ambiguous,
            Self::NotAllowed { .. } => Code::NotAllowed,
            Self::NotPaired { .. } => Code::NotPaired,
            Self::BadCode => Code::BadCode,
            Self::WrongCode => Code::WrongCode,
            Self::PairingClosed => Code::PairingClosed,
            Self::Invalid(_) => Code::Invalid,
            Self::ConflictOpen { .. } => Code::ConflictOpen,
            Self::Stale { .. } => Code::Stale,
            Self::Unreachable { .. } => Code::Unreachable,
            Self::TimedOut { .. } => Code::TimedOut,
            Self::Refused { .. } => Code::Refused,
            Self::Busy(_) => Code::Busy,
            Self::StorageFull => Code::StorageFull,
            Self::Failed(_) => Code::Failed,
            Self::Stopped => Code::Stopped,
        }
    }
}
