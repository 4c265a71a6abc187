//! What a run does, what it cost, and how a failed one is told with as little as can be.

use std::{collections::BTreeSet, fmt};

use super::{ALL, Dice, Fault, run};

/// What a run does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed of everything that is left to chance.
    pub seed: u64,
    /// How many things happen before all is healed.
    pub steps: usize,
    /// What may go wrong.
    pub faults: Vec<Fault>,
    /// Steps in which nothing happens.
    pub skipped: BTreeSet<usize>,
    /// Whether to tell what happens.
    pub traced: bool,
}

impl Plan {
    /// Returns the plan of a seed.
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let steps = 20 + dice.below(180);
        let faults = ALL.iter().copied().filter(|_| dice.chance(60)).collect();
        Self { seed, steps, faults, skipped: BTreeSet::new(), traced: false }
    }
}

/// What a run cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Frames that were sent.
    pub frames: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Writes that were made.
    pub writes: usize,
    /// The most that one session ever remembered, in items.
    pub weight: usize,
    /// How many commands were settled, rejected, stale, superseded, expired.
    pub ended: [usize; 5],
}

/// An invariant was broken.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The plan that shows it.
    pub plan: Plan,
    /// What was found.
    pub what: String,
    /// What happened, where the plan was traced.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        writeln!(f, "seed {} with {} steps and {:?}", self.plan.seed, self.plan.steps, self.plan.faults)?;
        self.trace.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl std::error::Error for Failure {}

/// Returns a plan that fails too with as little happening as can be, and its trace.
pub fn shrink(failure: Failure) -> Failure {
    let mut best = failure;
    for fault in best.plan.faults.clone() {
        let faults = best.plan.faults.iter().copied().filter(|known| *known != fault).collect();
        try_smaller(&mut best, |plan| plan.faults = faults);
    }
    let mut chunk = best.plan.steps / 2;
    while chunk > 0 {
        for from in (0..best.plan.steps).step_by(chunk) {
            let to = best.plan.steps.min(from + chunk);
            try_smaller(&mut best, |plan| plan.skipped.extend(from..to));
        }
        chunk /= 2;
    }
    let traced = Plan { traced: true, ..best.plan.clone() };
    run(&traced).err().unwrap_or(best)
}

fn try_smaller(best: &mut Failure, change: impl FnOnce(&mut Plan)) {
    let mut plan = best.plan.clone();
    change(&mut plan);
    let smaller = plan.skipped.len() > best.plan.skipped.len() || plan.faults.len() < best.plan.faults.len();
    if let (true, Err(failure)) = (smaller, run(&plan)) {
        *best = failure;
    }
}
