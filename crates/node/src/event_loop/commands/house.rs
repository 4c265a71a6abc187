//! What peers want of this home's devices: judged, made durable, given to the house, answered.

use std::time::{Duration, Instant};

use crosshome_core::{
    HomeId,
    dot::Dot,
    effect::{Durability, Effect, Incident},
    intent::{Answer, Intent, Judged, Status, Timing},
    table::Number,
};
use tokio::sync::oneshot;

use super::super::{Event, Loop, views::intent_id};
use crate::node::{Command, NodeError};

/// What the house made of a command.
pub(crate) struct Performed {
    id: Dot,
    result: Result<(), String>,
}

impl Loop {
    /// Judges the intents that have come in this turn, so that what is taken is stored with it.
    pub(in super::super) fn judge_intents(&mut self, effects: &mut Vec<Effect>) {
        let came: Vec<_> = effects
            .extract_if(.., |effect| matches!(effect, Effect::Perform { .. }))
            .filter_map(|effect| match effect {
                Effect::Perform { peer, intent, timing } => Some((peer, intent, timing)),
                _ => None,
            })
            .collect();
        for (peer, intent, timing) in came {
            self.judge(peer, *intent, timing);
        }
        if !self.commands.taken.is_empty() {
            effects.insert(0, Effect::Commit(Durability::Now));
        }
    }

    fn judge(&mut self, peer: HomeId, intent: Intent, timing: Timing) {
        let now = self.commands.elapsed();
        match self.commands.owner.judge(&self.replica, peer, &intent, timing, now) {
            Judged::Taken(superseded) => {
                self.answer_all(superseded);
                self.remember_taken(&intent);
                self.commands.taken.push(intent);
            }
            Judged::Answered(answer) => self.answer_all([answer]),
            Judged::Forbidden(answer) => {
                self.report(peer, Incident::Forbidden);
                self.answer_all([answer]);
            }
        }
    }

    /// Gives to the house what was taken in this turn and is durable now.
    pub(in super::super) fn give_taken(&mut self, committed: &Result<(), NodeError>) {
        for intent in std::mem::take(&mut self.commands.taken) {
            let refused = match committed {
                Ok(()) => self.give(&intent),
                Err(_) => Some("its home cannot store anything at present"),
            };
            let answer = refused.and_then(|reason| self.commands.owner.refused(intent.id, reason));
            self.answer_all(answer);
        }
    }

    /// Gives an intent to the house, or returns why not.
    fn give(&mut self, intent: &Intent) -> Option<&'static str> {
        let now = self.commands.elapsed();
        let left_ms = self.commands.owner.give(intent.id, now)?; // else it ends as expired
        tracing::debug!(intent = intent_id(intent.id), entity = %intent.entity, "a command goes to the house");
        let (done, waits) = oneshot::channel();
        let until = Instant::now() + Duration::from_millis(left_ms);
        let command = Command { entity_id: intent.entity.clone(), wish: intent.wish.clone(), until, done };
        if self.commands.house.as_ref().is_none_or(|house| house.try_send(command).is_err()) {
            tracing::warn!(entity = %intent.entity, "no bridge carries out commands to this device");
            return Some("no device behind it takes commands at present");
        }
        let (peer, id, post) = (intent.id.actor.home, intent.id, self.post.clone());
        let outcome = crosshome_core::intent::Outcome::plain(id, Status::Accepted);
        self.answer_all([Answer { peer, outcome }]);
        tokio::spawn(async move {
            let result = waits.await.unwrap_or_else(|_| Err("the bridge has ended".into()));
            let _ = post.send(Event::Performed(Performed { id, result })).await;
        });
        None
    }

    /// Takes note of what the house made of a command.
    pub(in super::super) fn performed(&mut self, performed: Performed) {
        let Performed { id, result } = performed;
        let answers = match result {
            Ok(()) => self.commands.owner.applied(id, &self.replica),
            Err(reason) => {
                tracing::warn!(peer = %id.actor.home.short(), %reason, "the house refused a command");
                self.commands.owner.refused(id, &reason).into_iter().collect()
            }
        };
        self.answer_all(answers);
    }

    /// Tells senders when a device reports what they wanted.
    pub(in super::super) fn check_settled(&mut self, number: Number) {
        if self.commands.owner.is_empty() {
            return;
        }
        let Some(entity) = self.replica.table().get(number) else { return };
        let own = entity.key == self.replica.own(entity.key.id.clone());
        let answers = if own { self.commands.owner.reported(entity) } else { Vec::new() };
        self.answer_all(answers);
    }

    pub(super) fn answer_all(&mut self, answers: impl IntoIterator<Item = Answer>) {
        for Answer { peer, outcome } in answers {
            if peer == self.me.id {
                self.hear_outcome(peer, outcome);
                continue;
            }
            self.record_outcome(&outcome);
            if let Some(link) = self.peers.get_mut(peer).and_then(|peer| peer.link.as_mut()) {
                link.session.answer(outcome);
            }
        }
    }
}
