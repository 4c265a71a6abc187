//! `entity`: list, get, set, history; watching has a file of its own.

use crosshome_node::views::{Entities, EntityView, HistoryView, VersionView};
use hyper::Method;
use serde_json::{Map, Value, json, value::RawValue};

use super::watch;
use crate::{
    args::{Entity, Set},
    client::{Client, part},
    failure::Failure,
    output::Screen,
    text::{fits, moment, or_dash, plain, yes_no},
};

/// Looks at entities or changes one.
pub(super) async fn run(args: Entity, client: &Client, screen: &Screen) -> Result<(), Failure> {
    match args {
        Entity::List { glob } => list(glob.as_deref(), client, screen).await,
        Entity::Get { id } => {
            let entity: EntityView = client.get(&format!("/sync/entities/{}", part(&id))).await?;
            screen.show(&entity, text)
        }
        Entity::Set(args) => set(args, client, screen).await,
        Entity::Watch { glob } => watch::run(glob.as_deref(), client, screen).await,
        Entity::History { id } => {
            let history: HistoryView = client.get(&format!("/entities/{}/history", part(&id))).await?;
            screen.show(&history, |history| past(&history.versions, screen))
        }
    }
}

async fn list(glob: Option<&str>, client: &Client, screen: &Screen) -> Result<(), Failure> {
    let entities: Entities = client.get("/sync/entities?all=true").await?;
    let views: Vec<_> = entities.entities.into_values().filter(|view| wanted(glob, view)).collect();
    screen.show(&views, |views| table(views, screen))
}

/// Tells whether an entity fits; a glob with a slash names the home too.
pub(super) fn wanted(glob: Option<&str>, view: &EntityView) -> bool {
    glob.is_none_or(|glob| match glob.contains('/') {
        true => fits(&glob.to_lowercase(), &format!("{}/{}", view.home, view.entity_id).to_lowercase()),
        false => fits(glob, &view.entity_id),
    })
}

async fn set(args: Set, client: &Client, screen: &Screen) -> Result<(), Failure> {
    let Set { id, state, attr, no_wait } = args;
    let mut body = Map::new();
    if let Some(state) = state {
        body.insert("state".into(), state.into());
    }
    if !attr.is_empty() {
        body.insert("patch".into(), Value::Object(attr.into_iter().collect()));
    }
    body.insert("wait".into(), json!(!no_wait));
    let path = format!("/entities/{}/state", part(&id));
    let entity: EntityView = client.send(Method::POST, &path, &body).await?;
    screen.show(&entity, |entity| match &entity.pending {
        Some(pending) if no_wait => pending.intent.clone(),
        _ => text(entity),
    })
}

fn text(view: &EntityView) -> String {
    let mut lines = vec![
        format!("entity        {}", plain(&view.entity_id)),
        format!("home          {}", plain(&view.home)),
        format!("state         {}", state(view)),
    ];
    for (key, value) in attributes(&view.attributes) {
        lines.push(format!("  {:10}  {}", plain(&key), plain(&value.to_string())));
    }
    lines.push(format!("last changed  {} by {}", moment(Some(view.last_changed)), plain(&view.updated_by)));
    if !view.shared_with.is_empty() {
        lines.push(format!("shared with   {}", plain(&view.shared_with.join(", "))));
    }
    if view.conflict {
        lines.push("conflict      yes, see crosshome conflicts list".to_owned());
    }
    if let Some(pending) = &view.pending {
        let until = moment(Some(pending.expires));
        lines.push(format!("pending       a command is {}, given up {until}", plain(&pending.status)));
    }
    lines.join("\n")
}

/// Reads attributes for people; what is not an object shows as none.
fn attributes(raw: &RawValue) -> Map<String, Value> {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

/// Writes a state, or a dash.
pub(super) fn state(view: &EntityView) -> String {
    plain(&or_dash(view.state.clone()))
}

fn table(views: &[EntityView], screen: &Screen) -> String {
    let row = |view: &EntityView| {
        let shared_with = view.shared_with.join(", ");
        let conflict = yes_no(view.conflict);
        vec![
            view.home.clone(),
            view.entity_id.clone(),
            state(view),
            moment(Some(view.last_updated)),
            shared_with,
            conflict,
        ]
    };
    let rows: Vec<_> = views.iter().map(row).collect();
    screen.table(&["HOME", "ENTITY", "STATE", "LAST UPDATED", "SHARED WITH", "CONFLICT"], &rows)
}

fn past(versions: &[VersionView], screen: &Screen) -> String {
    let row = |version: &VersionView| {
        let VersionView { home, state, at, by, outcome, .. } = version;
        vec![moment(Some(*at)), or_dash(state.clone()), home.clone(), by.clone(), or_dash(outcome.clone())]
    };
    let rows: Vec<_> = versions.iter().map(row).collect();
    screen.table(&["AT", "STATE", "HOME", "BY", "OUTCOME"], &rows)
}
