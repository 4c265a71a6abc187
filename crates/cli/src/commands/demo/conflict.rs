//! The act of the cut cable: both homes change one note apart, and nothing is lost when they meet again.

use std::time::{Duration, Instant};

use crosshome_node::views::{ConflictList, EntityView, LinkState, Right};
use serde_json::json;

use super::{
    Scene,
    daily::{shown, shows},
    home::{Cable, Home},
    opening,
    wait::until,
};
use crate::failure::Failure;

/// A document of the villa that the flat may edit.
pub(super) const NOTE: &str = "input_text.note";
/// The same, as the flat calls it.
pub(super) const NOTE_THERE: &str = "villa/input_text.note";

/// Between the two changes, so that it is clear whose is the later one.
const A_MOMENT: Duration = Duration::from_millis(50);

/// Plays the act.
pub(super) async fn play(scene: &Scene) -> Result<(), Failure> {
    let Scene { street, story } = scene;
    let mark = Instant::now();
    write_note(scene, "milk").await?;
    story.tell("note", mark, format!("villa writes {NOTE} \"milk\", which flat may edit"))?;
    cut(scene).await?;
    apart(scene).await?;
    heal(scene).await?;
    let (mark, winner) = (Instant::now(), together(scene).await?);
    story.tell("conflict", mark, winner)?;
    let mark = Instant::now();
    street.villa().set(NOTE, &json!({"state": "milk, bread and cake"})).await?;
    until("the end of the conflict", async || {
        let both = [street.villa().entity(NOTE).await?, street.flat().entity(NOTE_THERE).await?];
        let agreed = |view: &EntityView| view.state.as_deref() == Some("milk, bread and cake");
        Ok(both.iter().flatten().filter(|view| agreed(view)).nth(1).map(|_| ()))
    })
    .await?;
    story.tell("settle", mark, "villa, having seen both, writes \"milk, bread and cake\": settled".into())
}

/// Writes the note, shares it if need be, and waits until the flat has it.
pub(super) async fn write_note(scene: &Scene, text: &str) -> Result<(), Failure> {
    let (villa, flat) = (scene.street.villa(), scene.street.flat());
    villa.set(NOTE, &json!({"state": text})).await?;
    opening::share(villa, flat, &[(NOTE, Right::Edit)]).await?;
    shows(flat, NOTE_THERE, text).await
}

/// Pulls the flat's cable.
pub(super) async fn cut(scene: &Scene) -> Result<(), Failure> {
    let Scene { street, story } = scene;
    let mark = Instant::now();
    plug(street.flat(), Cable::Pulled).await?;
    until("villa missing flat", async || {
        let peer = street.villa().peer("flat").await?;
        Ok(peer.filter(|peer| peer.state != LinkState::Online).map(|_| ()))
    })
    .await?;
    story.tell("cut", mark, "flat's cable is pulled (it runs on, sync off): both are alone".into())
}

/// Puts the flat's cable back.
pub(super) async fn heal(scene: &Scene) -> Result<(), Failure> {
    let Scene { street, story } = scene;
    let mark = Instant::now();
    plug(street.flat(), Cable::In).await?;
    let back = Instant::now();
    opening::linked(street.flat(), street.villa()).await?;
    opening::linked(street.villa(), street.flat()).await?;
    let took = super::story::span(back.elapsed().as_secs_f64() * 1000.0);
    story.tell("heal", mark, format!("the cable is back in; linked again {took} after flat's start"))
}

/// Restarts a home with its cable in another place.
async fn plug(home: &Home, cable: Cable) -> Result<(), Failure> {
    home.stop().await;
    home.start(cable).await?;
    home.ready().await.map(drop)
}

/// Changes the note on both sides while neither hears of the other.
async fn apart(scene: &Scene) -> Result<(), Failure> {
    let Scene { street, story } = scene;
    let (villa, flat) = (street.villa(), street.flat());
    let mark = Instant::now();
    villa.set(NOTE, &json!({"state": "milk and bread"})).await?;
    tokio::time::sleep(A_MOMENT).await;
    flat.set(NOTE_THERE, &json!({"state": "milk and cake"})).await?;
    let (here, there) = (shown(villa, NOTE).await?.state, shown(flat, NOTE_THERE).await?.state);
    if here.as_deref() != Some("milk and bread") || there.as_deref() != Some("milk and cake") {
        return Err(Failure::Story(format!("apart, villa shows {here:?} and flat {there:?}")));
    }
    story.tell("apart", mark, "apart, villa writes \"milk and bread\", then flat \"milk and cake\"".into())
}

/// Waits until both homes show one value and the conflict, and that both versions are on record.
async fn together(scene: &Scene) -> Result<String, Failure> {
    let (villa, flat) = (scene.street.villa(), scene.street.flat());
    let view = until("one value and a conflict on record on both sides", async || {
        let (here, there) = (shown(villa, NOTE).await?, shown(flat, NOTE_THERE).await?);
        let on_record = has_both(villa, NOTE).await? && has_both(flat, NOTE_THERE).await?;
        Ok((on_record && here.state == there.state).then_some(here))
    })
    .await?;
    let (state, by) = (view.state.unwrap_or_default(), view.updated_by);
    if state != "milk and cake" {
        return Err(Failure::Story(format!("latest-wins shows {state:?} of {by}, which is not the latest")));
    }
    Ok(format!(
        "both show \"{state}\" ({by}'s, the later), and both have on\nrecord what lost to it; crosshome conflicts resolve would bring it back"
    ))
}

/// Tells whether a home has the conflict of the note on record, with the versions of both.
async fn has_both(home: &Home, id: &str) -> Result<bool, Failure> {
    let list: ConflictList = home.client().get("/conflicts?all=true").await?;
    let of_note = list.conflicts.iter().filter(|conflict| conflict.entity_id == id);
    let states: Vec<_> =
        of_note.flat_map(|conflict| &conflict.versions).map(|version| version.state.as_deref()).collect();
    Ok(["milk and bread", "milk and cake"].iter().all(|text| states.contains(&Some(text))))
}
