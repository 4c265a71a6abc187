//! When a change was made: the hybrid logical clock (Kulkarni et al., 2014).
//!
//! An [`Hlc`] is 48 bits of milliseconds since 1970 and a 16-bit counter. It
//! orders concurrent changes for people and names dots; it never decides whether
//! two changes knew of each other, so a wrong clock can pick an unexpected winner
//! but cannot hide a conflict. A [`Clock`] hands out strictly rising stamps
//! whatever the wall clock does.
//!
//! ```
//! # use crosshome_core::hlc::Clock;
//! let mut clock = Clock::default();
//! let before = clock.tick(5_000, 0);
//! let after = clock.tick(1_000, 0); // the wall clock was set back
//! assert!(after > before);
//! ```

use std::fmt;

use crate::{
    bug::{self, Bug},
    defaults::{CLOCK_AHEAD_MS, CLOCK_ROOM, MAX_SKEW_MS},
};

/// A stamp of the hybrid logical clock.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hlc(pub u64);

impl Hlc {
    /// Returns the first stamp of a millisecond.
    pub const fn at(ms: u64) -> Self {
        Self(ms << 16)
    }

    /// Returns the milliseconds since 1970.
    pub const fn ms(self) -> u64 {
        self.0 >> 16
    }

    /// Tells whether a clock can show it, and still leave stamps after it.
    pub const fn is_possible(self) -> bool {
        self.ms() <= MAX_MS
    }
}

impl fmt::Debug for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.ms(), self.0 & 0xffff)
    }
}

/// The last millisecond that a stamp may name: in the year 6429, half way to the end of the numbers.
const MAX_MS: u64 = 1 << 47;

/// The source of this home's stamps.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    last: Hlc,
    /// Whether this clock has given `last` itself, since it started.
    given: bool,
}

impl Clock {
    /// Returns a clock that goes on after `last`, the stored high-water mark.
    pub fn after(last: Hlc) -> Self {
        Self { last, given: false }
    }

    /// Returns the next stamp: later than every one before, and not before the wall clock.
    ///
    /// `salt`, random per start, is where the counter begins: a home that was restored from a backup, and its lost
    /// future, would otherwise give the same stamp when they start from the same mark or see the same change.
    pub fn tick(&mut self, now_ms: u64, salt: u64) -> Hlc {
        let salted = |ms: u64| Hlc(Hlc::at(ms.min(MAX_MS)).0 | (salt & 0x7fff));
        let next = match self.given {
            true => Hlc(self.last.0 + 1),
            false => salted(self.last.ms() + 1),
        };
        let floor = if bug::is(Bug::ClockFalls) { Hlc::default() } else { next };
        (self.last, self.given) = (floor.max(salted(now_ms)), true);
        self.last
    }

    /// Takes note of a stamp from another home, so that the next tick is later.
    ///
    /// # Errors
    ///
    /// As [`Clock::admits`]; a refused stamp is forgotten.
    pub fn observe(&mut self, stamp: Hlc, now_ms: u64) -> Result<(), Skew> {
        self.admits(stamp, now_ms)?;
        if stamp > self.last {
            (self.last, self.given) = (stamp, false);
        }
        Ok(())
    }

    /// Checks a stamp from another home.
    ///
    /// # Errors
    ///
    /// Refuses a stamp too far in the future, unless this home's own clock is known to be wrong; and always one
    /// that no clock can show and that would leave none after it.
    pub fn admits(&self, stamp: Hlc, now_ms: u64) -> Result<(), Skew> {
        let ahead = stamp.ms() > now_ms.saturating_add(MAX_SKEW_MS) && self.trusts(now_ms);
        match (ahead && !bug::is(Bug::FutureAdmitted)) || !stamp.is_possible() {
            true => Err(Skew { stamp_ms: stamp.ms(), now_ms }),
            false => Ok(()),
        }
    }

