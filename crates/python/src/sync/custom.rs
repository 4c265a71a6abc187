//! The strategy `custom` in Python: the home asks on a thread of its own, the event loop answers.
//!
//! No thread of the engine enters Python: a question is one of the words that the event loop hears, so the
//! function runs there as callbacks do, and a home whose event loop has ended falls back on latest-wins.

use std::sync::mpsc;

use crosshome_node::custom::Function;
use pyo3::{prelude::*, types::PyDict};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use super::hearing::Word;
use crate::json;

/// A conflict that Python's function is to settle.
pub(super) struct Question {
    entity_id: String,
    local: Value,
    remote: Value,
    before: Option<Value>,
    answer: mpsc::Sender<Result<Value, String>>,
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
    /// Asks Python's function; whatever it raises is an answer too.
    pub(super) fn ask(self, py: Python<'_>, decide: Option<&Py<PyAny>>) {
        let answer = decide.map_or_else(
            || Err("there is no function".to_owned()),
            |decide| self.decide(py, decide.bind(py)).map_err(|error| error.to_string()),
        );
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
