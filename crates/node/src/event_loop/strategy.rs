//! Which strategy holds where: at the start, as people ask and choose, and as other members say.

use crosshome_core::{
    defaults::MAX_TEMPLATE,
    policy::{JointPolicy, Policy, Rule, Strategy},
};

use super::{Loop, names::invalid, now_ms, views::stamp};
use crate::{
    config::EntityPattern,
    custom::template,
    node::{NodeError, StrategyRequest},
    policies::{self, ALL, default_of, rule_view},
    store::Batch,
    views::{JointView, RuleOrigin, RuleView, StrategyView},
};

impl Loop {
    /// Puts the policies in force; entities whose strategy stays the same are not touched.
    pub(super) fn begin_policies(&mut self) {
        let own = self.policies.own_policy_at_start(&self.me.config.conflict_resolution);
        let effects = self.replica.set_policy(own);
        if effects.len() > 1 {
            self.effects.extend(effects);
        }
        self.tell_joint_space();
        self.deciding.review_soon();
    }

    /// Writes what is configured to the joint space, unless this home has done so already. A configuration gives way to what a
    /// person has chosen; one that was changed since it was last written is a person's choice itself.
    fn tell_joint_space(&mut self) {
        let config = &self.me.config.conflict_resolution;
        let rules = policies::configured(config);
        let known = self.policies.written.as_ref() == Some(&rules);
        if known || !config.said || self.desk.shared_key().is_none() {
            return;
        }
        let Ok(policy) = Policy::new(rules.iter().cloned()) else { return };
        let deliberate = self.policies.written.replace(rules).is_some();
        let memos = vec![self.policies.written_memo()];
        self.keeper.note(Batch { memos, ..Batch::default() });
        self.effects.extend(self.replica.set_joint_policy(policy, deliberate, now_ms()));
    }

    /// Sets the rule for some entities, or for all that no rule names, in both spaces.
    pub(super) fn set_strategy(&mut self, wanted: &StrategyRequest) -> Result<StrategyView, NodeError> {
        let rule = self.rule(wanted)?;
        let own = policies::with_rule(&self.policies.run_time, rule.clone());
        let joint = policies::with_rule(&self.joint_rules(), rule);
        self.choose(own, joint)
    }

    /// Takes back what was set at run time: for one pattern, or all of it.
    pub(super) fn reset_strategy(&mut self, pattern: Option<&str>) -> Result<StrategyView, NodeError> {
        let configured = policies::configured(&self.me.config.conflict_resolution);
        let Some(pattern) = pattern else { return self.choose(Vec::new(), configured) };
        let own = policies::without_rule(&self.policies.run_time, pattern);
        let joint = match configured.into_iter().find(|rule| rule.pattern == pattern) {
            Some(rule) => policies::with_rule(&self.joint_rules(), rule),
            None => policies::without_rule(&self.joint_rules(), pattern),
        };
        self.choose(own, joint)
    }

    /// Puts what a person has chosen in force, whole or not at all.
    fn choose(&mut self, own: Vec<Rule>, joint: Vec<Rule>) -> Result<StrategyView, NodeError> {
        self.store_takes_writes()?;
        let before = std::mem::replace(&mut self.policies.run_time, own);
        let policy = self.policies.own_policy(&self.me.config.conflict_resolution);
        let both = policy.and_then(|own| Ok((own, Policy::new(joint)?)));
        let (own, joint) = match both {
            Ok(both) => both,
            Err(error) => {
                self.policies.run_time = before;
                return Err(invalid(error));
            }
        };
        self.keeper.note(Batch { memos: vec![self.policies.own_memo()], ..Batch::default() });
        self.effects.extend(self.replica.set_policy(own));
        let new = self.replica.joint_policy().is_none_or(|held| !held.deliberate || held.policy != joint);
        if new && self.desk.shared_key().is_some() {
            self.effects.extend(self.replica.set_joint_policy(joint, true, now_ms()));
        }
        self.deciding.policy_changed();
        Ok(self.strategy())
    }

