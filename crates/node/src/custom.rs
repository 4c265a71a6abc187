//! The strategy `custom`: a template, or a function of the program that runs the home, settles a conflict.
//!
//! Only the authority of a space asks, and what comes of it is written once
//! (`event_loop/deciding.rs`). A case is what is asked: the home's own newest version as `local`, the
//! others in the order of their rank; with more than two, what comes of the first pair stands as `local`
//! against the next. A template's text may come from another member of the joint space, so it is
//! bounded in every respect (`template`); a [`Function`] is this machine's own, and only its time is bounded.
//!
//! ```
//! use crosshome_node::custom::Function;
//! use serde_json::json;
//! let warmer = Function::new(|_entity_id, local, remote, _before| {
//!     let degrees = |side: &serde_json::Value| side["state"].as_str().and_then(|text| text.parse::<f64>().ok());
//!     let (here, there) = (degrees(local).ok_or("no number")?, degrees(remote).ok_or("no number")?);
//!     Ok(json!({"state": here.max(there).to_string()}))
//! });
//! # drop(warmer);
//! ```

use crosshome_core::{json::JsonError, update};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::views::{Stamp, VersionView};

mod function;
pub(crate) mod judge;
pub(crate) mod template;

pub use function::Function;
pub use template::TemplateError;

/// One version, as a template or function sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Side {
    pub(crate) state: Option<String>,
    pub(crate) attributes: Map<String, Value>,
    pub(crate) last_updated: Stamp,
    pub(crate) home: String,
    /// Whether its author deleted the entity.
    pub(crate) deleted: bool,
}

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) entity_id: String,
    pub(crate) local: Side,
    /// The other versions in the order of their rank; at least one.
    pub(crate) others: Vec<Side>,
    /// What all had seen, where that is known.
    pub(crate) before: Option<Side>,
}

/// What is answered; what is absent stays as it is shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Resolution {
    pub(crate) state: Option<String>,
    pub(crate) attributes: Option<Map<String, Value>>,
    /// Whether the entity is to be deleted.
    pub(crate) deleted: bool,
}

impl From<VersionView> for Side {
    fn from(past: VersionView) -> Self {
        let VersionView { home, state, attributes, at, deleted, .. } = past;
        let attributes = serde_json::from_str(attributes.get()).unwrap_or_default();
        Self { state, attributes, last_updated: at, home, deleted }
    }
}

impl Case {
    /// Asks of one pair after the other.
    pub(crate) fn fold(
        &self,
        mut ask: impl FnMut(&Side, &Side) -> Result<Resolution, CustomError>,
    ) -> Result<Resolution, CustomError> {
        let (mut local, mut last) = (self.local.clone(), Resolution::default());
        for remote in &self.others {
            last = ask(&local, remote)?;
            local = last.clone().over(local, remote);
        }
        Ok(last)
    }
}

impl Resolution {
    /// Reads an answer: a state, or an object with `state`, `attributes` or both; a whole version is one too.
    pub(crate) fn read(answer: Value) -> Result<Self, CustomError> {
        let Value::Object(mut members) = answer else {
            return Ok(Self { state: Some(state_of(answer)?), ..Self::default() });
        };
        let (state, attributes) = (members.remove("state"), members.remove("attributes"));
        let state = state.filter(|state| !state.is_null()).map(state_of).transpose()?;
        let attributes = match attributes {
            None | Some(Value::Null) => None,
            Some(Value::Object(attributes)) => Some(attributes),
            Some(_) => return Err(CustomError::Attributes),
        };
        let deleted = members.get("deleted") == Some(&Value::Bool(true));
        if state.is_none() && attributes.is_none() {
            return Err(CustomError::Nothing);
        }
        Ok(Self { state, attributes, deleted })
    }

