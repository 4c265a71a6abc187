//! The second act: a day in the life, with every way a command can end.

use std::time::{Duration, Instant};

use crosshome_node::{
    node::Code,
    views::{EntityView, Right, Stamp},
};
use serde_json::json;

use super::{Scene, home::Home, opening, story::span, wait::until};
use crate::{events::Events, failure::Failure};

/// Shared in this act: one device refuses, the other never answers.
const STUBBORN: [(&str, Right); 2] = [("lock.cellar", Right::Control), ("cover.awning", Right::Control)];

/// Plays the act.
pub(super) async fn play(scene: &Scene) -> Result<(), Failure> {
    let Scene { street, .. } = scene;
    opening::share(street.villa(), street.flat(), &STUBBORN).await?;
    // The silent device takes its ten seconds beside the rest.
    let (silent, rest) = tokio::join!(silence(scene), rest(scene));
    rest.and(silent)
}

async fn rest(scene: &Scene) -> Result<(), Failure> {
    steer(scene).await?;
    follow(scene).await?;
    drift(scene).await?;
    forbid(scene).await?;
    refuse(scene).await?;
    take_back(scene).await
}

/// The flat steers a light of the villa.
async fn steer(scene: &Scene) -> Result<(), Failure> {
    let Scene { street, story } = scene;
    let mark = Instant::now();
    let wish = json!({"state": "on", "patch": {"brightness": 200}});
    street.flat().set("villa/light.living_room", &wish).await?;
    let took = mark.elapsed();
    shows(street.villa(), "light.living_room", "on").await?;
    story.tell_took("steer", took, "flat turns villa's light.living_room on, brightness 200: done".into())
}

/// The villa turns it off, and all others see that.
async fn follow(scene: &Scene) -> Result<(), Failure> {
    let Scene { street, story } = scene;
    let mut events = Events::open(street.flat().client(), false, None).await?;
    street.villa().set("light.living_room", &json!({"state": "off"})).await?;
    let mark = Instant::now();
    let lag = lag(&mut events, "light.living_room").await?;
    for home in street.others() {
        shows(home, "villa/light.living_room", "off").await?;
    }
    let text = match street.others().len() {
        0 => "villa turns it off, flat shows it that much later".to_owned(),
        others => {
            let last = span(mark.elapsed().as_secs_f64() * 1000.0);
            format!("villa turns it off, flat shows it that much later, {others} others in {last}")
        }
    };
    story.tell_took("follow", lag, text)
}

/// The garden's thermometer drifts.
async fn drift(scene: &Scene) -> Result<(), Failure> {
    let Scene { street, story } = scene;
    let mut events = Events::open(street.flat().client(), false, None).await?;
    let lag = lag(&mut events, "sensor.garden_temperature").await?;
    let degrees = shown(street.flat(), "villa/sensor.garden_temperature").await?.state.unwrap_or_default();
    story.tell_took(
        "drift",
        lag,
        format!("it is {degrees} °C in villa's garden, flat shows it that much later"),
    )
}

/// The flat tries to set what it may only see.
async fn forbid(scene: &Scene) -> Result<(), Failure> {
    let Scene { street, story } = scene;
    let mark = Instant::now();
    let set = street.flat().set("villa/sensor.garden_temperature", &json!({"state": "30"})).await;
    fails(set, Code::NotAllowed)?;
    story.tell("forbid", mark, "flat may only see the thermometer: setting it is not allowed".into())
}

/// The flat tries the lock, whose bolt is jammed.
async fn refuse(scene: &Scene) -> Result<(), Failure> {
    let Scene { street, story } = scene;
    let mark = Instant::now();
    let reason =
        fails(street.flat().set("villa/lock.cellar", &json!({"state": "unlocked"})).await, Code::Refused)?;
    story.tell("refuse", mark, format!("flat unlocks lock.cellar, whose bolt is jammed:\n{reason}"))
}

/// The villa takes the lock back.
async fn take_back(scene: &Scene) -> Result<(), Failure> {
    let Scene { street, story } = scene;
    let mark = Instant::now();
    street.villa().unshare("lock.cellar", street.flat()).await?;
    until("lock.cellar leaving flat", async || {
        Ok(street.flat().entity("villa/lock.cellar").await?.is_none().then_some(()))
    })
    .await?;
    story.tell("revoke", mark, "villa takes lock.cellar back: flat no longer has it".into())
}

/// The flat moves the awning, which never answers.
async fn silence(scene: &Scene) -> Result<(), Failure> {
    let Scene { street, story } = scene;
    let mark = Instant::now();
    let reason =
        fails(street.flat().set("villa/cover.awning", &json!({"state": "open"})).await, Code::TimedOut)?;
    story.tell("silence", mark, format!("flat opened cover.awning meanwhile, whose radio is dead:\n{reason}"))
}

/// Waits for the next news of an entity, and returns how long after the change it came: one machine, one clock.
async fn lag(events: &mut Events, entity_id: &str) -> Result<Duration, Failure> {
    let news = async {
        loop {
            let event = events.next().await?;
            let view = (event.name == "entity").then(|| serde_json::from_str::<EntityView>(&event.data).ok());
            if let Some(view) = view.flatten().filter(|view| view.entity_id == entity_id) {
                return Ok::<_, Failure>(view.last_updated);
            }
        }
    };
    let changed = tokio::time::timeout(super::wait::LIMIT, news).await;
    let changed = changed.map_err(|_| Failure::Story(format!("flat heard nothing of {entity_id}")))??;
    Ok(Duration::from_millis(u64::try_from(Stamp::now().0 - changed.0).unwrap_or_default()))
}

/// Waits until a home shows a state.
pub(super) async fn shows(home: &Home, id: &str, state: &str) -> Result<(), Failure> {
    until(&format!("{id} {state} at {}", home.name()), async || {
        let view = home.entity(id).await?;
        Ok(view.filter(|view| view.state.as_deref() == Some(state)).map(|_| ()))
    })
    .await
}

/// Returns what a home shows of an entity that it has.
pub(super) async fn shown(home: &Home, id: &str) -> Result<EntityView, Failure> {
    home.entity(id).await?.ok_or_else(|| Failure::Story(format!("{} does not have {id}", home.name())))
}

/// Wants a failure of this kind, and returns its words.
fn fails(result: Result<EntityView, Failure>, code: Code) -> Result<String, Failure> {
    match result {
        Err(Failure::Refused(problem)) if problem.code == code => Ok(problem.error),
        Err(other) => Err(other),
        Ok(view) => Err(Failure::Story(format!("{} was set, which should have failed", view.entity_id))),
    }
}
