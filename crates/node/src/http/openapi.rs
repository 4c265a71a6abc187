//! The API's description, made from the routes themselves.

use utoipa::{
    Modify, OpenApi,
    openapi::{
        Content, Ref, Response,
        path::Operation,
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

use super::{
    Problem,
    routes::{backup, conflicts, entity, events, pairing, registry, root, sharing, strategy, sync},
};

#[derive(OpenApi)]
#[openapi(
    info(title = "crosshome", description = "One home's API: entities, peers, sharing, conflicts."),
    components(schemas(Problem)),
    modifiers(&Common),
    paths(
        registry::overview, registry::entities, registry::shared, registry::register, registry::entity,
        registry::change, registry::unregister, registry::share_with, registry::stop_sharing, registry::shared_with,
        entity::state, entity::call, entity::history,
        conflicts::list, conflicts::show, conflicts::resolve,
        strategy::strategy, strategy::set, strategy::reset,
        sync::status, sync::entities, sync::entity, sync::peers, sync::discovered, sync::local,
        sync::homes_seen, sync::home, sync::doctor,
        pairing::homes, pairing::unpair, pairing::show, pairing::accept, pairing::cancel, pairing::invite,
        pairing::key, pairing::rotate, backup::backup,
        sharing::share, sharing::unshare, sharing::preview,
        events::events,
        root::live, root::ready, root::metrics, root::openapi,
    )
)]
struct Api;

/// What every operation has in common: the token, and problems.
struct Common;

impl Modify for Common {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_default();
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.security_schemes.insert("token".to_owned(), bearer);
        api.security = Some(vec![SecurityRequirement::new("token", [""; 0])]);
        for item in api.paths.paths.values_mut() {
            let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.delete];
            operations.into_iter().flatten().for_each(may_fail);
        }
    }
}

fn may_fail(operation: &mut Operation) {
    let mut response = Response::new("What went wrong and why");
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    response.content.insert("application/problem+json".to_owned(), content);
    operation.responses.responses.insert("default".to_owned(), response.into());
}

/// Returns the OpenAPI 3.1 document of this program.
pub fn document() -> utoipa::openapi::OpenApi {
    let mut api = Api::openapi();
    env!("CARGO_PKG_VERSION").clone_into(&mut api.info.version);
    api
}
