//! Sharing: who may see and steer what, as people ask for it.

use std::collections::{BTreeMap, BTreeSet};

use crosshome_core::{
    EntityId, HomeId, Space,
    grant::{Grant, Grants, Right, Selector, Traits},
    risk::is_risky,
    table::Entity,
};

use super::{
    Loop,
    names::{invalid, not_found},
};
use crate::{
    node::{NodeError, ShareRequest, UnshareRequest},
    views::SharePlan,
};

/// One rule that is about to be set, or cleared.
#[derive(Clone)]
struct Change {
    peer: Option<HomeId>,
    selector: Selector,
    to: Rule,
}

/// What is to stand where one peer and one selector meet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    /// Nothing.
    Cleared,
    /// That wider rules do not hold here.
    Exception,
    /// This right.
    Right(Right),
}

impl Loop {
    pub(super) fn share(&mut self, request: &ShareRequest) -> Result<SharePlan, NodeError> {
        let (selectors, homes) = (self.selectors(&request.patterns)?, self.homes_named(&request.with)?);
        let to = Rule::Right(request.right.into());
        let changes: Vec<_> = selectors
            .iter()
            .flat_map(|selector| {
                homes.iter().map(move |&home| Change { peer: Some(home), selector: selector.clone(), to })
            })
            .collect();
        self.plan(changes, &homes, request.preview, request.yes)
    }

    pub(super) fn unshare(&mut self, request: &UnshareRequest) -> Result<SharePlan, NodeError> {
        let selectors: Vec<_> = request
            .patterns
            .iter()
            .map(|text| Selector::parse(text).map_err(invalid))
            .collect::<Result<_, _>>()?;
        let everywhere = request.with.is_empty();
        let homes = if everywhere { self.peers.ids() } else { self.homes_named(&request.with)? };
        let peers: Vec<_> =
            everywhere.then_some(None).into_iter().chain(homes.iter().copied().map(Some)).collect();
        let changes = selectors.iter().flat_map(|selector| self.withdrawals(selector, &peers)).collect();
        self.plan(changes, &homes, request.preview, true)
    }

    /// Sets a rule and tells everybody concerned.
    pub(super) fn set_grant(&mut self, peer: Option<HomeId>, selector: Selector, right: Right) {
        // Whoever shares something with all means those too from whom it was taken back.
        let taken = self.replica.grants.iter().filter(|grant| {
            peer.is_none() && grant.peer.is_some() && grant.right.is_none() && grant.selector == selector
        });
        let back = |grant: &Grant| Change { to: Rule::Cleared, peer: grant.peer, selector: selector.clone() };
        let mut changes: Vec<_> = taken.map(back).collect();
        changes.push(Change { peer, selector, to: Rule::Right(right) });
        self.apply(&changes);
    }

    /// Takes an entity back from everyone.
    pub(super) fn withdraw_everywhere(&mut self, id: &EntityId) {
        let peers: Vec<_> = self.peers.ids().into_iter().map(Some).chain([None]).collect();
        self.apply(&self.withdrawals(&Selector::Entity(id.clone()), &peers));
    }

    /// Sets the standing rules of the configuration for the homes that they name.
    pub(super) fn apply_standing_rules(&mut self) {
        let rules = self.me.config.share.clone();
        for rule in rules {
            let Ok(selector) = Selector::parse(rule.pattern.as_str()) else { continue };
            let homes: Vec<_> =
                rule.with.iter().filter_map(|home| self.peer_named(home.as_str()).ok()).collect();
            for home in homes {
                let known = self.replica.grants.iter().any(|grant| {
                    grant.peer == Some(home) && grant.selector == selector && grant.right == Some(rule.grant)
                });
                if !known {
                    self.set_grant(Some(home), selector.clone(), rule.grant);
                }
            }
        }
    }

    /// Tells what changes would do, and does them unless it is a preview or something risky awaits a yes.
    fn plan(
        &mut self,
        mut changes: Vec<Change>,
        homes: &[HomeId],
        preview: bool,
        yes: bool,
    ) -> Result<SharePlan, NodeError> {
        let risky = self.risky(&changes);
        let risky_ids: BTreeSet<_> = risky.iter().map(|change| change.selector.to_string()).collect();
        changes.extend(risky);
        let before = self.seen_by(homes);
        let kept = self.replica.grants.clone();
        let seq = self.replica.table().head() + 1;
        changes.iter().for_each(|change| change.apply_to(&mut self.replica.grants, seq));
        let after = self.seen_by(homes);
        self.replica.grants = kept;
        let added: Vec<_> = after.difference(&before).cloned().collect();
        let removed: Vec<_> = before.difference(&after).cloned().collect();
        let applied = !preview && (yes || risky_ids.is_empty());
        if applied {
            self.store_takes_writes()?;
            self.apply(&changes);
        }
        let text = |ids: Vec<EntityId>| ids.iter().map(ToString::to_string).collect();
        Ok(SharePlan {
            with: homes.iter().map(|home| self.home_name(*home)).collect(),
            total: after.len(),
            added: text(added),
            removed: text(removed),
            risky: risky_ids.into_iter().collect(),
            applied,
        })
    }

    fn apply(&mut self, changes: &[Change]) {
        let concerned =
            |peer: &HomeId| changes.iter().any(|change| change.peer.is_none_or(|one| one == *peer));
        let peers: Vec<_> = self.peers.ids().into_iter().filter(concerned).collect();
        let effect = self.replica.change_rules(&peers, |rules, seq| {
            changes.iter().for_each(|change| change.apply_to(rules, seq));
        });
        self.effects.push(effect);
        for (_, peer) in self.peers.paired_mut() {
            if let Some(link) = &mut peer.link {
                link.session.regrant(&self.replica);
            }
        }
    }

