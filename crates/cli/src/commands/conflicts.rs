//! `conflicts`: list, show, resolve.

use crosshome_node::views::{ConflictList, ConflictStatus, ConflictView, Resolved, VersionView};
use hyper::Method;
use serde_json::{Value, json};

use crate::{
    args::{Conflicts, Resolve},
    client::{Client, part},
    failure::Failure,
    output::Screen,
    text::{moment, or_dash, plain},
};

/// Looks at conflicts or settles one.
pub(super) async fn run(args: Conflicts, client: &Client, screen: &Screen) -> Result<(), Failure> {
    match args {
        Conflicts::List { all } => {
            let list: ConflictList = client.get(&format!("/conflicts?all={all}")).await?;
            screen.show(&list.conflicts, |conflicts| match conflicts.is_empty() {
                true if all => "no conflicts on record".to_owned(),
                true => "no open conflicts; those that are settled are listed with --all".to_owned(),
                false => table(conflicts, screen),
            })
        }
        Conflicts::Show { id } => {
            let conflict: ConflictView = client.get(&path(&id)).await?;
            screen.show(&conflict, |conflict| text(conflict, screen))
        }
        Conflicts::Resolve(args) => resolve(args, client, screen).await,
    }
}

async fn resolve(args: Resolve, client: &Client, screen: &Screen) -> Result<(), Failure> {
    let Resolve { id, take, merge, value, seen } = args;
    let token = match seen {
        Some(token) => token,
        None => client.get::<ConflictView>(&path(&id)).await?.token,
    };
    let body = match (take, value) {
        (Some(home), _) => json!({"token": token, "take": home}),
        (None, Some(value)) => json!({"token": token, "value": json_or_text(&value)}),
        (None, None) => json!({"token": token, "merge": merge}),
    };
    let resolved: Resolved = client.send(Method::POST, &format!("{}/resolve", path(&id)), &body).await?;
    screen.show(&resolved, |Resolved { conflict, .. }| {
        format!("{}: {}", plain(&conflict.entity_id), plain(&or_dash(conflict.outcome.clone())))
    })
}

fn path(id: &str) -> String {
    format!("/conflicts/{}", part(id))
}

/// Reads a value as people type it: JSON where it is some, else text.
fn json_or_text(value: &str) -> Value {
    match serde_json::from_str(value) {
        // a state is text; what else is no object would be refused as none
        Ok(value @ (Value::Object(_) | Value::Number(_) | Value::String(_))) => value,
        _ => value.into(),
    }
}

fn table(conflicts: &[ConflictView], screen: &Screen) -> String {
    let row = |conflict: &ConflictView| {
        let side = |version: &VersionView| format!("{}: {}", version.home, state(version));
        let sides: Vec<_> = conflict.versions.iter().map(side).collect();
        let status = status(conflict);
        vec![
            conflict.id.clone(),
            conflict.entity_id.clone(),
            status.to_owned(),
            sides.join(" | "),
            conflict.fields.join(", "),
            conflict.strategy.clone(),
            moment(Some(conflict.detected_at)),
        ]
    };
    let rows: Vec<_> = conflicts.iter().map(row).collect();
    screen.table(&["ID", "ENTITY", "STATUS", "VERSIONS", "FIELDS", "STRATEGY", "DETECTED"], &rows)
}

fn text(conflict: &ConflictView, screen: &Screen) -> String {
    let mut lines = vec![
        format!("conflict    {}", plain(&conflict.id)),
        format!("entity      {}", plain(&conflict.entity_id)),
        format!("status      {}", status(conflict)),
        format!("strategy    {}", plain(&conflict.strategy)),
        format!("detected    {}", moment(Some(conflict.detected_at))),
        format!("differ in   {}", plain(&conflict.fields.join(", "))),
    ];
    if let Some(outcome) = &conflict.outcome {
        lines.push(format!("outcome     {}", plain(outcome)));
    }
    lines.push(format!("token       {}", plain(&conflict.token)));
    let mut rows: Vec<_> = conflict.versions.iter().map(|version| row(&version.home, version)).collect();
    rows.extend(conflict.present.iter().map(|version| row("(now)", version)));
    rows.extend(conflict.before.iter().map(|version| row("(before)", version)));
    lines.push(String::new());
    lines.push(screen.table(&["HOME", "STATE", "ATTRIBUTES", "AT", "BY", "OUTCOME"], &rows));
    if conflict.status == ConflictStatus::Open {
        let id = plain(&conflict.entity_id);
        lines.push(String::new());
        lines.push(format!(
            "settle it with crosshome conflicts resolve {id} --take HOME, --merge or --value JSON"
        ));
    }
    lines.join("\n")
}

fn row(name: &str, version: &VersionView) -> Vec<String> {
    vec![
        name.to_owned(),
        state(version),
        version.attributes.get().to_owned(),
        moment(Some(version.at)),
        version.by.clone(),
        or_dash(version.outcome.clone()),
    ]
}

fn state(version: &VersionView) -> String {
    if version.deleted { "(deleted)".to_owned() } else { or_dash(version.state.clone()) }
}

fn status(conflict: &ConflictView) -> &'static str {
    match conflict.status {
        ConflictStatus::Open => "open",
        ConflictStatus::Settled => "settled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_may_be_typed_as_text_number_or_object() {
        assert_eq!(json_or_text("off"), json!("off"));
        assert_eq!(json_or_text("21.5"), json!(21.5));
        assert_eq!(json_or_text("true"), json!("true"));
        assert_eq!(json_or_text(r#"{"state":"on"}"#), json!({"state": "on"}));
    }
}
