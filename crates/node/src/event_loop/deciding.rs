//! Settling conflicts whose strategy is `custom`, where this home is the one to decide.
//!
//! Open conflicts wait in line; one is asked about at a time, off the loop, with the versions of that
//! moment. If they are the same when the answer is there it is written, once; else the question is put anew. Who decides
//! depends on who can be reached, so everything is looked through again when members of the joint space come or go.

use std::collections::{HashSet, VecDeque};

use crosshome_core::{
    EntityKey, HomeId, Space,
    conflict::Token,
    policy::{Policy, Strategy},
    replica::{Choice, ResolveError},
    table::{Entity, Number},
    version::{Cause, Version},
};

use super::{Event, Loop, now_ms, views::version_view};
use crate::{
    custom::{Case, CustomError, Resolution, Side, judge::Judge},
    node::News,
    views::{FallbackView, Finding, Level, Stamp},
};

/// What came of asking.
pub(crate) struct Decided {
    key: EntityKey,
    token: Token,
    template: Option<String>,
    answer: Result<Resolution, CustomError>,
}

/// What is asked about an entity.
struct Question {
    token: Token,
    case: Case,
    /// The versions without their bodies: what their authors had seen.
    seen: Vec<Version>,
}

/// What waits for a decision of this home.
#[derive(Default)]
pub(super) struct Deciding {
    judge: Judge,
    line: VecDeque<EntityKey>,
    in_line: HashSet<EntityKey>,
    asking: bool,
    review: bool,
    /// The last failure since the policy last changed, and how many there were.
    failure: Option<(FallbackView, u64)>,
}

impl Deciding {
    pub(super) fn new(judge: Judge) -> Self {
        Self { judge, ..Self::default() }
    }

    pub(super) fn has_function(&self) -> bool {
        self.judge.has_function()
    }

    /// Has every open conflict looked at with the next turn.
    pub(super) fn review_soon(&mut self) {
        self.review = true;
    }

    /// As [`Deciding::review_soon`]; what failed under another policy is no concern any more.
    pub(super) fn policy_changed(&mut self) {
        (self.review, self.failure) = (true, None);
    }

    fn line_up(&mut self, key: &EntityKey) {
        if self.in_line.insert(key.clone()) {
            self.line.push_back(key.clone());
        }
    }

    fn next(&mut self) -> Option<EntityKey> {
        let key = self.line.pop_front()?;
        self.in_line.remove(&key);
        Some(key)
    }
}

impl Loop {
    /// Lines an entity up if it awaits a decision.
    pub(super) fn consider(&mut self, number: Number) {
        let entity = self.replica.table().get(number);
        if let Some(entity) = entity.filter(|entity| awaits(entity)) {
            self.deciding.line_up(&entity.key);
        }
    }

    /// Asks about the next conflict that is this home's to decide, unless one is being asked about.
    pub(super) fn decide_next(&mut self) {
        if std::mem::take(&mut self.deciding.review) {
            self.review();
        }
        if self.deciding.asking || self.keeper.failure().is_some() {
            return;
        }
        while let Some(key) = self.deciding.next() {
            let Some(Question { token, mut case, seen }) = self.question(&key) else { continue };
            let (template, judge) = (self.template_for(&key), self.deciding.judge.clone());
            let (names, past, post) = (self.names(), self.keeper.past(key.clone()), self.post.clone());
            self.deciding.asking = true;
            tokio::spawn(async move {
                let past = past.await.unwrap_or_default();
                let by_all = past.iter().find(|row| seen.iter().all(|version| version.has_seen(row.dot)));
                case.before = by_all.map(|row| names.past_version(row).into());
                let answer = judge.decide(template.clone(), case).await;
                let _ = post.send(Event::Decided(Box::new(Decided { key, token, template, answer }))).await;
            });
            return;
        }
    }

    /// Writes what came of asking, if the question is still the same.
    pub(super) fn decided(&mut self, decided: Decided) {
        self.deciding.asking = false;
        let Decided { key, token, template, answer } = decided;
        let Some(present) = self.question(&key) else { return };
        if present.token != token || self.template_for(&key) != template {
            return self.deciding.line_up(&key);
        }
        let written = answer.and_then(|resolution| self.settle(&key, token, &resolution));
        if let Err(error) = written {
            self.fall_back(&key, token, &error);
        }
    }

    fn settle(&mut self, key: &EntityKey, token: Token, resolution: &Resolution) -> Result<(), CustomError> {
        let choice = match resolution.deleted.then(|| self.deletion(key)).flatten() {
            Some(deletion) => deletion,
            None => Choice::Value(
                resolution.update().map_err(|error| CustomError::Unacceptable(error.to_string()))?,
            ),
        };
        self.write_choice(key, token, &choice).map_err(|error| CustomError::Unacceptable(error.to_string()))
    }