    /// Checks a wish and makes a rule of it.
    fn rule(&self, wanted: &StrategyRequest) -> Result<Rule, NodeError> {
        let StrategyRequest { strategy, pattern, template: text } = wanted;
        let pattern = pattern.as_deref().unwrap_or(ALL);
        pattern.parse::<EntityPattern>().map_err(invalid)?;
        let configured =
            self.me.config.conflict_resolution.template.as_ref().map(|text| text.as_str().to_owned());
        let template = match (strategy, text) {
            (Strategy::Custom, Some(text)) => Some(text.clone()),
            (Strategy::Custom, None) if self.deciding.has_function() => None,
            (Strategy::Custom, None) => Some(configured.ok_or_else(|| {
                invalid("the strategy custom needs a template, such as \"{{ remote.state }}\"")
            })?),
            (_, Some(_)) => return Err(invalid(format!("{strategy} takes no template"))),
            (_, None) => None,
        };
        if let Some(text) = &template {
            template::check(text).map_err(|error| invalid(format!("this is no Jinja template: {error}")))?;
        }
        debug_assert!(template.as_ref().is_none_or(|text| text.len() <= MAX_TEMPLATE));
        Ok(Rule { pattern: pattern.into(), strategy: *strategy, template })
    }

    /// Returns the rules that hold in the joint space, or would by this home's configuration.
    fn joint_rules(&self) -> Vec<Rule> {
        match self.replica.joint_policy() {
            Some(joint) => joint.policy.rules().to_vec(),
            None => policies::configured(&self.me.config.conflict_resolution),
        }
    }

    /// Stores the joint space's policy with the batch of this turn.
    pub(super) fn note_joint_policy(&mut self) {
        let Some(joint) = self.replica.joint_policy() else { return };
        self.keeper.note(Batch { memos: vec![policies::joint_memo(joint)], ..Batch::default() });
    }

    /// Takes note that another policy holds in the joint space.
    pub(super) fn joint_policy_changed(&mut self) {
        let Some(joint) = self.joint_view() else { return };
        tracing::info!(strategy = %joint.strategy, rules = joint.rules.len(), reason = %joint.reason, "policy of the joint space");
        self.deciding.policy_changed();
    }

    /// Returns what settles conflicts.
    pub(super) fn strategy(&self) -> StrategyView {
        let own = self.policies.own(&self.me.config.conflict_resolution);
        let own = own.into_iter().map(|(rule, origin)| rule_view(rule, origin)).collect();
        StrategyView { own, joint: self.joint_view() }
    }

    /// Returns the joint space's policy; nothing without a shared key.
    pub(super) fn joint_view(&self) -> Option<JointView> {
        self.desk.shared_key()?;
        let Some(joint) = self.replica.joint_policy() else {
            let reason = "no member has said anything else".into();
            let all = Rule { pattern: ALL.into(), strategy: Strategy::LatestWins, template: None };
            return Some(JointView {
                rules: vec![rule_view(all, RuleOrigin::Default)],
                set_by: None,
                at: None,
                deliberate: false,
                strategy: Strategy::LatestWins.to_string(),
                configured: None,
                reason,
            });
        };
        let (configured, reason) = self.why_joint(joint);
        Some(JointView {
            rules: joint_rule_views(joint),
            set_by: Some(self.home_name(joint.dot.actor.home)),
            at: Some(stamp(joint.dot.hlc)),
            deliberate: joint.deliberate,
            strategy: default_of(joint.policy.rules()).to_string(),
            configured,
            reason,
        })
    }

    /// Tells why a policy holds, and what this home's configuration says where that is something else.
    fn why_joint(&self, joint: &JointPolicy) -> (Option<String>, String) {
        let config = &self.me.config.conflict_resolution;
        let mine = policies::configured(config);
        let author = joint.dot.actor.home;
        let who = if author == self.me.id { "this home".into() } else { self.home_name(author) };
        let gives_way = config.said && mine != joint.policy.rules();
        let reason = match (joint.deliberate, gives_way) {
            (true, true) => {
                format!("chosen by a person at {who}, to whom this home's configuration gives way")
            }
            (true, false) => format!("chosen by a person at {who}"),
            (false, true) => format!("configured at {who}, later than what this home's configuration says"),
            (false, false) => format!("configured at {who}"),
        };
        (gives_way.then(|| default_of(&mine).to_string()), reason)
    }
}

fn joint_rule_views(joint: &JointPolicy) -> Vec<RuleView> {
    let origin = if joint.deliberate { RuleOrigin::RunTime } else { RuleOrigin::Configuration };
    joint.policy.rules().iter().map(|rule| rule_view(rule.clone(), origin)).collect()
}
