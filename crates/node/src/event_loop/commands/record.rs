//! What is kept of commands: ids of what was taken, so that it is not done twice, and a line in the history.

use std::fmt::Write as _;

use crosshome_core::{
    EntityKey, HomeId,
    dot::{Actor, Dot},
    hlc::Hlc,
    intent::{Intent, Outcome, Wish},
};

use super::super::{Loop, now_ms};
use crate::{
    defaults::TAKEN,
    store::{Batch, HistoryRow, MemoKey},
};

impl Loop {
    /// Has the id of a taken intent stored with this turn.
    pub(super) fn remember_taken(&mut self, intent: &Intent) {
        let memos = vec![(memo(intent.id), Some(intent.entity.to_string()))];
        self.keeper.note(Batch { memos, ..Batch::default() });
        if intent.id.actor.home != self.me.id {
            let key = self.replica.own(intent.entity.clone());
            self.record(&key, intent, "command: outcome not known");
        }
    }

    /// Drops the ids of intents that nobody can repeat any more.
    pub(super) fn forget_taken(&mut self, ids: &[Dot]) {
        if !ids.is_empty() {
            let memos = ids.iter().map(|id| (memo(*id), None)).collect();
            self.keeper.note(Batch { memos, ..Batch::default() });
        }
    }

    /// Puts a command into the history of its device: what stands there after a crash is still true.
    pub(super) fn record(&mut self, key: &EntityKey, intent: &Intent, outcome: &str) {
        let (state, attributes) = wanted(&intent.wish);
        let row = HistoryRow {
            key: key.clone(),
            dot: intent.id,
            at_ms: intent.id.hlc.ms(),
            recorded_ms: now_ms(),
            author: intent.id.actor.home,
            cause: "person".into(),
            state: if state == "null" { String::new() } else { state },
            attributes,
            outcome: outcome.to_owned(),
        };
        self.commands.rows.insert(intent.id, row.clone());
        self.keeper.note(Batch { history: vec![row], ..Batch::default() });
    }

    /// Puts the end of a command into the history.
    pub(super) fn record_outcome(&mut self, outcome: &Outcome) {
        if !outcome.status.is_final() {
            return;
        }
        let Some(row) = self.commands.rows.remove(&outcome.id) else { return };
        let mut text = format!("command: {}", outcome.status.as_str());
        if let Some(why) = &outcome.explanation {
            let _ = write!(text, ": {why}");
        }
        let history = vec![HistoryRow { outcome: text, ..row }];
        self.keeper.note(Batch { history, ..Batch::default() });
    }
}

/// Returns state and attributes of a wish as JSON; a service stands among its arguments.
pub(super) fn wanted(wish: &Wish) -> (String, String) {
    match wish {
        Wish::Set { state, attributes } => {
            let state = state.as_ref().map_or("null", |state| state.as_str());
            let mut object = String::new();
            crosshome_core::json::write_object(attributes.iter(), &mut object);
            (state.to_owned(), object)
        }
        Wish::Call { service, data } => {
            let service = crosshome_core::json::Json::string(service);
            ("null".into(), format!(r#"{{"service":{},"data":{}}}"#, service.as_str(), data.as_str()))
        }
    }
}

fn memo(id: Dot) -> MemoKey {
    let name = format!("{}/{}/{}", id.actor.home, id.actor.incarnation, id.hlc.0);
    MemoKey { kind: TAKEN.into(), name }
}

/// Returns the intents that earlier starts have taken and that may come again.
pub(crate) fn taken_before(memos: &[(MemoKey, String)]) -> Vec<Dot> {
    let ours = memos.iter().filter(|(key, _)| key.kind == TAKEN);
    ours.filter_map(|(key, _)| dot(&key.name)).collect()
}

fn dot(name: &str) -> Option<Dot> {
    let mut parts = name.split('/');
    let home: HomeId = parts.next()?.parse().ok()?;
    let actor = Actor { home, incarnation: parts.next()?.parse().ok()? };
    Some(Dot { actor, hlc: Hlc(parts.next()?.parse().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_taken_intents_are_read_back_and_other_memos_are_not() {
        let actor = Actor { home: HomeId([7; 32]), incarnation: 3 };
        let id = Dot { actor, hlc: Hlc(u64::MAX) };
        let other = MemoKey { kind: "conflict".into(), name: memo(id).name };
        let memos = [(memo(id), String::new()), (other, String::new())];
        assert_eq!(taken_before(&memos), [id]);
    }
}
