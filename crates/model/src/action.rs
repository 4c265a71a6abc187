//! What can happen next.

use crate::{Scenario, World};

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A home writes an entity.
    Write(usize, usize),
    /// A home deletes an entity.
    Delete(usize, usize),
    /// A person settles the conflict of an entity at a home.
    Choose(usize, usize),
    /// The first home grants an entity to a peer, or withdraws it.
    Rule(usize, usize),
    /// The next frame arrives.
    Deliver {
        /// From this home.
        from: usize,
        /// At this one.
        to: usize,
    },
    /// A link loses all that is under way and is opened again.
    Cut(usize, usize),
    /// A home makes durable what waits.
    Flush(usize),
    /// A home loses what is not durable and starts again.
    Crash(usize),
    /// A home is backed up.
    Backup(usize),
    /// A home comes back from its backup.
    Restore(usize),
}

/// Names what may happen in a world, bounds kept; some of it turns out to change nothing.
pub(crate) fn possible(scenario: &Scenario, world: &World, actions: &mut Vec<Action>) {
    let left = &world.left;
    for (a, b) in scenario.links.iter().flat_map(|&(a, b)| [(a, b), (b, a)]) {
        if world.under_way(a, b) {
            actions.push(Action::Deliver { from: a, to: b });
        }
    }
    for at in 0..scenario.homes {
        for entity in 0..scenario.entities.len() {
            actions.extend((left.writes[at] > 0).then_some(Action::Write(at, entity)));
            actions.extend((left.deletions > 0).then_some(Action::Delete(at, entity)));
            actions.extend((left.choices > 0).then_some(Action::Choose(at, entity)));
        }
        actions.extend((scenario.lazy && !world.homes[at].durable).then_some(Action::Flush(at)));
        if at < left.mortal {
            actions.extend((left.crashes > 0).then_some(Action::Crash(at)));
            actions.extend((left.backups > 0).then_some(Action::Backup(at)));
            actions.extend(world.homes[at].backup.is_some().then_some(Action::Restore(at)));
        }
    }
    for peer in scenario.peers(0).filter(|_| left.rules > 0) {
        actions.extend((0..scenario.entities.len()).map(|entity| Action::Rule(peer, entity)));
    }
    actions.extend(scenario.links.iter().filter(|_| left.cuts > 0).map(|&(a, b)| Action::Cut(a, b)));
}
