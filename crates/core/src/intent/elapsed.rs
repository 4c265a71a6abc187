//! How much time has passed, when no clock can be trusted.
//!
//! A wall clock jumps; a steady one stands still while the machine sleeps. Between the two lies the
//! truth: a [`Stopwatch`] tells the least and the most that can have passed. Whoever asks whether a
//! command is *still* good counts the most, whoever says how long *ago* something was counts the least.
//! So a clock that is wrong makes a command die early, and never lets it live on.
//!
//! How old a command is, its receiver tells by its own stopwatch. It has sent a *mark* (its hello, or a
//! ping) at `t`; the sender says that it heard the mark at least `since` ago, and that `left` is left.
//! It spoke not before `t + since`, so the command's time is not over before `t + since + left`.

/// How much time has passed since a home has started, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Elapsed {
    /// At least so much.
    pub least_ms: u64,
    /// At most so much.
    pub most_ms: u64,
}

/// Measures time by a steady and a wall clock.
///
/// ```
/// # use crosshome_core::intent::Stopwatch;
/// let mut watch = Stopwatch::start(0, 1_800_000_000_000);
/// let elapsed = watch.read(500, 1_800_003_600_000); // somebody has put the clock forward, or the machine slept
/// assert_eq!((elapsed.least_ms, elapsed.most_ms), (500, 3_600_000));
/// let elapsed = watch.read(700, 1_800_000_000_000); // and back
/// assert_eq!((elapsed.least_ms, elapsed.most_ms), (700, 3_600_200));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    started_ms: u64,
    steady_ms: u64,
    wall_ms: u64,
    most_ms: u64,
}

impl Stopwatch {
    /// Starts at what both clocks show.
    pub fn start(steady_ms: u64, wall_ms: u64) -> Self {
        Self { started_ms: steady_ms, steady_ms, wall_ms, most_ms: 0 }
    }

    /// Returns what has passed, by what both clocks show.
    pub fn read(&mut self, steady_ms: u64, wall_ms: u64) -> Elapsed {
        let by_steady = steady_ms.saturating_sub(self.steady_ms);
        let by_wall = wall_ms.saturating_sub(self.wall_ms);
        self.most_ms = self.most_ms.saturating_add(by_steady.max(by_wall));
        (self.steady_ms, self.wall_ms) = (steady_ms, wall_ms);
        Elapsed { least_ms: steady_ms.saturating_sub(self.started_ms), most_ms: self.most_ms }
    }
}
