//! The act of the cut cable: both homes change four lists apart in the same way, and each strategy settles one of them.

use std::time::{Duration, Instant};

use crosshome_node::views::{
    ConflictList, ConflictView, EntityView, LinkState, Right, StrategyView, VersionView,
};
use hyper::Method;
use serde_json::{Value, json};

use super::{
    Scene,
    daily::{shown, shows},
    home::{Cable, Home},
    opening,
    wait::until,
};
use crate::{client::part, failure::Failure};

/// A document of the villa that the flat may edit.
pub(super) const NOTE: &str = "input_text.note";
/// The same, as the flat calls it.
pub(super) const NOTE_THERE: &str = "villa/input_text.note";

/// Between the two changes, so that it is clear whose is the later one.
const A_MOMENT: Duration = Duration::from_millis(50);

/// What settles the last list: a shop for everybody and bags for everything.
const TEMPLATE: &str = r#"{{ {"state": [local.state, remote.state] | sort | last, "attributes": {
  "shop": local.attributes.shop ~ " or " ~ remote.attributes.shop,
  "bags": [local.attributes.bags, remote.attributes.bags] | max}} | tojson }}"#;

/// A shopping list as somebody has left it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct List {
    things: &'static str,
    shop: &'static str,
    bags: u64,
}

const BEFORE: List = List { things: "milk", shop: "market", bags: 1 };
const OF_VILLA: List = List { things: "milk and bread", bags: 2, ..BEFORE };
const OF_FLAT: List = List { shop: "bakery", bags: 4, ..BEFORE };

/// A strategy, the list that it settles, and what comes of that.
struct Trial {
    strategy: &'static str,
    id: &'static str,
    shows: List,
}

const TRIALS: [Trial; 4] = [
    Trial { strategy: "latest-wins", id: "input_text.list_1", shows: OF_FLAT },
    Trial { strategy: "merge", id: "input_text.list_2", shows: List { things: OF_VILLA.things, ..OF_FLAT } },
    Trial { strategy: "user-choice", id: "input_text.list_3", shows: OF_FLAT },
    Trial {
        strategy: "custom",
        id: "input_text.list_4",
        shows: List { things: OF_VILLA.things, shop: "market or bakery", bags: 4 },
    },
];

/// Plays the act.
pub(super) async fn play(scene: &Scene) -> Result<(), Failure> {
    let Scene { street, story } = scene;
    let mark = Instant::now();
    prepare(scene).await?;
    story.tell("lists", mark, format!("villa writes four lists, each {BEFORE}, which flat may edit,\nand gives each a strategy of its own"))?;
    cut(scene).await?;
    apart(scene).await?;
    heal(scene).await?;
    for trial in &TRIALS {
        let mark = Instant::now();
        let told = trial.settled(street.villa(), street.flat()).await?;
        story.tell(trial.strategy, mark, told)?;
    }
    Ok(())
}

/// Writes the note, shares it if need be, and waits until the flat has it.
pub(super) async fn write_note(scene: &Scene, text: &str) -> Result<(), Failure> {
    let (villa, flat) = (scene.street.villa(), scene.street.flat());
    villa.set(NOTE, &json!({"state": text})).await?;
    opening::share(villa, flat, &[(NOTE, Right::Edit)]).await?;
    shows(flat, NOTE_THERE, text).await
}

