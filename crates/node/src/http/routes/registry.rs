//! `/sharing/entities`: what this home has registered and with whom it shares it.

use std::time::Duration;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Answer;
use crate::{
    http::{
        App,
        extract::{Body, InPath, own_id},
    },
    node::{Register, RegisterChange, ShareRequest, UnshareRequest},
    views::{Class, Deleted, LinkState, Recorded, Registered, Registry, RegistryEntity, Right},
};

/// What the home is made of, at a glance.
#[derive(Serialize, ToSchema)]
pub(crate) struct Overview {
    registry: RegistryOverview,
    sync: SyncOverview,
    discovery: DiscoveryOverview,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct RegistryOverview {
    initialized: bool,
    entity_count: u64,
    shared_count: u64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct SyncOverview {
    initialized: bool,
    active: bool,
    peer_count: usize,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DiscoveryOverview {
    initialized: bool,
    peer_count: usize,
}

/// Tells what the home is made of; `peer_count` of sync counts peers online.
#[utoipa::path(get, path = "/api/v1/sharing", tag = "registry", responses((status = 200, body = Overview)))]
pub(crate) async fn overview(State(app): State<App>) -> Answer<Overview> {
    let status = app.node.status().await?;
    let seen = app.node.discovered(Duration::ZERO).await?.len();
    let online = status.peers.iter().filter(|peer| peer.state == LinkState::Online).count();
    let active = status.sync_port.is_some();
    Ok(Json(Overview {
        registry: RegistryOverview {
            initialized: true,
            entity_count: status.entities.own,
            shared_count: status.entities.shared,
        },
        sync: SyncOverview { initialized: active, active, peer_count: online },
        discovery: DiscoveryOverview { initialized: status.discovery, peer_count: seen },
    }))
}

/// Lists registered entities.
#[utoipa::path(get, path = "/api/v1/sharing/entities", tag = "registry",
    responses((status = 200, body = Registry)))]
pub(crate) async fn entities(State(app): State<App>) -> Answer<Registry> {
    Ok(Json(Registry::keyed(app.node.registry().await?)))
}

/// Lists registered entities that somebody else sees.
#[utoipa::path(get, path = "/api/v1/sharing/entities/shared", tag = "registry",
    responses((status = 200, body = Registry)))]
pub(crate) async fn shared(State(app): State<App>) -> Answer<Registry> {
    let mut entities = app.node.registry().await?;
    entities.retain(|entity| entity.shared);
    Ok(Json(Registry::keyed(entities)))
}

/// An entity to register.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewEntity {
    entity_id: String,
    #[serde(default = "yes")]
    shared: bool,
    /// Share it with this home only.
    home_id: Option<String>,
    #[serde(default)]
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    class: Option<Class>,
}

fn yes() -> bool {
    true
}

/// Registers an entity of this home.
#[utoipa::path(post, path = "/api/v1/sharing/entities", tag = "registry", request_body = NewEntity,
    responses((status = 200, body = Registered)))]
pub(crate) async fn register(State(app): State<App>, Body(new): Body<NewEntity>) -> Answer<Registered> {
    let entity_id = own_id(new.entity_id)?;
    let NewEntity { shared, home_id: home, metadata, class, .. } = new;
    let entity = app.node.register(Register { entity_id, shared, home, metadata, class }).await?;
    Ok(Json(Registered { ok: true, entity }))
}

/// Shows a registered entity.
#[utoipa::path(get, path = "/api/v1/sharing/entities/{id}", tag = "registry", params(("id" = String, Path)),
    responses((status = 200, body = RegistryEntity)))]
pub(crate) async fn entity(State(app): State<App>, InPath(id): InPath<String>) -> Answer<RegistryEntity> {
    Ok(Json(app.node.registered(own_id(id)?).await?))
}

/// What changes; keys other than the first two are metadata as well.
#[derive(Deserialize, ToSchema)]
pub(crate) struct EntityChange {
    shared: Option<bool>,
    #[serde(default)]
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    others: Map<String, Value>,
}

