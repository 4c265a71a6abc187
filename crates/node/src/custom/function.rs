//! A function of the program that runs the home, as its `custom` strategy.

use std::{fmt, time::Duration};

use serde_json::Value;

use crate::defaults::FUNCTION_TIME;

/// What is called.
pub(super) type Run = dyn Fn(&str, &Value, &Value, Option<&Value>) -> Result<Value, String> + Send;

/// Settles conflicts: called with the entity id, `local`, `remote` and `before`, it returns a resolution.
///
/// Both sides and `before` are objects with `state`, `attributes`, `last_updated`, `home` and `deleted`; a resolution is
/// a state, or an object with `state`, `attributes` or both. The function runs on a thread of its own, one
/// call after the other, and may block for a while. If it fails, panics or takes too long, latest-wins settles the
/// conflict. It stands in for the templates of rules that have none.
pub struct Function {
    pub(super) run: Box<Run>,
    pub(super) within: Duration,
}

impl Function {
    /// Takes a function.
    pub fn new(
        run: impl Fn(&str, &Value, &Value, Option<&Value>) -> Result<Value, String> + Send + 'static,
    ) -> Self {
        Self { run: Box::new(run), within: FUNCTION_TIME }
    }

    /// Gives it another time for each conflict.
    pub fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function").field("within", &self.within).finish_non_exhaustive()
    }
}
