//! The HTTP API: the same calls as [`Node`]'s, as JSON, on a unix socket and on TCP.
//!
//! The unix socket `api.sock` in the data directory is for whoever may open it; over TCP a call needs
//! the token of `api_token`. Where TCP listens stands in `api.json`, so that port 0 is found too. Every
//! answer is JSON or a [`Problem`]; bodies are bounded before they are parsed; the OpenAPI document at
//! `/api/v1/openapi.json` describes every route.
//!
//! ```no_run
//! # use crosshome_node::{http::{Api, Settings}, node::Node};
//! # use tokio_util::sync::CancellationToken;
//! # async fn run(node: Node, stop: CancellationToken) -> Result<(), Box<dyn std::error::Error>> {
//! let settings = Settings { port: 0, ..Settings::new("/config/.copilot") };
//! let api = Api::bind(&settings, node).await?;
//! println!("listening on {}", api.url());
//! api.serve(stop).await;
//! # Ok(())
//! # }
//! ```

use axum::{
    Router, middleware,
    routing::{self, MethodRouter},
};
use tokio_util::sync::CancellationToken;

use crate::node::Node;

mod door;
mod events;
mod extract;
mod guard;
pub(crate) mod json_bounds;
mod openapi;
mod problem;
mod ring;
mod routes;
mod serve;
mod token;

pub use openapi::document;
pub use problem::Problem;
pub use serve::{Api, ApiError, Found, Settings};
pub use token::{Token, TokenError};

use events::Events;
use guard::Guard;
use routes::{backup, conflicts, entity, pairing, registry, root, sharing, strategy, sync};

/// What every route may use.
#[derive(Debug, Clone)]
struct App {
    node: Node,
    events: Events,
    stop: CancellationToken,
}

/// The router behind the unix socket, whose file mode has already decided who may come in.
fn behind_socket(app: App) -> Router {
    behind_either(app, routing::post(backup::backup))
}

/// The router behind TCP: the guard stands outside it and so before all routing.
fn behind_guard(guard: Guard, app: App) -> Router {
    let inner = behind_either(app, routing::post(backup::only_by_socket));
    Router::new().fallback_service(inner).layer(middleware::from_fn_with_state(guard, guard::guard))
}

/// What both doors lead to; the backup differs.
fn behind_either(app: App, backup: MethodRouter<App>) -> Router {
    Router::new()
        .nest("/api/v1/sharing", api().route("/backup", backup))
        .route("/api/v1/openapi.json", routing::get(root::openapi))
        .route("/health/live", routing::get(root::live))
        .route("/health/ready", routing::get(root::ready))
        .route("/metrics", routing::get(root::metrics))
        .route("/", routing::get(root::page))
        .fallback(root::no_such_path)
        .method_not_allowed_fallback(root::no_such_method)
        .layer(middleware::from_fn(guard::every_door))
        .with_state(app)
}

fn api() -> Router<App> {
    use routing::{delete, get, post};
    Router::new()
        .route("/", get(registry::overview))
        .route("/entities", get(registry::entities).post(registry::register))
        .route("/entities/shared", get(registry::shared))
        .route("/entities/{id}", get(registry::entity).put(registry::change).delete(registry::unregister))
        .route("/entities/{id}/share-with", post(registry::share_with))
        .route("/entities/{id}/stop-sharing/{home_id}", post(registry::stop_sharing))
        .route("/entities/{id}/shared-with", get(registry::shared_with))
        .route("/entities/{id}/state", post(entity::state))
        .route("/entities/{id}/call", post(entity::call))
        .route("/entities/{id}/history", get(entity::history))
        .route("/conflicts", get(conflicts::list))
        .route("/conflicts/{id}", get(conflicts::show))
        .route("/conflicts/{id}/resolve", post(conflicts::resolve))
        .route("/strategy", get(strategy::strategy).put(strategy::set).delete(strategy::reset))
        .route("/sync/status", get(sync::status))
        .route("/sync/entities", get(sync::entities))
        .route("/sync/entities/{id}", get(sync::entity))
        .route("/sync/peers", get(sync::peers))
        .route("/discovery/peers", get(sync::discovered))
        .route("/discovery/local", get(sync::local))
        .route("/discovery/homes", get(sync::homes_seen))
        .route("/status", get(sync::home))
        .route("/doctor", get(sync::doctor))
        .route("/homes", get(pairing::homes))
        .route("/homes/{id}", delete(pairing::unpair))
        .route("/pairing/show", post(pairing::show))
        .route("/pairing/accept", post(pairing::accept))
        .route("/pairing/cancel", post(pairing::cancel))
        .route("/pairing/invite", post(pairing::invite))
        .route("/key", get(pairing::key))
        .route("/key/rotate", post(pairing::rotate))
        .route("/shares", post(sharing::share).delete(sharing::unshare))
        .route("/shares/preview", post(sharing::preview))
        .route("/events", get(routes::events::events))
}