    /// Returns the update that makes it so.
    pub(crate) fn update(&self) -> Result<update::Update, JsonError> {
        let attributes = match &self.attributes {
            None => update::Attributes::Keep,
            Some(all) => update::Attributes::Replace(Value::Object(all.clone()).to_string().parse()?),
        };
        let state = self.state.as_deref().map(crosshome_core::json::Json::string);
        Ok(update::Update { state, attributes })
    }

    /// Returns what stands against the next version: what the answer leaves out is the later side's.
    fn over(self, local: Side, remote: &Side) -> Side {
        let later = if remote.last_updated > local.last_updated { remote } else { &local };
        Side {
            state: self.state.or_else(|| later.state.clone()),
            attributes: self.attributes.unwrap_or_else(|| later.attributes.clone()),
            last_updated: later.last_updated,
            home: local.home.clone(),
            deleted: self.deleted,
        }
    }
}

/// A number is a state as it is written; a truth value might mean `on` or `true`, so it is none.
fn state_of(value: Value) -> Result<String, CustomError> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(CustomError::State),
    }
}

/// Why a custom strategy gave nothing to go by.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CustomError {
    /// The template failed.
    #[error("the template failed: {0}")]
    Template(#[from] TemplateError),
    /// The function said why.
    #[error("the function failed: {0}")]
    Function(String),
    /// The function took too long; whatever it says now is ignored.
    #[error("the function gave no answer within {0} s")]
    TimedOut(f64),
    /// The rule has no template, and this home no function.
    #[error("the rule has no template, and this home has no function of its own")]
    Neither,
    /// Neither state nor attributes.
    #[error("it gave neither a state nor attributes")]
    Nothing,
    /// A state of another kind.
    #[error("it gave a state that is neither text nor number")]
    State,
    /// Attributes of another kind.
    #[error("it gave attributes that are no object")]
    Attributes,
    /// The entity cannot be like that.
    #[error("it gave what no entity can be: {0}")]
    Unacceptable(String),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    pub(super) fn side(state: &str, at: i64) -> Side {
        Side {
            state: Some(state.into()),
            attributes: json!({"from": state}).as_object().cloned().expect("an object"),
            last_updated: Stamp(at),
            home: "villa".into(),
            deleted: false,
        }
    }

    #[test]
    fn answer_is_a_state_or_an_object_or_a_whole_version() {
        let state = |state: &str| Resolution { state: Some(state.into()), ..Resolution::default() };
        assert_eq!(Resolution::read(json!("on")), Ok(state("on")));
        assert_eq!(Resolution::read(json!(21.5)), Ok(state("21.5")));
        assert_eq!(Resolution::read(json!({"state": 3, "home": "villa"})), Ok(state("3")));
        let attributes = Resolution::read(json!({"attributes": {"a": 1}})).expect("taken").attributes;
        assert_eq!(attributes.map(Value::Object), Some(json!({"a": 1})));
    }

    #[test]
    fn answer_of_another_kind_is_refused() {
        assert_eq!(Resolution::read(json!(true)), Err(CustomError::State));
        assert_eq!(Resolution::read(json!(null)), Err(CustomError::State));
        assert_eq!(Resolution::read(json!({})), Err(CustomError::Nothing));
        assert_eq!(Resolution::read(json!({"state": "on", "attributes": []})), Err(CustomError::Attributes));
    }

    #[test]
    fn more_than_two_versions_are_asked_of_pair_by_pair() {
        let case = Case {
            entity_id: "note.milk".into(),
            local: side("a", 5),
            others: vec![side("b", 3), side("c", 9)],
            before: None,
        };
        let mut asked = Vec::new();
        let folded = case.fold(|local, remote| {
            let both =
                format!("{}{}", local.state.as_deref().unwrap_or(""), remote.state.as_deref().unwrap_or(""));
            asked.push((both.clone(), local.attributes["from"].clone()));
            Resolution::read(json!(both))
        });
        assert_eq!(folded.expect("answered").state.as_deref(), Some("abc"));
        assert_eq!(asked, [("ab".into(), json!("a")), ("abc".into(), json!("a"))]);
    }
}
