//! The strategy `custom` in Python: the home asks on a thread of its own, the event loop answers.
//!
//! No thread of the engine enters Python: a question is one of the words that the event loop hears, so the
//! function runs there as callbacks do, and a home whose event loop has ended falls back on latest-wins.

use std::{
    collections::HashMap,
    sync::{Mutex, mpsc},
};

use crosshome_node::custom::Function;
use pyo3::{prelude::*, types::PyDict};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use super::hearing::Word;
use crate::{json, locks::locked};

/// Failures that are remembered: as many as a home keeps conflicts.
const KEPT: usize = crosshome_node::defaults::CONFLICTS_KEPT;

/// A conflict that Python's function is to settle.
pub(super) struct Question {
    entity_id: String,
    local: Value,
    remote: Value,
    before: Option<Value>,
    answer: mpsc::Sender<Result<Value, String>>,
}

/// Why the function failed, by the entity whose conflict it was to settle.
#[derive(Default)]
// Held for a moment to look or to note.
pub(super) struct Failures(Mutex<HashMap<String, String>>);

impl Failures {
    /// Returns why the function failed on an entity, when it was last asked.
    pub(super) fn of(&self, entity_id: &str) -> Option<String> {
        locked(&self.0).get(entity_id).cloned()
    }

    fn note(&self, entity_id: &str, failure: Option<&String>) {
        let mut all = locked(&self.0);
        match failure {
            None => drop(all.remove(entity_id)),
            Some(_) if all.len() >= KEPT && !all.contains_key(entity_id) => {}
            Some(failure) => drop(all.insert(entity_id.into(), failure.clone())),
        }
    }
}

/// Returns the function that asks the event loop.
pub(super) fn function(words: UnboundedSender<Word>) -> Function {
    Function::new(move |entity_id, local, remote, before| {
        let (answer, answered) = mpsc::channel();
        let question = Question {
            entity_id: entity_id.into(),
            local: local.clone(),
            remote: remote.clone(),
            before: before.cloned(),
            answer,
        };
        words.send(Word::Question(Box::new(question))).map_err(|_| "the home has stopped".to_owned())?;
        answered.recv().map_err(|_| "no event loop is there to run it".to_owned())?
    })
}

impl Question {
    /// Asks Python's function; whatever it raises is an answer too, and goes on record.
    pub(super) fn ask(self, py: Python<'_>, decide: Option<&Py<PyAny>>, failures: &Failures) {
        let answer = decide.map_or_else(
            || Err("there is no function".to_owned()),
            |decide| self.decide(py, decide.bind(py)).map_err(|error| error.to_string()),
        );
        failures.note(&self.entity_id, answer.as_ref().err());
        let _ = self.answer.send(answer); // too late, and latest-wins has settled it
    }

    fn decide(&self, py: Python<'_>, decide: &Bound<'_, PyAny>) -> PyResult<Value> {
        let show = |side: &Value| json::write(py, &side.to_string());
        let before = self.before.as_ref().map(show).transpose()?;
        let answer = decide.call1((&self.entity_id, show(&self.local)?, show(&self.remote)?, before))?;
        let answer = answer.cast::<PyDict>().map_err(PyErr::from)?;
        let json = json::read_object(answer, "the strategy's answer")?;
        Ok(serde_json::from_str(json.as_str()).expect("canonical JSON is JSON"))
    }
}
