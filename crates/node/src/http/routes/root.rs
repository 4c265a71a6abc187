//! Beside the API: health, metrics, its own description, and the page.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{Html, IntoResponse},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::Answer;
use crate::{
    defaults::READY_WAIT,
    http::{App, Problem, openapi},
    node::NodeError,
};

const PAGE: &str = include_str!("../page.html");
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How the program is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `live` or `ready`.
    status: &'static str,
    /// Whether this home keeps to this machine; only in `ready`.
    #[serde(skip_serializing_if = "Option::is_none")]
    loopback_only: Option<bool>,
}

/// Answers while the program runs.
#[utoipa::path(get, path = "/health/live", tag = "health", security(()),
    responses((status = 200, body = Health)))]
pub(crate) async fn live() -> Json<Health> {
    Json(Health { status: "live", loopback_only: None })
}

/// Answers 200 while the home takes updates and keeps them.
#[utoipa::path(get, path = "/health/ready", tag = "health", security(()),
    responses((status = 200, body = Health)))]
pub(crate) async fn ready(State(app): State<App>) -> Answer<Health> {
    let late = || NodeError::TimedOut { what: "the home".to_owned(), seconds: READY_WAIT.as_secs() };
    tokio::time::timeout(READY_WAIT, app.node.ready()).await.map_err(|_| late())??;
    let loopback_only = app.node.status().await?.loopback_only;
    Ok(Json(Health { status: "ready", loopback_only: Some(loopback_only) }))
}

/// All metrics as OpenMetrics text.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, content_type = "application/openmetrics-text", body = String)))]
pub(crate) async fn metrics(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], app.node.metrics().await?))
}

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "health", security(()),
    responses((status = 200, body = Object)))]
pub(crate) async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(openapi::document())
}

pub(crate) async fn page() -> Html<&'static str> {
    Html(PAGE)
}

pub(crate) async fn no_such_path() -> Problem {
    Problem::refused(StatusCode::NOT_FOUND, "there is nothing at this path; see /api/v1/openapi.json")
}

pub(crate) async fn no_such_method() -> Problem {
    Problem::refused(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path does not take this method; see /api/v1/openapi.json",
    )
}
