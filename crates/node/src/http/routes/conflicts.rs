//! What people do about conflicts: look at them, settle them.

use std::collections::BTreeMap;

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::{Answer, entity::text};
use crate::{
    http::{
        App, Problem,
        extract::{Body, InPath, Params},
    },
    node::{Resolution, Settle, Update},
    views::{ConflictList, ConflictView, Resolved},
};

#[derive(Deserialize, IntoParams)]
pub(crate) struct Which {
    /// Settled ones too.
    #[serde(default)]
    all: bool,
}

/// Lists conflicts that await a person.
#[utoipa::path(get, path = "/api/v1/sharing/conflicts", tag = "conflicts", params(Which),
    responses((status = 200, body = ConflictList)))]
pub(crate) async fn list(State(app): State<App>, Params(which): Params<Which>) -> Answer<ConflictList> {
    let conflicts = app.node.conflicts(which.all).await?;
    Ok(Json(ConflictList { count: conflicts.len(), conflicts }))
}

/// Shows one conflict.
#[utoipa::path(get, path = "/api/v1/sharing/conflicts/{id}", tag = "conflicts",
    params(("id" = String, Path, description = "id of the conflict, or the entity in conflict")),
    responses((status = 200, body = ConflictView)))]
pub(crate) async fn show(State(app): State<App>, InPath(id): InPath<String>) -> Answer<ConflictView> {
    Ok(Json(app.node.conflict(id).await?))
}

/// How a conflict is settled: by exactly one of `take`, `value` and `merge`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewResolution {
    /// The conflict's token, as it was shown.
    token: String,
    /// The home whose version is to hold.
    #[serde(default)]
    take: Option<String>,
    /// A state, or an object with `state`, `attributes` or both; what it does not name stays as it is shown.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    value: Option<Box<RawValue>>,
    /// Whether each side is to hold where it had changed.
    #[serde(default)]
    merge: bool,
}

/// A value with its parts named.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    #[serde(default)]
    state: Option<Box<RawValue>>,
    #[serde(default)]
    attributes: Option<BTreeMap<String, Box<RawValue>>>,
}

impl TryFrom<NewResolution> for Settle {
    type Error = Problem;

    fn try_from(new: NewResolution) -> Result<Self, Problem> {
        match (new.take, new.value, new.merge) {
            (Some(home), None, false) => Ok(Self::Take(home)),
            (None, Some(value), false) => Ok(Self::Value(update(&value)?)),
            (None, None, true) => Ok(Self::Merge),
            _ => Err(refused("the body names exactly one of take, value and merge")),
        }
    }
}

fn update(value: &RawValue) -> Result<Update, Problem> {
    if !value.get().starts_with('{') {
        return Ok(Update { state: Some(text(value)?), ..Update::default() });
    }
    let parts: Parts = serde_json::from_str(value.get())
        .map_err(|_| refused("value is a state, or an object with state, attributes or both"))?;
    if parts.state.is_none() && parts.attributes.is_none() {
        return Err(refused("value names neither state nor attributes"));
    }
    let state = parts.state.map(|state| text(&state)).transpose()?;
    Ok(Update { state, attributes: parts.attributes, ..Update::default() })
}

fn refused(error: &str) -> Problem {
    Problem::refused(StatusCode::BAD_REQUEST, error)
}

/// Settles a conflict, or overrules the strategy that has settled it; 409 with the conflict as it is now when the token
/// is out of date.
#[utoipa::path(post, path = "/api/v1/sharing/conflicts/{id}/resolve", tag = "conflicts",
    params(("id" = String, Path, description = "id of the conflict, or the entity in conflict")),
    request_body = NewResolution, responses((status = 200, body = Resolved), (status = 409, body = Problem)))]
pub(crate) async fn resolve(
    State(app): State<App>,
    InPath(id): InPath<String>,
    Body(new): Body<NewResolution>,
) -> Answer<Resolved> {
    let (token, settle) = (new.token.clone(), new.try_into()?);
    let conflict = app.node.resolve(Resolution { id, token, settle }).await?;
    Ok(Json(Resolved { ok: true, conflict }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(text: &str) -> Result<Settle, Problem> {
        serde_json::from_str::<NewResolution>(text).expect("well formed").try_into()
    }

    #[test]
    fn value_is_a_state_or_an_object_of_state_and_attributes() {
        let Ok(Settle::Value(plain)) = settle(r#"{"token": "", "value": 21.50}"#) else { panic!("a number") };
        assert_eq!((plain.state.as_deref(), plain.attributes.is_none()), (Some("21.50"), true));
        let parts = settle(r#"{"token": "", "value": {"state": "on", "attributes": {"a": 1}}}"#);
        let Ok(Settle::Value(parts)) = parts else { panic!("an object") };
        assert_eq!((parts.state.as_deref(), parts.attributes.map_or(0, |all| all.len())), (Some("on"), 1));
    }

    #[test]
    fn resolution_settles_in_exactly_one_way() {
        for text in [
            r#"{"token": ""}"#,
            r#"{"token": "", "take": "villa", "merge": true}"#,
            r#"{"token": "", "value": {}}"#,
            r#"{"token": "", "value": {"stale": 1}}"#,
            r#"{"token": "", "value": [1]}"#,
        ] {
            assert_eq!(settle(text).err().map(|problem| problem.status), Some(400), "{text}");
        }
    }
}
