//! Homes this one is paired with, pairing, and this home's key.

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Answer;
use crate::{
    http::{
        App, Problem,
        extract::{Body, InPath},
    },
    node::Secret,
    views::{HomeList, HomeView, Invitation, KeyView, PairedReply, ShownCode},
};

/// Lists paired homes with their links.
#[utoipa::path(get, path = "/api/v1/sharing/homes", tag = "homes", responses((status = 200, body = HomeList)))]
pub(crate) async fn homes(State(app): State<App>) -> Answer<HomeList> {
    let homes = app.node.homes().await?;
    Ok(Json(HomeList { count: homes.len(), homes }))
}

/// The home that was forgotten.
#[derive(Serialize, ToSchema)]
pub(crate) struct Unpaired {
    ok: bool,
    id: String,
    name: String,
}

/// Unpairs a home: its links close, its entities leave.
#[utoipa::path(delete, path = "/api/v1/sharing/homes/{id}", tag = "homes",
    params(("id" = String, Path, description = "name, id or unique prefix")),
    responses((status = 200, body = Unpaired)))]
pub(crate) async fn unpair(State(app): State<App>, InPath(home): InPath<String>) -> Answer<Unpaired> {
    let HomeView { id, name } = app.node.unpair(home).await?;
    Ok(Json(Unpaired { ok: true, id, name }))
}

/// Opens the pairing window and shows a code; events tell what becomes of it.
#[utoipa::path(post, path = "/api/v1/sharing/pairing/show", tag = "homes",
    responses((status = 200, body = ShownCode)))]
pub(crate) async fn show(State(app): State<App>) -> Answer<ShownCode> {
    Ok(Json(app.node.pair_show().await?))
}

/// What the other home shows: a code or a link, one of them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Accept {
    code: Option<String>,
    link: Option<String>,
    /// Address or name of the home that shows the code.
    with: Option<String>,
}

/// Types the code, or follows the link, of another home.
#[utoipa::path(post, path = "/api/v1/sharing/pairing/accept", tag = "homes", request_body = Accept,
    responses((status = 200, body = PairedReply)))]
pub(crate) async fn accept(State(app): State<App>, Body(accept): Body<Accept>) -> Answer<PairedReply> {
    let paired = match accept {
        Accept { code: Some(code), link: None, with } => {
            app.node.pair_accept(Secret::new(code), with).await?
        }
        Accept { code: None, link: Some(link), with: None } => {
            app.node.accept_link(Secret::new(link)).await?
        }
        _ => return Err(Problem::refused(StatusCode::BAD_REQUEST, "give a code, or a link without with")),
    };
    Ok(Json(PairedReply { paired }))
}

/// It was done.
#[derive(Serialize, ToSchema)]
pub(crate) struct Done {
    ok: bool,
}

/// Closes the pairing window.
#[utoipa::path(post, path = "/api/v1/sharing/pairing/cancel", tag = "homes",
    responses((status = 200, body = Done)))]
pub(crate) async fn cancel(State(app): State<App>) -> Answer<Done> {
    app.node.pair_cancel().await?;
    Ok(Json(Done { ok: true }))
}

/// Makes a link that pairs whoever has it, once.
#[utoipa::path(post, path = "/api/v1/sharing/pairing/invite", tag = "homes",
    responses((status = 200, body = Invitation)))]
pub(crate) async fn invite(State(app): State<App>) -> Answer<Invitation> {
    Ok(Json(app.node.invite().await?))
}

/// Shows this home's public key and id.
#[utoipa::path(get, path = "/api/v1/sharing/key", tag = "home", responses((status = 200, body = KeyView)))]
pub(crate) async fn key(State(app): State<App>) -> Answer<KeyView> {
    Ok(Json(app.node.key_show().await?))
}

/// Replaces this home's key; connected peers follow.
#[utoipa::path(post, path = "/api/v1/sharing/key/rotate", tag = "home",
    responses((status = 200, body = KeyView)))]
pub(crate) async fn rotate(State(app): State<App>) -> Answer<KeyView> {
    Ok(Json(app.node.rotate_key().await?))
}
