//! What may change in a home between one moment and the next (I3, I4, I10, I14).

use std::collections::BTreeMap;

use super::{
    From,
    dots::Dots,
    graph::Family,
    house::House,
    lives::Lives,
    tidings::{Finding, home_of, owner_of},
};

/// A home holds other versions of an entity than before.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) at: usize,
    pub(super) home: &'a str,
    pub(super) entity: &'a str,
    pub(super) was: Dots,
    pub(super) now: &'a Dots,
    pub(super) device: bool,
    /// Whether the home has started in between.
    pub(super) unread: bool,
}

impl Step<'_> {
    /// Checks it, and returns the versions that went for a reason that people know.
    pub(super) fn check(
        &self,
        family: &Family<'_>,
        houses: &BTreeMap<&str, House<'_>>,
        lives: &Lives<'_>,
        exact: bool,
        findings: &mut Vec<Finding>,
    ) -> Dots {
        let lost = self.was.without(&family.behind(self.now));
        let lost = if exact { lost } else { self.not_taken_back(&lost, family) };
        let (excused, unexcused): (Vec<_>, Vec<_>) =
            lost.iter().partition(|number| self.is_excused(*number, family, houses, exact));
        let (home, entity, now) = (self.home, self.entity, family.names(self.now));
        if !unexcused.is_empty() {
            let gone = family.names(&unexcused.into_iter().collect());
            findings.push(match self.unread {
                true => self
                    .finding(14, format!("{home} has lost {gone} of {entity} with its power; it has {now}")),
                false => self.finding(
                    3,
                    format!("{gone} of {entity} disappeared at {home}; nobody behind {now} had it"),
                ),
            });
        } else if excused.is_empty() && !self.unread {
            // a life begins without naming the one before
            let ended = |number: usize| lives.is_buried(self.entity, &[number].into_iter().collect());
            let own_edit = |number: usize| {
                let one = [number].into_iter().collect();
                !exact && self.not_taken_back(&one, family).iter().next().is_none()
            };
            let excused = |number: usize| {
                ended(number) || own_edit(number) || self.is_excused(number, family, houses, exact)
            };
            findings.extend(self.unsaid(family, &now, excused));
            findings.extend(self.returned(family, &now, excused));
        }
        excused.into_iter().collect()
    }

    /// Leaves out what a home has taken back of its own edits, and all while it waits for the owner's word: whether
    /// that was told is a question for the end, as a recorder of daemons does not hear it at once.
    fn not_taken_back(&self, lost: &Dots, family: &Family<'_>) -> Dots {
        let foreign = owner_of(self.entity).is_some_and(|owner| owner != self.home);
        let own = |number: &usize| home_of(&family.dot(*number).actor) == self.home;
        let waits = foreign && self.now.iter().next().is_none();
        lost.iter().filter(|number| !foreign || !(waits || own(number))).collect()
    }

    fn finding(&self, invariant: u8, what: String) -> Finding {
        Finding::new(invariant, self.at, what)
    }

    /// What has disappeared is named by the contexts of what is held now.
    fn unsaid(&self, family: &Family<'_>, now: &str, excused: impl Fn(usize) -> bool) -> Option<Finding> {
        let said = |number: usize| self.now.iter().any(|by| family.claims(by, number));
        let gone = self.was.without(self.now);
        let behind = family.behind(self.now);
        let unnamed =
            |number: &usize| !said(*number) && !excused(*number) && !family.is_ahead(*number, &behind);
        let unsaid = gone.iter().find(unnamed)?;
        let gone = family.names(&[unsaid].into_iter().collect());
        let (home, entity) = (self.home, self.entity);
        Some(self.finding(3, format!("{gone} of {entity} was replaced at {home}, and {now} does not say so")))
    }

    /// What was replaced is not held again.
    fn returned(&self, family: &Family<'_>, now: &str, excused: impl Fn(usize) -> bool) -> Option<Finding> {
        let replaced = family.behind(&self.was).without(&self.was);
        // whoever replaced what had replaced it may have left it out
        let (past, now_behind) = (family.behind(&self.was), family.behind(self.now));
        let known = |number: usize| !family.is_ahead(number, &past) && !family.is_ahead(number, &now_behind);
        let back = |number: &usize| replaced.contains(*number) && known(*number) && !excused(*number);
        let back = self.now.iter().find(back)?;
        let back = family.names(&[back].into_iter().collect());
        let (home, entity) = (self.home, self.entity);
        Some(self.finding(4, format!("{back} of {entity} came back at {home}, which now has {now}")))
    }

    /// Tells whether a version went because it was told to be lost, with a disk or power, or for want of a right.
    fn is_excused(
        &self,
        number: usize,
        family: &Family<'_>,
        houses: &BTreeMap<&str, House<'_>>,
        exact: bool,
    ) -> bool {
        let house = &houses[self.home];
        let owner = owner_of(self.entity);
        let keeper = owner.and_then(|owner| houses.get(owner));
        let (_, made_ms) = family.made(number);
        let went_back =
            keeper.is_some_and(
                |keeper| {
                    if exact { !keeper.restored.is_empty() } else { keeper.went_back(made_ms) }
                },
            );
        let lazy = self.device && (house.crashed || keeper.is_some_and(|keeper| keeper.crashed));
        let again = self.unread && house.from == Some(From::Backup);
        let told = house.was_told(self.entity, &[number].into_iter().collect());
        told || went_back || lazy || again
    }
}
