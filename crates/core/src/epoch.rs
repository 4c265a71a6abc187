//! How far one home has followed another, and whether that home still goes on from there.
//!
//! A change log counts 1, 2, 3 … and a restored backup counts the same numbers
//! again for other changes. So every start of a home opens a new random epoch at
//! the place it starts from, and a [`Cursor`] names the epochs it went through. A
//! place that the log cannot have reached in the named epoch shows a [`Resume::Fork`]:
//! what lies beyond it is repaired, and only that.
//!
//! ```
//! # use crosshome_core::{epoch::{Cursor, Epochs, Resume}, hlc::Hlc};
//! let mut epochs = Epochs::default();
//! epochs.open(0xa1, 0);
//! let mut cursor = Cursor::default();
//! cursor.advance(0xa1, 40, Hlc(0));
//! assert_eq!(epochs.resume(&cursor, 60), Resume::From(40));
//! assert_eq!(epochs.resume(&cursor, 25), Resume::Fork(25)); // a backup was restored
//! ```

use crate::{
    bug::{self, Bug},
    defaults::{EPOCHS_KEPT, TRAIL_KEPT},
    hlc::Hlc,
};

/// The epochs of a home's own change log, each with the place where it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs(Vec<(u64, u64)>);

/// Where one home stands in the change log of another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The epochs gone through, each with the last place reached in it.
    ///
    /// The last one stands twice while something of it is missing: all has come up to the first place, and something
    /// up to the second.
    pub trail: Vec<(u64, u64)>,
    /// Every change up to this stamp of the other home's own has arrived.
    pub mark: Hlc,
    /// The other home's clock when it last sent something.
    pub latest: Hlc,
}

/// How a log goes on for a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// From the follower's place.
    From(u64),
    /// The follower has seen a future that this log does not have; both agree up to here.
    Fork(u64),
}

impl Epochs {
    /// Begins an epoch at a place.
    pub fn open(&mut self, epoch: u64, at: u64) {
        self.0.push((epoch, at));
        let surplus = self.0.len().saturating_sub(EPOCHS_KEPT);
        self.0.drain(..surplus);
    }

    /// Returns the present epoch.
    pub fn present(&self) -> u64 {
        self.0.last().map_or(0, |&(epoch, _)| epoch)
    }

    /// Finds where a log that has reached `head` goes on for a follower.
    pub fn resume(&self, cursor: &Cursor, head: u64) -> Resume {
        let Some(&(last, _)) = cursor.trail.last() else { return Resume::From(0) };
        if bug::is(Bug::EpochUnchecked) {
            return Resume::From(cursor.seq().min(head));
        }
        for &(epoch, seen) in cursor.trail.iter().rev() {
            let Some(at) = self.0.iter().position(|&(known, _)| known == epoch) else { continue };
            let next = self.0.get(at + 1).filter(|_| !bug::is(Bug::EpochEndsAtHead));
            let end = next.map_or(head, |&(_, start)| start);
            let seq = cursor.reached(epoch).unwrap_or(seen);
            return if epoch == last && seen <= end { Resume::From(seq) } else { Resume::Fork(seq.min(end)) };
        }
        Resume::Fork(0)
    }

    /// Returns each epoch with its beginning.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().copied()
    }
}

impl FromIterator<(u64, u64)> for Epochs {
    fn from_iter<I: IntoIterator<Item = (u64, u64)>>(epochs: I) -> Self {
        Self(epochs.into_iter().collect())
    }
}

impl Cursor {
    /// Returns the last place reached: all has come up to there.
    pub fn seq(&self) -> u64 {
        self.trail.last().and_then(|&(epoch, _)| self.reached(epoch)).unwrap_or(0)
    }

    /// Returns the last place reached in an epoch.
    fn reached(&self, epoch: u64) -> Option<u64> {
        self.trail.iter().find(|&&(known, _)| known == epoch).map(|&(_, seq)| seq)
    }

