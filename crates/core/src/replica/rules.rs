//! What changes when rules change: peers gain entities, lose them, or may do more or less with them.

use std::collections::BTreeSet;

use super::Replica;
use crate::{
    EntityId, HomeId, Space,
    effect::{Durability, Effect},
    grant::{Admission, Right, Selector, Traits},
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
        let before = self.admitted(peers);
        let seq = self.table.advance();
        self.grants.set(peer, selector, right, seq);
        self.settle_grants(before, peers)
    }

    /// Removes a rule; what it withdraws from peers is remembered until they have acknowledged it.
    pub fn revoke(&mut self, peer: Option<HomeId>, selector: &Selector, peers: &[HomeId]) -> Effect {
        let before = self.admitted(peers);
        self.grants.clear(peer, selector);
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
            moved.extend(fell_back.map(|&(number, _)| number));
            let name = |number| self.table.get(number).map(|entity| entity.key.id.clone());
            let lost = before.iter().filter(|(number, _)| find(&after, *number).is_none());
            let lost: Vec<_> = lost.filter_map(|(number, _)| name(*number)).collect();
            let gone = self.gone.entry(peer).or_default();
            after.iter().filter_map(|(number, _)| name(*number)).for_each(|id| {
                gone.remove(&id);
            });
            gone.extend(lost.into_iter().map(|id| (id, self.ruled)));
        }
        moved.into_iter().for_each(|number| self.table.touch(number));
        Effect::Commit(Durability::Now)
    }
}
