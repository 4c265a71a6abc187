//! What changes when rules change: peers gain entities, lose them, or may do more or less with them.

use std::collections::BTreeSet;

use super::Replica;
use crate::{
    EntityId, HomeId, Space,
    bug::{self, Bug},
    effect::{Durability, Effect},
    grant::{Admission, Grants, Right, Selector, Traits},
    table::Number,
};

impl Replica {
    /// Sets a rule; what it withdraws from peers is remembered until they have acknowledged it.
    pub fn grant(
        &mut self,
        peer: Option<HomeId>,
        selector: Selector,
        right: Option<Right>,
        peers: &[HomeId],
    ) -> Effect {
        self.change_rules(peers, |rules, seq| rules.set(peer, selector, right, seq))
    }

    /// Removes a rule; what it withdraws from peers is remembered until they have acknowledged it.
    pub fn revoke(&mut self, peer: Option<HomeId>, selector: &Selector, peers: &[HomeId]) -> Effect {
        self.change_rules(peers, |rules, _| {
            rules.clear(peer, selector);
        })
    }

    /// Changes any number of rules, which all take the place in the log that `change` is given, and compares once
    /// what these peers see before and after.
    pub fn change_rules(&mut self, peers: &[HomeId], change: impl FnOnce(&mut Grants, u64)) -> Effect {
        let before = self.admitted(peers);
        let seq = self.table.advance();
        change(&mut self.grants, seq);
        self.settle_grants(before, peers)
    }

    /// Notes where an entity stands in the house, which may change who sees it.
    pub fn set_traits(&mut self, id: EntityId, traits: Traits, peers: &[HomeId]) -> Effect {
        let before = self.admitted(peers);
        self.traits.insert(id, traits);
        self.settle_grants(before, peers)
    }

    /// Returns what each peer sees at present, sorted by number.
    fn admitted(&self, peers: &[HomeId]) -> Vec<(HomeId, Vec<(Number, Admission)>)> {
        let own = Space::Home(self.me.home);
        let seen_by = |peer| {
            let entities = self.table.in_space(own);
            let mut seen: Vec<_> = entities.filter_map(|(n, e)| Some((n, self.admits(peer, e)?))).collect();
            seen.sort_unstable_by_key(|(number, _)| *number);
            seen
        };
        peers.iter().map(|&peer| (peer, seen_by(peer))).collect()
    }

    /// Notes what peers saw before and no longer see, forgets withdrawals that are undone, and moves in the log
    /// what an older rule now decides: its place would not tell the peers.
    fn settle_grants(&mut self, before: Vec<(HomeId, Vec<(Number, Admission)>)>, peers: &[HomeId]) -> Effect {
        let older = self.ruled;
        self.ruled = self.table.advance();
        let mut moved = BTreeSet::new();
        for ((peer, before), (_, after)) in before.into_iter().zip(self.admitted(peers)) {
            let find = |seen: &[(Number, Admission)], number| {
                seen.binary_search_by_key(&number, |&(number, _)| number).ok().map(|at| seen[at].1)
            };
            let fell_back = after.iter().filter(|&&(number, now)| {
                now.seq <= older && find(&before, number).map(|then| then.right) != Some(now.right)
            });
            moved.extend(fell_back.filter(|_| !bug::is(Bug::FallbackUntold)).map(|&(number, _)| number));
            let name = |number| self.table.get(number).map(|entity| entity.key.id.clone());
            let lost = before.iter().filter(|(number, _)| find(&after, *number).is_none());
            let lost: Vec<_> = lost.filter_map(|(number, _)| name(*number)).collect();
            let gone = self.gone.entry(peer).or_default();
            after.iter().filter_map(|(number, _)| name(*number)).for_each(|id| {
                gone.remove(&id);
            });
            gone.extend(lost.into_iter().filter(|_| !bug::is(Bug::GoneForgotten)).map(|id| (id, self.ruled)));
        }
        moved.into_iter().for_each(|number| self.table.touch(number));
        Effect::Commit(Durability::Now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{replica::Options, table::Class, update::Update, version::Cause};

    const FLAT: HomeId = HomeId([2; 32]);

    #[test]
    fn many_rules_at_once_do_what_they_would_one_after_the_other() {
        let rules = [("light.*", Some(Right::Edit)), ("light.hall", None), ("light.*", Some(Right::Read))];
        let rules = rules.map(|(text, right)| (Selector::parse(text).unwrap(), right));
        let [mut one_by_one, mut at_once] = [(); 2].map(|()| {
            let mut villa = Replica::new(HomeId([1; 32]), Options::default());
            for id in ["light.hall", "light.attic", "sensor.roof"] {
                let key = villa.own(id.parse().unwrap());
                villa.update(&key, Class::Device, &Update::state("on"), Cause::Device, 1).unwrap();
            }
            villa.grant(Some(FLAT), Selector::Glob("sensor.*".into()), Some(Right::Read), &[FLAT]);
            villa
        });
        rules.clone().into_iter().for_each(|(selector, right)| {
            one_by_one.grant(Some(FLAT), selector, right, &[FLAT]);
        });
        at_once.change_rules(&[FLAT], |all, seq| {
            rules.into_iter().for_each(|(selector, right)| all.set(Some(FLAT), selector, right, seq));
        });
        let rights = |villa: &Replica| -> Vec<_> {
            let rights = villa.table().iter().map(|(_, entity)| villa.admits(FLAT, entity));
            rights.map(|admission| admission.map(|admission| admission.right)).collect()
        };
        assert_eq!(rights(&at_once), rights(&one_by_one));
        assert_eq!(rights(&at_once), [None, Some(Right::Read), Some(Right::Read)]);
    }
}
