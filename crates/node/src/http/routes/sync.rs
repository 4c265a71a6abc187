//! How this home and its peers are doing, and what they see of each other.

use std::{collections::BTreeMap, time::Duration};

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Answer;
use crate::{
    defaults::DISCOVER_WAIT_MAX,
    http::{
        App,
        extract::{Entity, Params},
    },
    node::Selection,
    views::{Entities, EntityView, Finding, HomeSeen, LinkState, LocalPeer, PeerView, Stamp, Status},
};

/// Tells how this home is doing.
#[utoipa::path(get, path = "/api/v1/sharing/status", tag = "home", responses((status = 200, body = Status)))]
pub(crate) async fn home(State(app): State<App>) -> Answer<Status> {
    Ok(Json(app.node.status().await?))
}

/// Tells what is wrong and how to mend it.
#[utoipa::path(get, path = "/api/v1/sharing/doctor", tag = "home",
    responses((status = 200, body = Vec<Finding>)))]
pub(crate) async fn doctor(State(app): State<App>) -> Answer<Vec<Finding>> {
    Ok(Json(app.node.doctor().await?))
}

/// Sync in numbers; `peer_id` and `synchronized_peers` are names.
#[derive(Serialize, ToSchema)]
pub(crate) struct SyncStatus {
    active: bool,
    peer_id: String,
    connected_peers: usize,
    synchronized_peers: Vec<String>,
    entity_count: u64,
}

/// Tells how sync is doing.
#[utoipa::path(get, path = "/api/v1/sharing/sync/status", tag = "sync",
    responses((status = 200, body = SyncStatus)))]
pub(crate) async fn status(State(app): State<App>) -> Answer<SyncStatus> {
    let status = app.node.status().await?;
    Ok(Json(SyncStatus {
        active: status.sync_port.is_some(),
        connected_peers: status.peers.iter().filter(|peer| peer.state == LinkState::Online).count(),
        synchronized_peers: synchronized(&status.peers),
        entity_count: status.entities.shared + status.entities.received,
        peer_id: status.home.name,
    }))
}

fn synchronized(peers: &[PeerView]) -> Vec<String> {
    peers.iter().filter(|peer| peer.in_sync).map(|peer| peer.name.clone()).collect()
}

/// Which peers hold the same as this home, by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct SyncPeers {
    synchronized_peers: Vec<String>,
    count: usize,
}

/// Lists the peers that hold the same as this home.
#[utoipa::path(get, path = "/api/v1/sharing/sync/peers", tag = "sync",
    responses((status = 200, body = SyncPeers)))]
pub(crate) async fn peers(State(app): State<App>) -> Answer<SyncPeers> {
    let synchronized_peers = synchronized(&app.node.homes().await?);
    Ok(Json(SyncPeers { count: synchronized_peers.len(), synchronized_peers }))
}

#[derive(Deserialize, IntoParams)]
pub(crate) struct WhichEntities {
    /// Own ones that nobody else sees, too.
    #[serde(default)]
    all: bool,
}

/// Lists own shared entities and received ones.
#[utoipa::path(get, path = "/api/v1/sharing/sync/entities", tag = "sync", params(WhichEntities),
    responses((status = 200, body = Entities)))]
pub(crate) async fn entities(
    State(app): State<App>,
    Params(which): Params<WhichEntities>,
) -> Answer<Entities> {
    let selection = if which.all { Selection::All } else { Selection::Shared };
    Ok(Json(Entities::keyed(app.node.entities(selection).await?)))
}

/// Shows one entity, own or received.
#[utoipa::path(get, path = "/api/v1/sharing/sync/entities/{id}", tag = "sync",
    params(("id" = String, Path, description = "light.hall, or villa%2Flight.hall with its home")),
    responses((status = 200, body = EntityView)))]
pub(crate) async fn entity(State(app): State<App>, Entity(entity): Entity) -> Answer<EntityView> {
    Ok(Json(app.node.entity(entity).await?))
}

/// Homes seen on the network, by id.
#[derive(Serialize, ToSchema)]
pub(crate) struct Discovered {
    count: usize,
    peers: BTreeMap<String, DiscoveredPeer>,
}

/// A home as it announces itself: nothing of it is proven.
#[derive(Serialize, ToSchema)]
pub(crate) struct DiscoveredPeer {
    peer_id: String,
    home_id: String,
    instance_name: String,
    version: Option<String>,
    capabilities: Vec<String>,
    addresses: Vec<String>,
    port: u16,
    last_seen: Option<Stamp>,
    paired: bool,
    online: bool,
}

impl From<HomeSeen> for DiscoveredPeer {
    fn from(seen: HomeSeen) -> Self {
        let HomeSeen { id: peer_id, name: home_id, instance_name, version, capabilities, .. } = seen;
        let HomeSeen { addresses, port, last_seen, paired, online, .. } = seen;
        Self {
            peer_id,
            home_id,
            instance_name,
            version,
            capabilities,
            addresses,
            port,
            last_seen,
            paired,
            online,
        }
    }
}

/// Lists homes known or seen on the network.
#[utoipa::path(get, path = "/api/v1/sharing/discovery/peers", tag = "discovery",
    responses((status = 200, body = Discovered)))]
pub(crate) async fn discovered(State(app): State<App>) -> Answer<Discovered> {
    let seen = app.node.discovered(Duration::ZERO).await?;
    let peers: BTreeMap<_, _> = seen.into_iter().map(|home| (home.id.clone(), home.into())).collect();
    Ok(Json(Discovered { count: peers.len(), peers }))
}

/// Tells what this home announces about itself.
#[utoipa::path(get, path = "/api/v1/sharing/discovery/local", tag = "discovery",
    responses((status = 200, body = LocalPeer)))]
pub(crate) async fn local(State(app): State<App>) -> Answer<LocalPeer> {
    Ok(Json(app.node.local_peer().await?))
}

#[derive(Deserialize, IntoParams)]
pub(crate) struct Look {
    /// Milliseconds to look around before answering; 0 answers with what is known.
    #[serde(default)]
    wait_ms: u64,
}

/// Looks around and lists homes, as `crosshome discover` prints them.
#[utoipa::path(get, path = "/api/v1/sharing/discovery/homes", tag = "discovery", params(Look),
    responses((status = 200, body = Vec<HomeSeen>)))]
pub(crate) async fn homes_seen(State(app): State<App>, Params(look): Params<Look>) -> Answer<Vec<HomeSeen>> {
    let wait = Duration::from_millis(look.wait_ms).min(DISCOVER_WAIT_MAX);
    Ok(Json(app.node.discovered(wait).await?))
}
