//! Which strategy settles the conflicts of which entities.
//!
//! The authority of a space sets its [`Policy`]. An owner tells its peers, with each
//! entity, the strategy that holds for it; what else its rules say stays at home. In
//! the joint space the whole policy is a register that every member may write and
//! that replicates as a [`JointPolicy`]: the greatest rank holds, so members whose
//! configurations differ agree.
//!
//! ```
//! # use crosshome_core::policy::{Policy, Rule, Strategy};
//! let rule = |pattern: &str, strategy| Rule { pattern: pattern.into(), strategy, template: None };
//! let policy = Policy::new([rule("climate.*", Strategy::UserChoice), rule("*", Strategy::Merge)]).unwrap();
//! assert_eq!(policy.strategy_for(&"climate.hall".parse().unwrap()), Strategy::UserChoice);
//! assert_eq!(policy.strategy_for(&"light.hall".parse().unwrap()), Strategy::Merge);
//! ```

use minicbor::{Decode, Encode};

use crate::{
    EntityId,
    defaults::{MAX_PATTERN, MAX_RULES, MAX_TEMPLATE},
    dot::Dot,
    grant::glob,
};

/// How concurrent versions are settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Strategy {
    /// The latest version is shown, as a whole.
    #[default]
    #[n(0)]
    LatestWins,
    /// Per field group, the side whose change the other had not seen is shown.
    #[n(1)]
    Merge,
    /// A person chooses; until then the latest version is shown.
    #[n(2)]
    UserChoice,
    /// A function of the space's authority decides; until then the latest version is shown.
    #[n(3)]
    Custom,
}

impl Strategy {
    /// Every strategy, in the order of their codes.
    pub const ALL: [Self; 4] = [Self::LatestWins, Self::Merge, Self::UserChoice, Self::Custom];

    /// Returns the strategy of a code; one that a newer home knows counts as `latest-wins`.
    pub(crate) fn from_code(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or_default()
    }

    /// Returns the name that people type.
    pub fn name(self) -> &'static str {
        match self {
            Self::LatestWins => "latest-wins",
            Self::Merge => "merge",
            Self::UserChoice => "user-choice",
            Self::Custom => "custom",
        }
    }
}

impl std::fmt::Display for Strategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Strategy {
    type Err = StrategyError;

    fn from_str(text: &str) -> Result<Self, StrategyError> {
        Self::ALL.into_iter().find(|strategy| strategy.name() == text).ok_or(StrategyError)
    }
}

/// A text names no strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a strategy is one of latest-wins, merge, user-choice, custom")]
pub struct StrategyError;

/// The strategy of some entities.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Rule {
    /// An entity id, or a pattern of `*` (any text) and `?` (one character).
    #[n(0)]
    pub pattern: String,
    /// What settles their conflicts.
    #[n(1)]
    pub strategy: Strategy,
    /// For `custom`: the template to evaluate.
    #[n(2)]
    pub template: Option<String>,
}

/// The rules of one space: a rule for one entity beats patterns, and among these the first that matches holds.
/// Where none does, the latest wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy(Vec<Rule>);

impl Policy {
    /// Returns a policy of these rules.
    ///
    /// # Errors
    ///
    /// Refuses more or longer rules than a home keeps.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Result<Self, PolicyError> {
        let rules: Vec<_> = rules.into_iter().take(MAX_RULES + 1).collect();
        if rules.len() > MAX_RULES {
            return Err(PolicyError::TooMany);
        }
        for rule in &rules {
            let template = rule.template.as_ref().map_or(0, String::len);
            if rule.pattern.is_empty() || rule.pattern.len() > MAX_PATTERN || template > MAX_TEMPLATE {
                return Err(PolicyError::TooLong);
            }
        }
        Ok(Self(rules))
    }

    /// Returns the rules in their order.
    pub fn rules(&self) -> &[Rule] {
        &self.0
    }

    /// Returns the rule that holds for an entity.
    pub fn rule_for(&self, id: &EntityId) -> Option<&Rule> {
        let exact = self.0.iter().find(|rule| rule.pattern == id.as_str());
        let matches = |rule: &&Rule| glob(rule.pattern.as_bytes(), id.as_str().as_bytes());
        exact.or_else(|| self.0.iter().find(matches))
    }

    /// Returns what settles the conflicts of an entity.
    pub fn strategy_for(&self, id: &EntityId) -> Strategy {
        self.rule_for(id).map_or(Strategy::LatestWins, |rule| rule.strategy)
    }
}

/// The policy of the joint space, as one member has set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JointPolicy {
    /// The rules.
    pub policy: Policy,
    /// Who set it, and when.
    pub dot: Dot,
    /// Whether a person set it while the home ran; what a configuration says by itself gives way to that.
    pub deliberate: bool,
}

impl JointPolicy {
    /// Returns what ranks policies; the greatest holds.
    pub fn rank(&self) -> impl Ord + use<> {
        (self.deliberate, self.dot.rank())
    }
}

/// Why a policy is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Too many rules.
    #[error("more than {MAX_RULES} rules")]
    TooMany,
    /// A pattern or template is empty or too long.
    #[error("a pattern has 1 to {MAX_PATTERN} bytes, a template at most {MAX_TEMPLATE}")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(pattern: &str, strategy: Strategy) -> Rule {
        Rule { pattern: pattern.into(), strategy, template: None }
    }

    #[test]
    fn rule_for_one_entity_beats_an_earlier_pattern_and_the_first_pattern_a_later_one() {
        let rules = [
            rule("light.*", Strategy::Merge),
            rule("*", Strategy::Custom),
            rule("light.hall", Strategy::UserChoice),
        ];
        let policy = Policy::new(rules).unwrap();
        let found = |id: &str| policy.strategy_for(&id.parse().unwrap());
        assert_eq!(found("light.hall"), Strategy::UserChoice);
        assert_eq!(found("light.attic"), Strategy::Merge);
        assert_eq!(found("note.milk"), Strategy::Custom);
        assert_eq!(Policy::default().strategy_for(&"note.milk".parse().unwrap()), Strategy::LatestWins);
    }

    #[test]
    fn policy_beyond_the_bounds_is_refused() {
        let many = std::iter::repeat_with(|| rule("*", Strategy::Merge));
        assert_eq!(Policy::new(many), Err(PolicyError::TooMany));
        let long = Rule { template: Some("x".repeat(MAX_TEMPLATE + 1)), ..rule("*", Strategy::Custom) };
        assert_eq!(Policy::new([long]), Err(PolicyError::TooLong));
        assert_eq!(Policy::new([rule("", Strategy::Merge)]), Err(PolicyError::TooLong));
    }

    #[test]
    fn strategy_of_a_newer_home_counts_as_latest_wins() {
        assert_eq!(Strategy::from_code(99), Strategy::LatestWins);
        Strategy::ALL.iter().for_each(|strategy| assert_eq!(Strategy::from_code(*strategy as u8), *strategy));
    }

    #[test]
    fn strategy_comes_back_from_its_name() {
        assert!(Strategy::ALL.iter().all(|strategy| strategy.name().parse() == Ok(*strategy)));
        assert_eq!("newest".parse::<Strategy>(), Err(StrategyError));
    }
}
