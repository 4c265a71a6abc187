//! The policies of a home: what is configured, what was set at run time, and how both are stored.
//!
//! The policy of the home's own space is put together at each start: rules set at run time stand in front of the configured
//! ones, and the rule for all that is left, whose pattern is `*`, stands last. The joint space's policy is a register of its
//! own ([`JointPolicy`]), kept as a memo beside what this home's configuration said when it was last written there.

use crosshome_core::{
    HomeId,
    defaults::MAX_RULES,
    dot::{Actor, Dot},
    hlc::Hlc,
    policy::{JointPolicy, Policy, PolicyError, Rule, Strategy},
};
use serde::{Deserialize, Serialize};

use crate::{
    config::ConflictConfig,
    defaults::POLICY,
    store::MemoKey,
    views::{RuleOrigin, RuleView},
};

/// The pattern of the rule for all that is left.
pub(crate) const ALL: &str = "*";

/// What is known beside the policies in force.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    /// Rules of the own space that were set at run time.
    pub(crate) run_time: Vec<Rule>,
    /// What the configuration said when this home last wrote it to the joint space.
    pub(crate) written: Option<Vec<Rule>>,
}

impl Policies {
    /// Reads what was stored.
    pub(crate) fn recall(memos: &[(MemoKey, String)]) -> (Self, Option<JointPolicy>) {
        let run_time = read::<Vec<Stored>>(memos, "own").unwrap_or_default();
        let written = read::<Vec<Stored>>(memos, "written").map(rules);
        let joint = read::<StoredJoint>(memos, "joint").and_then(StoredJoint::policy);
        (Self { run_time: rules(run_time), written }, joint)
    }

    /// Returns the rules of the own space in their order, with where they come from.
    pub(crate) fn own(&self, config: &ConflictConfig) -> Vec<(Rule, RuleOrigin)> {
        let new = |rule: &Rule| self.run_time.iter().all(|set| set.pattern != rule.pattern);
        let origin = if config.said { RuleOrigin::Configuration } else { RuleOrigin::Default };
        let (last, first): (Vec<_>, Vec<_>) =
            self.run_time.iter().cloned().partition(|rule| rule.pattern == ALL);
        let mut all: Vec<_> = first.into_iter().map(|rule| (rule, RuleOrigin::RunTime)).collect();
        all.extend(config.rules().filter(new).map(|rule| (rule, RuleOrigin::Configuration)));
        all.push(match last.into_iter().next() {
            Some(rule) => (rule, RuleOrigin::RunTime),
            None => (config.default_rule(), origin),
        });
        all
    }

    /// Returns the policy of the own space.
    ///
    /// # Errors
    ///
    /// What was set at run time and what is configured are more rules together than a policy holds.
    pub(crate) fn own_policy(&self, config: &ConflictConfig) -> Result<Policy, PolicyError> {
        Policy::new(self.own(config).into_iter().map(|(rule, _)| rule))
    }

    /// As [`Policies::own_policy`]; when a longer configuration left no room, the last rules before the one for all do not hold.
    pub(crate) fn own_policy_at_start(&self, config: &ConflictConfig) -> Policy {
        self.own_policy(config).unwrap_or_else(|error| {
            tracing::error!(%error, "rules at the end of conflict_resolution.rules do not hold");
            let mut all = self.own(config);
            let last = all.pop();
            all.truncate(MAX_RULES - 1);
            Policy::new(all.into_iter().chain(last).map(|(rule, _)| rule)).unwrap_or_default()
        })
    }

    /// Returns the memo of the rules that were set at run time.
    pub(crate) fn own_memo(&self) -> (MemoKey, Option<String>) {
        memo("own", stored(&self.run_time))
    }

    /// Returns the memo of what the configuration has said to the joint space.
    pub(crate) fn written_memo(&self) -> (MemoKey, Option<String>) {
        memo("written", stored(self.written.as_deref().unwrap_or_default()))
    }
}

/// Returns the configured policy: the rules, and the default last.
pub(crate) fn configured(config: &ConflictConfig) -> Vec<Rule> {
    config.rules().chain([config.default_rule()]).collect()
}

/// Puts a rule in the place of the one with its pattern: the one for all goes last, others first.
pub(crate) fn with_rule(rules: &[Rule], rule: Rule) -> Vec<Rule> {
    let mut rules = without_rule(rules, &rule.pattern);
    let at = if rule.pattern == ALL { rules.len() } else { 0 };
    rules.insert(at, rule);
    rules
}

/// Takes out the rule with a pattern.
pub(crate) fn without_rule(rules: &[Rule], pattern: &str) -> Vec<Rule> {
    rules.iter().filter(|rule| rule.pattern != pattern).cloned().collect()
}

/// Returns what settles most conflicts under these rules.
pub(crate) fn default_of(rules: &[Rule]) -> Strategy {
    rules.iter().find(|rule| rule.pattern == ALL).map_or(Strategy::LatestWins, |rule| rule.strategy)
}

/// Returns a rule as people see it.
pub(crate) fn rule_view(rule: Rule, origin: RuleOrigin) -> RuleView {
    let Rule { pattern, strategy, template } = rule;
    RuleView { pattern, strategy: strategy.to_string(), template, origin }
}

/// Returns the memo of the joint space's policy.
pub(crate) fn joint_memo(joint: &JointPolicy) -> (MemoKey, Option<String>) {
    let Dot { actor, hlc } = joint.dot;
    let stored = StoredJoint {
        rules: stored(joint.policy.rules()),
        home: actor.home.to_string(),
        incarnation: actor.incarnation,
        stamp: hlc.0,
        deliberate: joint.deliberate,
    };
    memo("joint", stored)
}

