//! What people do to entities: update, call, look back.

use std::collections::BTreeMap;

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Answer;
use crate::{
    http::{
        App, Problem,
        extract::{Body, Entity},
    },
    node::{Call, Cause, Update},
    views::{CallView, EntityView, HistoryView},
};

/// An update: what is named is replaced, the rest kept.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewState {
    /// Text; a number is taken as it is written.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    state: Option<Box<RawValue>>,
    /// All attributes, instead of the present ones.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    attributes: Option<BTreeMap<String, Box<RawValue>>>,
    /// Single attributes to set; null removes one.
    #[serde(default)]
    #[schema(value_type = Object)]
    patch: BTreeMap<String, Option<Box<RawValue>>>,
    /// Whether a command to another home's device waits for its outcome.
    #[serde(default = "yes")]
    wait: bool,
}

fn yes() -> bool {
    true
}

impl TryFrom<NewState> for Update {
    type Error = Problem;

    fn try_from(new: NewState) -> Result<Self, Problem> {
        let NewState { state, attributes, patch, wait } = new;
        if state.is_none() && attributes.is_none() && patch.is_empty() {
            return Err(Problem::refused(
                StatusCode::BAD_REQUEST,
                "the body names no state, attributes or patch to change",
            ));
        }
        let state = state.map(|state| text(&state)).transpose()?;
        Ok(Self { state, attributes, patch, cause: Cause::Person, wait })
    }
}

pub(super) fn text(state: &RawValue) -> Result<String, Problem> {
    match state.get().as_bytes().first() {
        Some(b'-' | b'0'..=b'9') => Ok(state.get().to_owned()),
        _ => serde_json::from_str(state.get())
            .map_err(|_| Problem::refused(StatusCode::BAD_REQUEST, "state is a text, such as \"on\"")),
    }
}

/// Updates an entity, or commands it when it is another home's device.
#[utoipa::path(post, path = "/api/v1/sharing/entities/{id}/state", tag = "entities",
    params(("id" = String, Path, description = "light.hall, or villa%2Flight.hall with its home")),
    request_body = NewState, responses((status = 200, body = EntityView)))]
pub(crate) async fn state(
    State(app): State<App>,
    Entity(entity): Entity,
    Body(new): Body<NewState>,
) -> Answer<EntityView> {
    Ok(Json(app.node.update_entity(entity, new.try_into()?).await?))
}

/// A service call.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCall {
    /// Such as `turn_on` or `light.turn_on`.
    service: String,
    #[serde(default)]
    #[schema(value_type = Object)]
    data: BTreeMap<String, Box<RawValue>>,
    /// Whether to wait for the outcome.
    #[serde(default = "yes")]
    wait: bool,
}

/// Sends a command to the home that owns an entity.
#[utoipa::path(post, path = "/api/v1/sharing/entities/{id}/call", tag = "entities",
    params(("id" = String, Path)), request_body = NewCall, responses((status = 200, body = CallView)))]
pub(crate) async fn call(
    State(app): State<App>,
    Entity(entity): Entity,
    Body(new): Body<NewCall>,
) -> Answer<CallView> {
    let NewCall { service, data, wait } = new;
    Ok(Json(app.node.call(entity, Call { service, data, wait }).await?))
}

/// Shows what an entity was, newest first.
#[utoipa::path(get, path = "/api/v1/sharing/entities/{id}/history", tag = "entities",
    params(("id" = String, Path)), responses((status = 200, body = HistoryView)))]
pub(crate) async fn history(State(app): State<App>, Entity(entity): Entity) -> Answer<HistoryView> {
    Ok(Json(app.node.history(entity).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(text: &str) -> Result<Update, Problem> {
        serde_json::from_str::<NewState>(text).expect("well formed").try_into()
    }

    #[test]
    fn number_is_a_state_as_it_is_written() {
        assert_eq!(update(r#"{"state": 21.50}"#).expect("a number").state.as_deref(), Some("21.50"));
    }

    #[test]
    fn truth_value_is_no_state() {
        assert_eq!(update(r#"{"state": true}"#).expect_err("ambiguous").status, 400);
    }

    #[test]
    fn null_in_a_patch_removes_and_in_attributes_is_a_value() {
        let update = update(r#"{"patch": {"a": null}, "attributes": {"b": null}}"#).expect("both named");
        assert!(update.patch["a"].is_none());
        assert_eq!(update.attributes.expect("named")["b"].get(), "null");
    }

    #[test]
    fn update_of_nothing_is_refused() {
        assert_eq!(update("{}").expect_err("names nothing").status, 400);
    }
}