/// Gives each list its strategy and its first content, and waits until the flat has both.
async fn prepare(scene: &Scene) -> Result<(), Failure> {
    let (villa, flat) = (scene.street.villa(), scene.street.flat());
    for Trial { strategy, id, .. } in &TRIALS {
        let template = (*strategy == "custom").then_some(TEMPLATE);
        let rule = json!({"strategy": strategy, "match": id, "template": template});
        let _: StrategyView = villa.client().send(Method::PUT, "/strategy", &rule).await?;
        villa.set(id, &BEFORE.update()).await?;
        opening::share(villa, flat, &[(id, Right::Edit)]).await?;
        shown_as(flat, &there(id), BEFORE).await?;
    }
    Ok(())
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

/// Changes each list on both sides while neither hears of the other.
async fn apart(scene: &Scene) -> Result<(), Failure> {
    let Scene { street, story } = scene;
    let mark = Instant::now();
    for Trial { id, .. } in &TRIALS {
        street.villa().set(id, &OF_VILLA.update()).await?;
    }
    tokio::time::sleep(A_MOMENT).await;
    for Trial { id, .. } in &TRIALS {
        street.flat().set(&there(id), &OF_FLAT.update()).await?;
    }
    story.tell("apart", mark, format!("apart, villa makes each {OF_VILLA},\nthen flat makes it {OF_FLAT}"))
}

impl Trial {
    /// Waits until both homes show what the strategy makes of it, and tells what that is, what lost and where that is on record.
    async fn settled(&self, villa: &Home, flat: &Home) -> Result<String, Failure> {
        let here = shown_as(villa, self.id, self.shows).await?;
        let over_there = shown_as(flat, &there(self.id), self.shows).await?;
        let open = self.strategy == "user-choice";
        if (here.conflict, over_there.conflict) != (open, open) {
            return Err(Failure::Story(format!("{} awaits a choice, or does not: {here:?}", self.id)));
        }
        let mut text = format!("{}: villa and flat show {}", self.strategy, self.shows);
        match self.strategy {
            "user-choice" => text += &self.chosen(villa, flat).await?,
            "custom" => {
                text += &format!(",\nwhich villa, whose list it is, wrote by this template:\n{TEMPLATE}")
            }
            _ => text += &format!(";\nlost: {}", self.lost(villa).await?),
        }
        let records = [recorded(villa, self.id).await?, recorded(flat, self.id).await?];
        Ok(text + &on_record(&records))
    }

    /// Lets a person at the flat take the villa's version, and waits until both homes follow.
    async fn chosen(&self, villa: &Home, flat: &Home) -> Result<String, Failure> {
        let open = recorded(flat, self.id).await?;
        let choice = json!({"token": open.token, "take": "villa"});
        let path = format!("/conflicts/{}/resolve", part(&open.id));
        let _: Value = flat.client().send(Method::POST, &path, &choice).await?;
        for (home, id) in [(villa, self.id.to_owned()), (flat, there(self.id))] {
            let view = shown_as(home, &id, OF_VILLA).await?;
            if view.conflict {
                return Err(Failure::Story(format!("{} still awaits a choice at {}", self.id, home.name())));
            }
        }
        Ok(format!(
            " for the time being and ask for a choice;\na person at flat takes villa's: both show {OF_VILLA}"
        ))
    }

    /// Returns what somebody had changed and the strategy does not show.
    async fn lost(&self, home: &Home) -> Result<String, Failure> {
        let record = recorded(home, self.id).await?;
        let lost = record.versions.iter().map(|version| {
            let list = Value::Object(fields(version));
            let (before, shows) = (BEFORE.fields(), self.shows.fields());
            let all = ["state", "shop", "bags"].into_iter();
            let gone = all.filter(|key| list[key] != before[key] && list[key] != shows[key]);
            let gone: Vec<_> = gone.map(|key| format!("{key} {}", list[key])).collect();
            (version.home.clone(), gone.join(", "))
        });
        let lost: Vec<_> = lost.filter(|(_, gone)| !gone.is_empty()).collect();
        Ok(lost.iter().map(|(home, gone)| format!("{home}'s {gone}")).collect::<Vec<_>>().join("; "))
    }
}

/// Says where a conflict is found.
fn on_record(records: &[ConflictView; 2]) -> String {
    let outcome = records[0].outcome.as_deref().unwrap_or("settled");
    format!(
        "\non record in both homes ({outcome}): crosshome conflicts show {} at villa, {} at flat",
        records[0].id, records[1].id
    )
}

/// Waits until a home has a list's conflict on record with what both had written, and returns it.
async fn recorded(home: &Home, id: &str) -> Result<ConflictView, Failure> {
    until(&format!("the conflict over {id} on record at {}", home.name()), async || {
        let list: ConflictList = home.client().get("/conflicts?all=true").await?;
        let both = |conflict: &ConflictView| {
            let has = |list: List| {
                conflict.versions.iter().any(|version| Value::Object(fields(version)) == list.fields())
            };
            has(OF_VILLA) && has(OF_FLAT)
        };
        let of_list = |conflict: &ConflictView| conflict.entity_id.ends_with(id) && both(conflict);
        Ok(list.conflicts.into_iter().find(of_list))
    })
    .await
}

/// Waits until a home shows a list like that.
async fn shown_as(home: &Home, id: &str, list: List) -> Result<EntityView, Failure> {
    until(&format!("{id} as {list} at {}", home.name()), async || {
        let view = shown(home, id).await?;
        let same =
            view.state.as_deref() == Some(list.things) && read(view.attributes.get()) == list.attributes();
        Ok(same.then_some(view))
    })
    .await
}

fn fields(version: &VersionView) -> serde_json::Map<String, Value> {
    let mut all = read(version.attributes.get()).as_object().cloned().unwrap_or_default();
    all.insert("state".into(), json!(version.state));
    all
}

fn read(attributes: &str) -> Value {
    serde_json::from_str(attributes).unwrap_or_default()
}

/// Returns what the flat calls an entity of the villa.
fn there(id: &str) -> String {
    format!("villa/{id}")
}

impl List {
    fn attributes(self) -> Value {
        json!({"shop": self.shop, "bags": self.bags})
    }

    fn update(self) -> Value {
        json!({"state": self.things, "attributes": self.attributes()})
    }

    fn fields(self) -> Value {
        json!({"state": self.things, "shop": self.shop, "bags": self.bags})
    }
}

impl std::fmt::Display for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { things, shop, bags } = self;
        write!(f, "\"{things}\" ({shop}, {bags} {})", if *bags == 1 { "bag" } else { "bags" })
    }
}
