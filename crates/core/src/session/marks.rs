//! Marks: how a home learns that both sides hold the same.
//!
//! A mark goes after everything that its sender had to offer, and its answer after everything that the other
//! side had. So whoever hears the answer holds what the peer held when the mark came, and the peer
//! holds what this home held when it set the mark. That takes one round trip, however much changes meanwhile.
//! A later mark stands for the earlier ones, so what a side remembers does not grow.

use std::mem;

use crate::wire::Message;

/// The marks of one session.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    /// The latest one of this side.
    set: u64,
    /// Whether it has still to be said.
    due: bool,
    /// The peer's latest one, while it is not answered.
    owed: Option<u64>,
    /// The answer to one of ours, while what it stands for has not all been taken in.
    answered: Option<u64>,
}

impl Marks {
    /// Sets a mark and returns its number.
    pub(super) fn set(&mut self) -> u64 {
        (self.set, self.due) = (self.set + 1, true);
        self.set
    }

    /// Takes note of a mark of the peer.
    pub(super) fn owe(&mut self, number: u64) {
        self.owed = self.owed.max(Some(number));
    }

    /// Takes note that the peer has answered a mark; a number that was never set counts as the latest.
    pub(super) fn answer(&mut self, number: u64) {
        self.answered = self.answered.max(Some(number.min(self.set)));
    }

    /// Returns what to say after everything was offered; `waits` tells whether something of the peer has not arrived yet.
    pub(super) fn next(&mut self, waits: bool) -> Option<Message> {
        if mem::take(&mut self.due) {
            return Some(Message::Mark(self.set));
        }
        self.owed.take_if(|_| !waits).map(Message::Marked)
    }

    /// Returns the latest mark up to which both sides hold the same, once.
    pub(super) fn reached(&mut self, waits: bool) -> Option<u64> {
        self.answered.take_if(|_| !waits)
    }
}