fn memo(name: &str, value: impl Serialize) -> (MemoKey, Option<String>) {
    let text = serde_json::to_string(&value).expect("texts and numbers are JSON");
    (MemoKey { kind: POLICY.into(), name: name.into() }, Some(text))
}

fn read<T: for<'a> Deserialize<'a>>(memos: &[(MemoKey, String)], name: &str) -> Option<T> {
    let (_, text) = memos.iter().find(|(key, _)| key.kind == POLICY && key.name == name)?;
    let read = serde_json::from_str(text);
    read.inspect_err(|error| tracing::error!(%error, name, "a stored policy is damaged and does not hold"))
        .ok()
}

/// A rule as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(rename = "match")]
    pattern: String,
    strategy: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    template: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredJoint {
    rules: Vec<Stored>,
    home: String,
    incarnation: u32,
    stamp: u64,
    deliberate: bool,
}

impl StoredJoint {
    fn policy(self) -> Option<JointPolicy> {
        let home: HomeId = self.home.parse().ok()?;
        let actor = Actor { home, incarnation: self.incarnation };
        let dot = Dot { actor, hlc: Hlc(self.stamp) };
        let policy = Policy::new(rules(self.rules)).ok()?;
        Some(JointPolicy { policy, dot, deliberate: self.deliberate })
    }
}

fn stored(rules: &[Rule]) -> Vec<Stored> {
    let stored = |rule: &Rule| Stored {
        pattern: rule.pattern.clone(),
        strategy: rule.strategy.to_string(),
        template: rule.template.clone(),
    };
    rules.iter().map(stored).collect()
}

/// A strategy of a newer version counts as latest-wins, as on the wire.
fn rules(stored: Vec<Stored>) -> Vec<Rule> {
    let rule = |Stored { pattern, strategy, template }| {
        let strategy = strategy.parse().unwrap_or_default();
        Rule { pattern, strategy, template }
    };
    stored.into_iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Override, Sources};

    fn rule(pattern: &str, strategy: Strategy) -> Rule {
        Rule { pattern: pattern.into(), strategy, template: None }
    }

    fn config(strategy: &str, rules: &str) -> ConflictConfig {
        let set = |key: &str, value: &str| Override {
            key: format!("conflict_resolution.{key}"),
            value: value.into(),
            flag: "--test".into(),
        };
        let overrides = vec![set("strategy", strategy), set("rules", rules)];
        let loaded = Config::load(&Sources { overrides, ..Sources::default() });
        loaded.expect("it is valid").config.conflict_resolution
    }

    fn shown(policies: &Policies, config: &ConflictConfig) -> Vec<String> {
        let own = policies.own(config).into_iter();
        own.map(|(rule, origin)| format!("{} {} {origin:?}", rule.pattern, rule.strategy)).collect()
    }

    #[test]
    fn what_was_set_at_run_time_stands_in_front_and_the_default_last() {
        let config =
            config("merge", "[{match: 'light.*', strategy: merge}, {match: note.a, strategy: merge}]");
        let mut policies = Policies::default();
        assert_eq!(
            shown(&policies, &config),
            ["light.* merge Configuration", "note.a merge Configuration", "* merge Configuration"]
        );
        policies.run_time = with_rule(&[], rule("light.*", Strategy::UserChoice));
        policies.run_time = with_rule(&policies.run_time, rule(ALL, Strategy::LatestWins));
        policies.run_time = with_rule(&policies.run_time, rule("note.*", Strategy::UserChoice));
        assert_eq!(
            shown(&policies, &config),
            [
                "note.* user-choice RunTime",
                "light.* user-choice RunTime",
                "note.a merge Configuration",
                "* latest-wins RunTime"
            ]
        );
        policies.run_time = without_rule(&policies.run_time, ALL);
        assert_eq!(shown(&policies, &config).last().map(String::as_str), Some("* merge Configuration"));
    }

    #[test]
    fn configuration_that_has_grown_leaves_the_default_in_force() {
        let one = |n: usize| format!("{{match: note.n{n}, strategy: merge}}");
        let many: Vec<_> = (0..MAX_RULES - 1).map(one).collect();
        let config = config("user-choice", &format!("[{}]", many.join(", ")));
        let policies = Policies { run_time: vec![rule("a.b", Strategy::Merge)], written: None };
        assert_eq!(policies.own_policy(&config), Err(PolicyError::TooMany));
        let policy = policies.own_policy_at_start(&config);
        assert_eq!(policy.rules().len(), MAX_RULES);
        assert_eq!(default_of(policy.rules()), Strategy::UserChoice);
    }

    #[test]
    fn policies_come_back_from_their_memos() {
        let dot = Dot { actor: Actor::first(HomeId([7; 32])), hlc: Hlc::at(5_000) };
        let custom = Rule { template: Some("{{ 1 }}".into()), ..rule("note.*", Strategy::Custom) };
        let policy = Policy::new([custom.clone(), rule(ALL, Strategy::Merge)]).expect("few rules");
        let joint = JointPolicy { policy, dot, deliberate: true };
        let policies = Policies { run_time: vec![custom], written: Some(vec![rule(ALL, Strategy::Merge)]) };
        let memos: Vec<_> = [joint_memo(&joint), policies.own_memo(), policies.written_memo()]
            .map(|(key, text)| (key, text.expect("it is written")))
            .into();
        let (read, again) = Policies::recall(&memos);
        assert_eq!((read.run_time, read.written), (policies.run_time, policies.written));
        assert_eq!(again, Some(joint));
        let damaged = [(memos[0].0.clone(), "{".to_owned())];
        assert_eq!(Policies::recall(&damaged).1, None);
    }
}
