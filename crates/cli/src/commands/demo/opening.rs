//! The first act: homes start, see each other, pair with a code, and the villa shares three entities.

use std::time::Instant;

use crosshome_node::views::{HomeSeen, LinkState, PairedReply, PairingNews, Right, ShownCode, Status};
use hyper::Method;
use serde_json::json;

use super::{
    Scene,
    home::{Cable, Home},
    story::Place,
    wait::until,
};
use crate::{events::Events, failure::Failure};

/// What the villa shares with everybody, and what they may do.
pub(super) const SHARED: [(&str, Right); 3] = [
    ("light.living_room", Right::Control),
    ("climate.living_room", Right::Control),
    ("sensor.garden_temperature", Right::Read),
];

/// Homes that start at one time: discovery takes eight strangers from one address, and these all have the same.
const BATCH: usize = 6;

/// Plays the act.
pub(super) async fn play(scene: &Scene) -> Result<(), Failure> {
    let Scene { street, story } = scene;
    let (villa, flat) = (street.villa(), street.flat());
    let mark = Instant::now();
    let places = start(scene, &[villa, flat]).await?;
    story.tell("run", mark, running(&places))?;

    let mark = Instant::now();
    see(villa, flat).await?;
    see(flat, villa).await?;
    story.tell("discover", mark, "villa and flat see each other on the network (mDNS)".into())?;

    let mark = Instant::now();
    let (code, words) = pair(villa, flat).await?;
    story.tell("pair", mark, format!("flat shows {code}, villa types it: paired\nboth show {words}"))?;

    let mark = Instant::now();
    share(villa, flat, &SHARED).await?;
    let ids = SHARED.map(|(id, right)| format!("{id} ({})", word(right)));
    story.tell("share", mark, format!("villa shares three entities, flat sees them:\n{}", ids.join("\n")))?;

    let mut homes = 2;
    let others: Vec<_> = street.others().iter().collect();
    for batch in others.chunks(BATCH) {
        let mark = Instant::now();
        start(scene, batch).await?;
        for home in batch {
            see(villa, home).await?;
            pair(villa, home).await?;
            share(villa, home, &SHARED).await?;
        }
        homes += batch.len();
        let names: Vec<_> = batch.iter().map(|home| home.name()).collect();
        story.tell("join", mark, format!("{} joined in the same way: {homes} homes", names.join(", ")))?;
    }
    Ok(())
}

async fn start(scene: &Scene, homes: &[&Home]) -> Result<Vec<Place>, Failure> {
    for home in homes {
        home.start(Cable::In).await?;
    }
    let mut places = Vec::new();
    for home in homes {
        let Status { home: view, api, .. } = home.ready().await?;
        let data_dir = home.dir().display().to_string();
        let place = Place { id: view.id, name: view.name, api, data_dir };
        scene.story.place(place.clone());
        places.push(place);
    }
    Ok(places)
}

fn running(places: &[Place]) -> String {
    let mut text = "villa and flat run, each a process with its own key and store".to_owned();
    for Place { name, api, data_dir, .. } in places {
        text += &format!(
            "
{name:5}  {}  --data-dir {data_dir}",
            api.as_deref().unwrap_or_default()
        );
    }
    text
}

async fn see(home: &Home, other: &Home) -> Result<(), Failure> {
    until(&format!("{} seeing {}", home.name(), other.name()), async || {
        let seen: Vec<HomeSeen> = home.client().get("/discovery/homes").await?;
        Ok(seen.iter().any(|seen| seen.name == other.name()).then_some(()))
    })
    .await
}

/// Pairs as two people would, and compares what both screens show; returns the code and the words.
async fn pair(typing: &Home, showing: &Home) -> Result<(String, String), Failure> {
    let mut events = Events::open(showing.client(), false, None).await?;
    let ShownCode { code, .. } = showing.client().order(Method::POST, "/pairing/show").await?;
    let typed = json!({"code": code, "with": showing.name()});
    let PairedReply { paired } = typing.client().send(Method::POST, "/pairing/accept", &typed).await?;
    let there = loop {
        let event = events.next().await?;
        if event.name == "pairing" {
            match serde_json::from_str(&event.data).map_err(|error| Failure::Garbled(error.to_string()))? {
                PairingNews::Paired(paired) => break paired,
                PairingNews::Failed { reason, .. } | PairingNews::Ended { reason } => {
                    return Err(Failure::PairingEnded(reason));
                }
            }
        }
    };
    if there.words != paired.words {
        return Err(Failure::Story(format!("one home shows {}, the other {}", there.words, paired.words)));
    }
    linked(typing, showing).await?;
    linked(showing, typing).await?;
    Ok((code, paired.words))
}

/// Waits until a home has a live link to another.
pub(super) async fn linked(home: &Home, other: &Home) -> Result<(), Failure> {
    until(&format!("a link from {} to {}", home.name(), other.name()), async || {
        let peer = home.peer(other.name()).await?;
        Ok(peer.filter(|peer| peer.state == LinkState::Online).map(|_| ()))
    })
    .await
}

/// Shares, and waits until it has arrived.
pub(super) async fn share(owner: &Home, guest: &Home, entities: &[(&str, Right)]) -> Result<(), Failure> {
    for (id, right) in entities {
        owner.share(id, *right, guest).await?;
    }
    for (id, _) in entities {
        let there = format!("{}/{id}", owner.name());
        until(&format!("{id} at {}", guest.name()), async || guest.entity(&there).await).await?;
    }
    Ok(())
}

fn word(right: Right) -> &'static str {
    match right {
        Right::Read => "to see",
        Right::Control => "to steer",
        Right::Edit => "to edit",
    }
}
