//! Settling what several homes changed at once: policies, and the decisions of people and functions.
//!
//! `latest-wins` and `merge` are views and write nothing. Where a decision is needed, one
//! home writes one version that has seen all it decides between: a person's choice carries
//! the [`Token`] of the versions that were shown, a function's result is written by the
//! space's authority alone, and once.

use super::{Replica, WriteError, said_anew};
use crate::{
    EntityKey, HomeId, Space,
    body::Body,
    bug::{self, Bug},
    conflict::Token,
    dot::Dot,
    effect::{Durability, Effect},
    hlc::Skew,
    policy::{JointPolicy, Policy, Strategy},
    table::{Class, Number},
    update::Update,
    version::Cause,
    view::{self, Shown},
};

/// What a conflict is settled with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// One of the versions, as it is.
    Take(Dot),
    /// What `merge` shows.
    Merge,
    /// What the update makes of the version that is shown.
    Value(Update),
}

impl Replica {
    /// Sets the policy of this home's own space.
    pub fn set_policy(&mut self, policy: Policy) -> Vec<Effect> {
        self.policy = policy;
        self.apply_policy(Space::Home(self.me.home))
    }

    /// Sets the policy of the joint space; `deliberate` says that a person did, and no configuration by itself.
    pub fn set_joint_policy(&mut self, policy: Policy, deliberate: bool, now_ms: u64) -> Vec<Effect> {
        let dot = self.stamp(now_ms);
        self.take_joint_policy(JointPolicy { policy, dot, deliberate })
    }

    /// Takes in what a member says that the joint space's policy is.
    ///
    /// # Errors
    ///
    /// Refuses a policy from the future.
    pub fn adopt_joint_policy(&mut self, offered: &JointPolicy, now_ms: u64) -> Result<Vec<Effect>, Skew> {
        self.clock.observe(offered.dot.hlc, now_ms)?;
        Ok(self.take_joint_policy(offered.clone()))
    }

    /// Puts back the joint space's policy as it was stored.
    pub fn put_back_joint_policy(&mut self, policy: JointPolicy) {
        self.joint_policy = Some(policy);
    }

    /// Settles a conflict by the choice of someone who has seen the versions that the token names.
    ///
    /// # Errors
    ///
    /// Refuses a token of other versions than there are, and what this home may not write. A refused choice
    /// changes nothing.
    pub fn resolve(
        &mut self,
        key: &EntityKey,
        token: Token,
        choice: &Choice,
        cause: Cause,
        now_ms: u64,
    ) -> Result<Vec<Effect>, ResolveError> {
        let number = self.writable(key)?.ok_or(WriteError::NotFound)?;
        let dot = Dot { actor: self.writer(key.space), ..self.stamp(now_ms) };
        let entity = self.table.get(number).ok_or(WriteError::NotFound)?;
        if !view::differ(&entity.siblings) {
            return Err(ResolveError::Settled);
        }
        if token != Token::of(&entity.siblings) && !bug::is(Bug::TokenIgnored) {
            return Err(ResolveError::Stale);
        }
        let body = match choice {
            Choice::Take(taken) => {
                let version = entity.siblings.iter().find(|version| version.dot == *taken);
                let version = version.ok_or(ResolveError::Unknown)?;
                (!version.deleted).then(|| Body::of(dot, said_anew(version.groups(), dot)))
            }
            Choice::Merge => {
                Some(Body::of(dot, said_anew(view::merged(&entity.siblings).0.into_iter(), dot)))
            }
            Choice::Value(update) => {
                update.check().map_err(WriteError::from)?;
                let shown = entity.shown().unwrap_or_else(|| Shown::nothing(dot));
                let shown = said_anew(shown.groups(), dot);
                let body = update.apply(key.id.domain(), shown.clone(), dot).map_err(WriteError::from)?;
                Some(body.unwrap_or_else(|| Body::of(dot, shown)))
            }
        };
        Ok(self.write(number, body, dot, cause, now_ms))
    }

    /// Tells whether this home decides the entity's conflicts by its function: the owner does, and in the joint
    /// space the member with the lowest id among those that can reach each other.
    pub fn decides(&self, key: &EntityKey, mut reachable: impl Iterator<Item = HomeId>) -> bool {
        match key.space {
            _ if bug::is(Bug::DecidedByAll) => true,
            Space::Home(home) => home == self.me.home,
            Space::Joint => reachable.all(|member| self.me.home < member),
        }
    }

    /// Returns the policy of this home's own space.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Returns the policy of the joint space, once a member has set one.
    pub fn joint_policy(&self) -> Option<&JointPolicy> {
        self.joint_policy.as_ref()
    }

    /// Returns what settles the conflicts of an entity that this home or the joint space has.
    pub(super) fn strategy_for(&self, key: &EntityKey, class: Class) -> Strategy {
        let policy = match key.space {
            Space::Joint => self.joint_policy.as_ref().map(|joint| &joint.policy),
            Space::Home(home) if home == self.me.home => Some(&self.policy),
            Space::Home(_) => None, // its owner says so with the entity
        };
        let policy = policy.filter(|_| class == Class::Document);
        policy.map_or(Strategy::LatestWins, |policy| policy.strategy_for(&key.id))
    }

    fn take_joint_policy(&mut self, offered: JointPolicy) -> Vec<Effect> {
        let holds = |present: &JointPolicy| match bug::is(Bug::PolicyRankIgnored) {
            true => *present == offered,
            false => present.rank() >= offered.rank(),
        };
        if self.joint_policy.as_ref().is_some_and(holds) {
            return Vec::new();
        }
        self.joint_policy = Some(offered);
        let mut effects = self.apply_policy(Space::Joint);
        effects.insert(1, Effect::JointPolicy);
        effects
    }

    /// Gives the entities of a space the strategies of its policy, and moves those that got another one in the log.
    fn apply_policy(&mut self, space: Space) -> Vec<Effect> {
        let mut effects = vec![Effect::Commit(Durability::Now)];
        let numbers: Vec<Number> = self.table.in_space(space).map(|(number, _)| number).collect();
        for number in numbers {
            let Some(entity) = self.table.get(number) else { continue };
            let strategy = self.strategy_for(&entity.key, entity.class);
            if strategy == entity.strategy || bug::is(Bug::StrategyKept) {
                continue;
            }
            if let Some(entity) = self.table.get_mut(number) {
                entity.strategy = strategy;
            }
            self.table.touch(number);
            effects.push(Effect::Changed(number));
            effects.extend(self.conflict(number));
        }
        effects
    }

    /// Returns what puts an entity's conflict on record, if there is one.
    pub(super) fn conflict(&self, number: Number) -> Option<Effect> {
        let conflict = self.table.get(number)?.conflict().filter(|_| !bug::is(Bug::ConflictUntold))?;
        Some(Effect::Conflict(Box::new(conflict)))
    }
}

/// Why a conflict is not settled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// There is no conflict (any more).
    #[error("there is no conflict any more")]
    Settled,
    /// The versions are not those that were shown.
    #[error("the versions have changed since they were shown")]
    Stale,
    /// The chosen version is not one of the conflict's.
    #[error("no such version in this conflict")]
    Unknown,
    /// This home may not write it, or the value is not acceptable.
    #[error(transparent)]
    Write(#[from] WriteError),
}
