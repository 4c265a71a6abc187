//! One function per route: typed values in, one call of the node, a view out.

pub(super) mod backup;
pub(super) mod conflicts;
pub(super) mod entity;
pub(super) mod events;
pub(super) mod pairing;
pub(super) mod registry;
pub(super) mod root;
pub(super) mod sharing;
pub(super) mod strategy;
pub(super) mod sync;

use axum::Json;

use super::problem::Problem;

/// What a route answers.
pub(super) type Answer<T> = Result<Json<T>, Problem>;