    /// Moves to a place of the other home's present epoch.
    pub fn advance(&mut self, epoch: u64, seq: u64, mark: Hlc) {
        let seen = self.trail.last().filter(|last| last.0 == epoch).map_or(0, |last| last.1);
        self.note(epoch, seq, seen);
        self.mark = mark;
    }

    /// Takes note that something has come from as far as a place of the other home's present epoch, of which all has
    /// come up to `reached`: a log that ends before has lost it.
    pub fn glimpse(&mut self, epoch: u64, reached: u64, seen: u64) {
        let before = self.trail.last().filter(|last| last.0 == epoch).map_or(0, |last| last.1);
        self.note(epoch, reached, seen.max(before));
    }

    fn note(&mut self, epoch: u64, reached: u64, seen: u64) {
        self.trail.retain(|&(other, _)| other != epoch);
        // of an epoch that is over its first place says enough: what came after it comes again
        self.trail.dedup_by_key(|place| place.0);
        self.trail.push((epoch, reached));
        self.trail.extend((seen > reached).then_some((epoch, seen)));
        let surplus = self.trail.len().saturating_sub(TRAIL_KEPT);
        self.trail.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(trail: &[(u64, u64)]) -> Cursor {
        Cursor { trail: trail.to_vec(), ..Cursor::default() }
    }

    fn epochs(list: &[(u64, u64)]) -> Epochs {
        list.iter().copied().collect()
    }

    #[test]
    fn follower_of_an_earlier_start_goes_on() {
        let log = epochs(&[(1, 0), (2, 50)]);
        assert_eq!(log.resume(&cursor(&[(1, 30)]), 90), Resume::From(30));
        assert_eq!(log.resume(&cursor(&[(1, 30), (2, 80)]), 90), Resume::From(80));
    }

    #[test]
    fn follower_that_missed_a_hundred_starts_goes_on() {
        let mut log = Epochs::default();
        (1..=100).for_each(|start| log.open(start, start * 10));
        assert_eq!(log.resume(&cursor(&[(1, 20)]), 2_000), Resume::From(20));
        assert_eq!(log.resume(&cursor(&[(1, 21)]), 2_000), Resume::Fork(20));
    }

    #[test]
    fn crash_that_lost_the_end_of_the_log_is_a_fork_there() {
        assert_eq!(epochs(&[(1, 0), (2, 50)]).resume(&cursor(&[(1, 57)]), 60), Resume::Fork(50));
    }

    #[test]
    fn backup_from_before_the_last_start_forks_in_the_last_common_epoch() {
        let log = epochs(&[(1, 0), (7, 40)]);
        assert_eq!(log.resume(&cursor(&[(1, 30), (2, 80)]), 60), Resume::Fork(30));
        assert_eq!(log.resume(&cursor(&[(1, 45), (2, 80)]), 60), Resume::Fork(40));
    }

    #[test]
    fn backup_from_before_what_came_while_something_was_missing_is_a_fork() {
        let mut cursor = cursor(&[(1, 30)]);
        cursor.glimpse(2, 30, 90);
        assert_eq!((cursor.seq(), &cursor.trail[..]), (30, &[(1, 30), (2, 30), (2, 90)][..]));
        assert_eq!(epochs(&[(1, 0), (2, 50)]).resume(&cursor, 90), Resume::From(30));
        assert_eq!(epochs(&[(1, 0), (2, 50), (3, 80)]).resume(&cursor, 99), Resume::Fork(30));
        assert_eq!(epochs(&[(1, 0), (3, 40)]).resume(&cursor, 99), Resume::Fork(30));
        cursor.advance(2, 60, Hlc(0));
        assert_eq!(cursor.trail, [(1, 30), (2, 60), (2, 90)]);
        cursor.advance(2, 90, Hlc(0));
        assert_eq!(cursor.trail, [(1, 30), (2, 90)]);
    }

    #[test]
    fn stranger_starts_from_nothing_and_unknown_past_is_all_fork() {
        assert_eq!(epochs(&[(1, 0)]).resume(&Cursor::default(), 9), Resume::From(0));
        assert_eq!(epochs(&[(1, 0)]).resume(&cursor(&[(9, 4)]), 9), Resume::Fork(0));
    }
}
