//! Every order in which things can happen in a few small worlds of homes.
//!
//! The simulator throws dice and goes far; this crate leaves nothing out and stays near. A [`Scenario`] says which
//! homes there are, what they share, and how often each thing may happen: writes, deletions, choices, rules, cuts,
//! crashes, backups. From there *all* interleavings are tried, with the real `Replica`, `Session`, wire and record
//! format; only the network, the disk's timing and the numbers that are random in a running home are made up.
//! As every scenario is bounded, the search ends by itself: it reaches a fixpoint, and what it says holds for every
//! order of these events.
//!
//! In every state the [`Invariant`]s are checked; whenever nothing is under way, also that all homes agree. What
//! must be able to happen (a conflict, a restored backup that is repaired, two decisions of one conflict) must be found.
//!
//! ```
//! let found = crosshome_model::explore(crosshome_model::scenarios(false)[0].clone(), 1);
//! assert_eq!(found.complaint, None);
//! assert!(found.states > 10);
//! ```

mod action;
mod check;
mod home;
mod ledger;
mod link;
mod scenario;
mod settled;
mod world;

use std::time::{Duration, Instant};

use stateright::{Checker, Model, Property};

pub use action::Action;
pub use check::{Broken, Invariant, Reach};
pub use scenario::{Scenario, Times, scenarios};
pub use world::World;

/// What a search has found.
#[derive(Debug)]
pub struct Found {
    /// Which scenario was searched.
    pub scenario: &'static str,
    /// How many states there are.
    pub states: usize,
    /// The longest way to one of them, in actions.
    pub depth: usize,
    /// How long it took.
    pub time: Duration,
    /// What is wrong, with the shortest way there.
    pub complaint: Option<String>,
}

/// Searches all that can happen in a scenario.
pub fn explore(scenario: Scenario, threads: usize) -> Found {
    let (name, start) = (scenario.name, Instant::now());
    let checker = scenario.checker().threads(threads).spawn_bfs().join();
    let complaint = checker.discoveries().into_iter().find_map(|(property, path)| {
        let state = path.last_state().clone();
        let broken = state.broken.as_ref()?;
        let steps: Vec<_> = path.into_actions().iter().map(|action| format!("  {action:?}")).collect();
        Some(format!("{property}: {}\n{}", broken.what, steps.join("\n")))
    });
    let found = checker.discoveries();
    let sometimes = checker
        .model()
        .properties()
        .into_iter()
        .filter(|property| !property.expectation.discovery_is_failure());
    let missing: Vec<_> =
        sometimes.map(|property| property.name).filter(|name| !found.contains_key(name)).collect();
    let unreached = (!missing.is_empty()).then(|| format!("never happened: {}", missing.join(", ")));
    Found {
        scenario: name,
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        time: start.elapsed(),
        complaint: complaint.or(unreached),
    }
}

impl Model for Scenario {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.broken.is_none() {
            action::possible(self, world, actions);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        world.after(self, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let always = Invariant::ALL.into_iter().map(|(name, holds)| Property::always(name, holds));
        always
            .chain(self.reaches.iter().map(|reach| Property::sometimes(reach.name(), reach.condition())))
            .collect()
    }
}