    /// Returns the high-water mark to store once the stored one is passed: no stamp beyond it leaves this home
    /// before a later one is stored.
    ///
    /// A wall clock that leads is stored well ahead, so that a write lasts for seconds. A clock that is ahead of
    /// the wall clock already, after a start from its mark, moves by little, so that starts in quick succession
    /// do not carry it away.
    pub fn ahead(&self, now_ms: u64) -> Hlc {
        Hlc::at(now_ms.saturating_add(CLOCK_AHEAD_MS)).max(Hlc(self.last.0.saturating_add(CLOCK_ROOM)))
    }

    /// Returns the latest stamp given or seen.
    pub fn last(&self) -> Hlc {
        self.last
    }

    /// Tells whether the wall clock can be right: it is not behind what this home has already seen.
    ///
    /// A board without a battery starts in 1970 and would otherwise refuse the whole present. Twice the skew, because
    /// a peer may have brought this clock ahead by one, and the wall clock may step back a little after that.
    pub fn trusts(&self, now_ms: u64) -> bool {
        now_ms.saturating_add(2 * MAX_SKEW_MS) >= self.last.ms()
    }
}

/// A stamp lies too far in the future of the home that received it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stamp {stamp_ms} ms is too far ahead of this home's clock, {now_ms} ms")]
pub struct Skew {
    /// The stamp's time.
    pub stamp_ms: u64,
    /// The receiver's time.
    pub now_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_rise_while_the_wall_clock_stands_or_falls() {
        let mut clock = Clock::default();
        let stamps: Vec<_> = [10, 10, 9, 0, 11].map(|ms| clock.tick(ms, 9)).to_vec();
        assert!(stamps.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn stamp_from_the_far_future_is_refused_and_forgotten() {
        let mut clock = Clock::after(Hlc::at(1_000));
        assert!(clock.observe(Hlc::at(1_001 + MAX_SKEW_MS), 1_000).is_err());
        assert!(clock.observe(Hlc(u64::MAX), 1_000).is_err());
        assert_eq!(clock.last(), Hlc::at(1_000));
        assert_eq!(clock.observe(Hlc::at(1_000 + MAX_SKEW_MS), 1_000), Ok(()));
    }

    #[test]
    fn wall_clock_that_steps_back_a_little_opens_no_door_to_the_future() {
        let (now, mut clock) = (1_800_000_000_000, Clock::default());
        clock.observe(Hlc::at(now + MAX_SKEW_MS), now).unwrap();
        assert!(clock.admits(Hlc::at(4_000_000_000_000), now - 1_000).is_err());
    }

    #[test]
    fn starts_in_quick_succession_do_not_carry_the_clock_away() {
        let (mut stored, now) = (Hlc::default(), 1_000_000);
        for start in 0..1_000 {
            let mut clock = Clock::after(stored);
            assert!(clock.tick(now + start, 5) > stored);
            stored = clock.ahead(now + start);
        }
        assert!(stored.ms() < now + 2 * CLOCK_AHEAD_MS, "{stored:?}");
    }

    #[test]
    fn two_starts_from_one_mark_give_different_stamps() {
        let (mut lost, mut restored) = (Clock::after(Hlc::at(9_000)), Clock::after(Hlc::at(9_000)));
        assert_ne!(lost.tick(5, 17), restored.tick(5, 18));
        for clock in [&mut lost, &mut restored] {
            clock.observe(Hlc(u64::from(u32::MAX)), 60_000).unwrap();
        }
        assert_ne!(lost.tick(5, 17), restored.tick(5, 18));
    }

    #[test]
    fn last_stamp_of_all_is_refused_by_a_clock_that_is_wrong_itself() {
        let mut clock = Clock::after(Hlc::at(1_800_000_000_000));
        assert!(clock.observe(Hlc(u64::MAX), 12).is_err());
    }

    #[test]
    fn home_that_woke_in_1970_accepts_the_present() {
        let present = 1_800_000_000_000;
        let mut clock = Clock::after(Hlc::at(present));
        assert_eq!(clock.observe(Hlc::at(present + 7 * MAX_SKEW_MS), 12), Ok(()));
    }
}
