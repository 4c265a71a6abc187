//! What a run does, what it cost, and how a failed one is told with as little as can be.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Mutex, PoisonError},
    thread,
};

use super::{ALL, Dice, Fault, faults::FURTHER, run};

/// What a run does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed of everything that is left to chance.
    pub seed: u64,
    /// How many homes there are, if the seed does not say so.
    pub homes: Option<u8>,
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
        Self { seed, homes: None, steps, faults, skipped: BTreeSet::new(), traced: false }
    }

    /// Returns the plan of a seed for so many homes, to which so many things happen.
    pub fn sized(seed: u64, homes: u8, steps: usize) -> Self {
        Self { homes: Some(homes), steps, ..Self::of(seed) }
    }

    /// Returns the plan without what only heartbeats mend, so that one exchange has to do (I11).
    pub fn calm(seed: u64) -> Self {
        let mut plan = Self::of(seed);
        plan.faults.retain(|fault| !fault.needs_heartbeats());
        plan
    }

    /// Returns the plan without what a run did not know before its seed went on record.
    pub fn as_recorded(seed: u64) -> Self {
        let mut plan = Self::of(seed);
        plan.faults.retain(|fault| !FURTHER.contains(fault));
        plan
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

/// Plays many plans on all cores, and returns those that failed, by their seeds.
pub fn run_all(plans: impl Iterator<Item = Plan> + Send) -> Vec<Failure> {
    let (plans, failures) = (Mutex::new(plans), Mutex::new(Vec::new()));
    let next = || plans.lock().unwrap_or_else(PoisonError::into_inner).next();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(plan) = next() {
                    if let Err(failure) = run(&plan) {
                        failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    failures.sort_by_key(|failure| failure.plan.seed);
    failures
}

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
