//! What the keys of the live demo do; each is an act of its own that tells how it ended.

use std::time::Instant;

use crosshome_node::views::{EntityView, LinkState, Right};
use serde_json::{Value, json};

use super::{Scene, conflict, home::Home, opening};
use crate::failure::Failure;

const LIGHT: &str = "light.living_room";
const HEATING: &str = "climate.living_room";

/// Shared and taken back by one key.
const MORE: [(&str, Right); 5] = [
    ("light.hall", Right::Control),
    ("light.garden", Right::Control),
    ("binary_sensor.hall_motion", Right::Read),
    ("lock.cellar", Right::Control),
    ("cover.awning", Right::Control),
];

/// What people write on notes.
const NOTES: [&str; 4] = ["milk", "bread", "cake", "call the plumber"];

/// Does what a key asks for; keys without a meaning do nothing.
pub(super) async fn press(scene: &Scene, key: u8) -> Result<(), Failure> {
    let (villa, flat) = (scene.street.villa(), scene.street.flat());
    match key {
        b'l' => light(scene, villa).await,
        b'L' => light(scene, flat).await,
        b't' => warmer(scene, villa).await,
        b'T' => warmer(scene, flat).await,
        b'n' => note(scene, villa).await,
        b'N' => note(scene, flat).await,
        b'k' => ask(scene, flat, "lock.cellar", json!({"state": "unlocked"}), "unlocked").await,
        b'a' => ask(scene, flat, "cover.awning", json!({"state": "open"}), "open").await,
        b's' => share_more(scene).await,
        b'x' => cable(scene).await,
        b'c' => {
            if !linked(scene).await? {
                conflict::heal(scene).await?;
            }
            conflict::play(scene).await
        }
        _ => Ok(()),
    }
}

async fn light(scene: &Scene, home: &Home) -> Result<(), Failure> {
    let on = sees(home, LIGHT).await?.is_some_and(|view| view.state.as_deref() == Some("on"));
    let state = if on { "off" } else { "on" };
    ask(scene, home, LIGHT, json!({"state": state}), state).await
}

async fn warmer(scene: &Scene, home: &Home) -> Result<(), Failure> {
    let view = sees(home, HEATING).await?;
    let attributes = view.and_then(|view| serde_json::from_str::<Value>(view.attributes.get()).ok());
    let wanted = attributes.and_then(|all| all["temperature"].as_f64()).unwrap_or(20.0);
    let next = if wanted >= 24.0 { 18.0 } else { wanted + 0.5 };
    ask(scene, home, HEATING, json!({"patch": {"temperature": next}}), &format!("{next} °C")).await
}

async fn note(scene: &Scene, home: &Home) -> Result<(), Failure> {
    let known = sees(home, conflict::NOTE).await?.and_then(|view| view.state).unwrap_or_default();
    let place = NOTES.iter().position(|text| *text == known).map_or(0, |place| (place + 1) % NOTES.len());
    ask(scene, home, conflict::NOTE, json!({"state": NOTES[place]}), NOTES[place]).await
}

/// Sets something of the villa's from any home, and tells how that ended.
async fn ask(scene: &Scene, home: &Home, id: &str, wish: Value, wanted: &str) -> Result<(), Failure> {
    let mark = Instant::now();
    let text = match home.set(&name(home, id), &wish).await {
        Ok(_) => format!("{}: {id} {wanted}: done", home.name()),
        Err(failure) => format!("{}: {id} {wanted}: {failure}", home.name()),
    };
    scene.story.tell("key", mark, text)
}

async fn share_more(scene: &Scene) -> Result<(), Failure> {
    let (villa, flat) = (scene.street.villa(), scene.street.flat());
    let mark = Instant::now();
    if flat.entity("villa/light.hall").await?.is_none() {
        opening::share(villa, flat, &MORE).await?;
        return scene.story.tell("share", mark, "villa shares everything with flat".into());
    }
    for (id, _) in MORE {
        villa.unshare(id, flat).await?;
    }
    scene.story.tell("revoke", mark, "villa takes it back, but for the first three and the note".into())
}

async fn cable(scene: &Scene) -> Result<(), Failure> {
    match linked(scene).await? {
        true => conflict::cut(scene).await,
        false => conflict::heal(scene).await,
    }
}

async fn linked(scene: &Scene) -> Result<bool, Failure> {
    let link = scene.street.villa().peer(scene.street.flat().name()).await?;
    Ok(link.is_some_and(|link| link.state == LinkState::Online))
}

async fn sees(home: &Home, id: &str) -> Result<Option<EntityView>, Failure> {
    home.entity(&name(home, id)).await
}

/// Returns what a home calls an entity of the villa.
fn name(home: &Home, id: &str) -> String {
    if home.name() == "villa" { id.to_owned() } else { format!("villa/{id}") }
}