/// Changes a registered entity.
#[utoipa::path(put, path = "/api/v1/sharing/entities/{id}", tag = "registry", params(("id" = String, Path)),
    request_body = EntityChange, responses((status = 200, body = Registered)))]
pub(crate) async fn change(
    State(app): State<App>,
    InPath(id): InPath<String>,
    Body(change): Body<EntityChange>,
) -> Answer<Registered> {
    let EntityChange { shared, mut metadata, others } = change;
    metadata.extend(others);
    let entity = app.node.change_registered(own_id(id)?, RegisterChange { shared, metadata }).await?;
    Ok(Json(Registered { ok: true, entity }))
}

/// Unregisters an entity and deletes it for everyone who saw it.
#[utoipa::path(delete, path = "/api/v1/sharing/entities/{id}", tag = "registry", params(("id" = String, Path)),
    responses((status = 200, body = Deleted)))]
pub(crate) async fn unregister(State(app): State<App>, InPath(id): InPath<String>) -> Answer<Deleted> {
    let entity_id = own_id(id)?;
    app.node.unregister(entity_id.clone()).await?;
    Ok(Json(Deleted { ok: true, entity_id }))
}

/// A home and what it may do.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ShareWith {
    /// Home by name, id or prefix.
    home_id: String,
    #[serde(default)]
    permissions: Permissions,
}

#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Permissions {
    #[default]
    Read,
    ReadWrite,
}

impl From<Permissions> for Right {
    fn from(permissions: Permissions) -> Self {
        match permissions {
            Permissions::Read => Self::Read,
            // It contains control, so it means "may write" for devices and documents alike.
            Permissions::ReadWrite => Self::Edit,
        }
    }
}

/// Shares one entity with one home.
#[utoipa::path(post, path = "/api/v1/sharing/entities/{id}/share-with", tag = "registry",
    params(("id" = String, Path)), request_body = ShareWith, responses((status = 200, body = Recorded)))]
pub(crate) async fn share_with(
    State(app): State<App>,
    InPath(id): InPath<String>,
    Body(with): Body<ShareWith>,
) -> Answer<Recorded> {
    let (entity_id, right) = (own_id(id)?, with.permissions.into());
    let (patterns, homes) = (vec![entity_id.clone()], vec![with.home_id.clone()]);
    // Whoever names one entity and one home has chosen; there is nothing to be surprised by.
    app.node.share(ShareRequest { patterns, with: homes, right, preview: false, yes: true }).await?;
    Ok(Json(Recorded { ok: true, entity_id, home_id: with.home_id }))
}

/// Stops sharing one entity with one home.
#[utoipa::path(post, path = "/api/v1/sharing/entities/{id}/stop-sharing/{home_id}", tag = "registry",
    params(("id" = String, Path), ("home_id" = String, Path)), responses((status = 200, body = Recorded)))]
pub(crate) async fn stop_sharing(
    State(app): State<App>,
    InPath((id, home_id)): InPath<(String, String)>,
) -> Answer<Recorded> {
    let entity_id = own_id(id)?;
    let (patterns, with) = (vec![entity_id.clone()], vec![home_id.clone()]);
    app.node.unshare(UnshareRequest { patterns, with, preview: false }).await?;
    Ok(Json(Recorded { ok: true, entity_id, home_id }))
}

/// Who sees an entity.
#[derive(Serialize, ToSchema)]
pub(crate) struct SharedWith {
    entity_id: String,
    shared_with: Vec<String>,
    count: usize,
}

/// Tells which homes see an entity.
#[utoipa::path(get, path = "/api/v1/sharing/entities/{id}/shared-with", tag = "registry",
    params(("id" = String, Path)), responses((status = 200, body = SharedWith)))]
pub(crate) async fn shared_with(State(app): State<App>, InPath(id): InPath<String>) -> Answer<SharedWith> {
    let RegistryEntity { entity_id, shared_with, .. } = app.node.registered(own_id(id)?).await?;
    Ok(Json(SharedWith { count: shared_with.len(), entity_id, shared_with }))
}