    /// Returns what leaves nothing of what a selector covers with these peers (none means a rule for all of them):
    /// not even what was shared by its exact id, and nothing that another pattern would give or will give one day.
    fn withdrawals(&self, selector: &Selector, peers: &[Option<HomeId>]) -> Vec<Change> {
        let of_peer = |&peer: &Option<HomeId>| {
            let mut rules = self.withdrawn_with(selector, peer);
            rules.insert(selector.clone(), self.withdrawn(selector, peer));
            rules.into_iter().map(move |(selector, to)| Change { peer, selector, to })
        };
        peers.iter().flat_map(of_peer).collect()
    }

    /// Returns what becomes of the selector's own rule: an exception where something wider may give the same.
    fn withdrawn(&self, selector: &Selector, peer: Option<HomeId>) -> Rule {
        let wider = self.given(peer).any(|grant| is_wide(&grant.selector) && grant.selector != *selector);
        let known = |grant: &Grant| grant.peer == peer && grant.selector == *selector;
        let single = || peer.is_some() || self.replica.grants.iter().any(known);
        let needed = wider || (!is_wide(selector) && single());
        if needed { Rule::Exception } else { Rule::Cleared }
    }

    /// Returns what becomes of the rules for single entities that a wide selector covers.
    fn withdrawn_with(&self, selector: &Selector, peer: Option<HomeId>) -> BTreeMap<Selector, Rule> {
        let (mut rules, nowhere) = (BTreeMap::new(), Traits::default());
        for grant in self.given(peer).filter(|_| is_wide(selector)) {
            let Selector::Entity(id) = &grant.selector else { continue };
            if selector.matches(id, self.replica.traits.get(id).unwrap_or(&nowhere)) {
                // Behind the peer's own rule may stand one for all.
                let to = if grant.peer == peer { Rule::Cleared } else { Rule::Exception };
                rules
                    .entry(grant.selector.clone())
                    .and_modify(|rule: &mut Rule| *rule = to.max(*rule))
                    .or_insert(to);
            }
        }
        rules
    }

    /// Returns the rules that give a peer something, or all of them.
    fn given(&self, peer: Option<HomeId>) -> impl Iterator<Item = &Grant> {
        let given =
            move |grant: &&Grant| grant.right.is_some() && (grant.peer.is_none() || grant.peer == peer);
        self.replica.grants.iter().filter(given)
    }

    /// Returns this home's entities that at least one of these homes may see.
    fn seen_by(&self, homes: &[HomeId]) -> BTreeSet<EntityId> {
        let own = self.replica.table().in_space(Space::Home(self.me.id)).map(|(_, entity)| entity);
        let shown = own.filter(|entity| entity.view().is_some());
        let seen =
            shown.filter(|entity| homes.iter().any(|home| self.replica.admits(*home, entity).is_some()));
        seen.map(|entity| entity.key.id.clone()).collect()
    }

    /// Returns what these changes would share only by its exact id: risky entities that a pattern covers.
    fn risky(&self, changes: &[Change]) -> Vec<Change> {
        let own: Vec<_> =
            self.replica.table().in_space(Space::Home(self.me.id)).map(|(_, entity)| entity).collect();
        let risky = own.into_iter().filter(|entity| entity.view().is_some() && is_risky(entity));
        let exact = |entity: &Entity| {
            let (id, traits) =
                (&entity.key.id, self.replica.traits.get(&entity.key.id).cloned().unwrap_or_default());
            let covering = changes.iter().filter(move |change| {
                let gives = matches!(change.to, Rule::Right(_));
                gives && is_wide(&change.selector) && change.selector.matches(id, &traits)
            });
            let unseen = covering
                .filter(|change| change.peer.is_none_or(|peer| self.replica.admits(peer, entity).is_none()));
            unseen
                .map(|change| Change { selector: Selector::Entity(id.clone()), ..change.clone() })
                .collect::<Vec<_>>()
        };
        risky.flat_map(exact).collect()
    }

    fn selectors(&self, patterns: &[String]) -> Result<Vec<Selector>, NodeError> {
        let read = |text: &String| {
            let selector = Selector::parse(text).map_err(invalid)?;
            match &selector {
                Selector::Entity(id) => {
                    let known = self
                        .replica
                        .find(&self.replica.own(id.clone()))
                        .is_some_and(|entity| entity.view().is_some());
                    known.then_some(selector).ok_or_else(|| not_found("entity", text))
                }
                _ => Ok(selector),
            }
        };
        patterns.iter().map(read).collect()
    }

    fn homes_named(&self, names: &[String]) -> Result<Vec<HomeId>, NodeError> {
        names.iter().map(|name| self.peer_named(name)).collect()
    }
}

impl Change {
    /// Does to rules what sharing would do.
    fn apply_to(&self, grants: &mut Grants, seq: u64) {
        match self.to {
            Rule::Right(right) => grants.set(self.peer, self.selector.clone(), Some(right), seq),
            Rule::Exception => grants.set(self.peer, self.selector.clone(), None, seq),
            Rule::Cleared => drop(grants.clear(self.peer, &self.selector)),
        }
    }
}

/// Tells whether a selector may speak of more than one entity.
fn is_wide(selector: &Selector) -> bool {
    !matches!(selector, Selector::Entity(_))
}
