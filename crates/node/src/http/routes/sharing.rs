//! `/sharing/shares`: many entities and homes at once, with a preview.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Answer;
use crate::{
    http::{App, Problem, extract::Body},
    node::{ShareRequest, UnshareRequest},
    views::{Right, SharePlan},
};

/// What to share with whom.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewShare {
    /// Ids or globs of this home's entities.
    entities: Vec<String>,
    /// Homes by name, id or prefix.
    with: Vec<String>,
    #[serde(default)]
    grant: Right,
    /// Go on even when something risky is among them.
    #[serde(default)]
    yes: bool,
}

impl NewShare {
    fn request(self, preview: bool) -> Result<ShareRequest, Problem> {
        let Self { entities: patterns, with, grant: right, yes } = self;
        named(&patterns)?;
        if with.is_empty() {
            return Err(Problem::refused(StatusCode::BAD_REQUEST, "the body names no home to share with"));
        }
        Ok(ShareRequest { patterns, with, right, preview, yes })
    }
}

fn named(patterns: &[String]) -> Result<(), Problem> {
    if patterns.is_empty() {
        return Err(Problem::refused(StatusCode::BAD_REQUEST, "the body names no entities"));
    }
    Ok(())
}

/// Shares entities; while risky ones are among them nothing is done without `yes`.
#[utoipa::path(post, path = "/api/v1/sharing/shares", tag = "shares", request_body = NewShare,
    responses((status = 200, body = SharePlan)))]
pub(crate) async fn share(State(app): State<App>, Body(new): Body<NewShare>) -> Answer<SharePlan> {
    Ok(Json(app.node.share(new.request(false)?).await?))
}

/// Tells what sharing would do.
#[utoipa::path(post, path = "/api/v1/sharing/shares/preview", tag = "shares", request_body = NewShare,
    responses((status = 200, body = SharePlan)))]
pub(crate) async fn preview(State(app): State<App>, Body(new): Body<NewShare>) -> Answer<SharePlan> {
    Ok(Json(app.node.share(new.request(true)?).await?))
}

/// What to stop sharing.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndShare {
    /// Ids or globs of this home's entities.
    entities: Vec<String>,
    /// Homes by name, id or prefix; all when empty.
    #[serde(default)]
    with: Vec<String>,
    /// Only tell what would happen.
    #[serde(default)]
    preview: bool,
}

/// Takes grants back.
#[utoipa::path(delete, path = "/api/v1/sharing/shares", tag = "shares", request_body = EndShare,
    responses((status = 200, body = SharePlan)))]
pub(crate) async fn unshare(State(app): State<App>, Body(end): Body<EndShare>) -> Answer<SharePlan> {
    let EndShare { entities: patterns, with, preview } = end;
    named(&patterns)?;
    Ok(Json(app.node.unshare(UnshareRequest { patterns, with, preview }).await?))
}