    /// Lets the latest version win, which says the same in every home, and tells people.
    fn fall_back(&mut self, key: &EntityKey, token: Token, error: &CustomError) {
        let latest =
            self.replica.find(key).and_then(|entity| entity.siblings.latest()).map(|latest| latest.dot);
        let Some(latest) = latest else { return };
        tracing::warn!(entity = %key.id, %error, "the custom strategy failed, so the latest version wins");
        if let Err(error) = self.write_choice(key, token, &Choice::Take(latest)) {
            tracing::error!(entity = %key.id, %error, "the conflict stays open");
        }
        let failure =
            FallbackView { entity_id: self.entity_label(key), error: error.to_string(), at: Stamp::now() };
        let count = self.deciding.failure.as_ref().map_or(0, |(_, count)| *count) + 1;
        self.deciding.failure = Some((failure.clone(), count));
        self.inbox.notices.tell(|| News::Fallback(failure));
    }

    fn write_choice(&mut self, key: &EntityKey, token: Token, choice: &Choice) -> Result<(), ResolveError> {
        let effects = self.replica.resolve(key, token, choice, Cause::Strategy, now_ms())?;
        self.effects.extend(effects);
        Ok(())
    }

    /// Lines up every conflict that awaits a decision.
    fn review(&mut self) {
        let custom = |policy: &Policy| policy.rules().iter().any(|rule| rule.strategy == Strategy::Custom);
        let joint = self.replica.joint_policy().is_some_and(|joint| custom(&joint.policy));
        let spaces = [(Space::Home(self.me.id), custom(self.replica.policy())), (Space::Joint, joint)];
        for (space, _) in spaces.into_iter().filter(|(_, custom)| *custom) {
            let waiting = self.replica.table().in_space(space).filter(|(_, entity)| awaits(entity));
            waiting.for_each(|(_, entity)| self.deciding.line_up(&entity.key));
        }
    }

    /// Returns what is to be asked, if the entity awaits a decision of this home.
    fn question(&self, key: &EntityKey) -> Option<Question> {
        let entity = self.replica.find(key).filter(|entity| awaits(entity))?;
        if !self.replica.decides(key, self.members_online()) {
            return None;
        }
        let mut ranked: Vec<_> = entity.siblings.iter().collect();
        ranked.sort_by_key(|version| version.rank());
        let own = ranked.iter().rposition(|version| version.dot.actor.home == self.me.id);
        let local = ranked.remove(own.unwrap_or(0));
        let others = ranked.into_iter().map(|version| self.side(version)).collect();
        let case = Case { entity_id: key.id.to_string(), local: self.side(local), others, before: None };
        let seen =
            entity.siblings.iter().map(|version| Version { body: Default::default(), ..version.clone() });
        Some(Question { token: Token::of(&entity.siblings), case, seen: seen.collect() })
    }

    /// Returns the members of the joint space that can be reached.
    fn members_online(&self) -> impl Iterator<Item = HomeId> {
        let member = |peer: &super::peers::Peer| {
            peer.link.as_ref().is_some_and(|link| link.session.joint() && link.session.greeting().is_some())
        };
        self.peers.paired().filter(move |(_, peer)| member(peer)).map(|(id, _)| id)
    }

    fn template_for(&self, key: &EntityKey) -> Option<String> {
        let policy = match key.space {
            Space::Joint => &self.replica.joint_policy()?.policy,
            Space::Home(_) => self.replica.policy(),
        };
        policy.rule_for(&key.id)?.template.clone()
    }

    fn side(&self, version: &Version) -> Side {
        version_view(version, self.home_name(version.dot.actor.home), None).into()
    }

    /// Returns the choice of the version that deletes the entity, if one does.
    fn deletion(&self, key: &EntityKey) -> Option<Choice> {
        let siblings = &self.replica.find(key)?.siblings;
        siblings.iter().find(|version| version.deleted).map(|version| Choice::Take(version.dot))
    }

    /// Tells of a custom strategy that fails.
    pub(super) fn strategy_health(&self) -> Option<Finding> {
        let (FallbackView { entity_id, error, at }, count) = self.deciding.failure.as_ref()?;
        let times = if *count == 1 { String::new() } else { format!(" ({count} times so far)") };
        Some(Finding {
            level: Level::Warning,
            what: format!(
                "the custom strategy failed for {entity_id} at {at}{times}, so the latest version won: {error}"
            ),
            remedy: Some(
                "mend the template in conflict_resolution, or with crosshome strategy set custom --template"
                    .into(),
            ),
        })
    }
}

fn awaits(entity: &Entity) -> bool {
    entity.strategy == Strategy::Custom && entity.is_open()
}
