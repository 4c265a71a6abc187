//! `entity watch`: present values, then every change, across restarts of the home.

use std::{collections::HashMap, time::Duration};

use crosshome_node::views::{EntityView, Stamp};
use serde::{Deserialize, Serialize};

use super::entity::{state, wanted};
use crate::{
    client::Client,
    events::{Event, Events},
    failure::Failure,
    output::Screen,
    text::{moment, plain},
};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// Prints values until somebody stops it.
pub(super) async fn run(glob: Option<&str>, client: &Client, screen: &Screen) -> Result<(), Failure> {
    let mut watch = Watch { glob, screen, printed: HashMap::new() };
    let mut events = Events::open(client, true, None).await?;
    loop {
        let lost = watch.print(&mut events).await;
        if !gone(&lost) {
            return Err(lost);
        }
        screen.note(&format!("{lost}; waiting for the home to come back"));
        events = reopen(client, events.last()).await?;
        screen.note("the home is back");
    }
}

/// Tells whether waiting may help.
fn gone(failure: &Failure) -> bool {
    matches!(failure, Failure::BrokeOff(_) | Failure::NotRunning(_) | Failure::NoAnswer { .. })
}

async fn reopen(client: &Client, last: Option<&str>) -> Result<Events, Failure> {
    let mut pause = FIRST_PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        match Events::open(client, true, last).await {
            Err(failure) if gone(&failure) => pause = (pause * 2).min(LAST_PAUSE),
            opened => return opened,
        }
    }
}

struct Watch<'a> {
    glob: Option<&'a str>,
    screen: &'a Screen,
    // What was printed last of each entity: after a restart all values come again, and the same ones are no news.
    printed: HashMap<(String, String), String>,
}

/// An entity that is no longer there.
#[derive(Debug, Serialize, Deserialize)]
struct Gone {
    entity_id: String,
    home: String,
    #[serde(default)]
    gone: bool,
}

impl Watch<'_> {
    /// Prints events until they end, and returns why they did.
    async fn print(&mut self, events: &mut Events) -> Failure {
        loop {
            let printed = match events.next().await {
                Ok(event) => self.event(&event),
                Err(failure) => return failure,
            };
            if let Err(failure) = printed {
                return failure;
            }
        }
    }

    fn event(&mut self, event: &Event) -> Result<(), Failure> {
        let garbled = |error: serde_json::Error| Failure::Garbled(error.to_string());
        match event.name.as_str() {
            "entity" => self.entity(&event.data, serde_json::from_str(&event.data).map_err(garbled)?),
            "entity_gone" => self.gone(serde_json::from_str(&event.data).map_err(garbled)?),
            _ => Ok(()),
        }
    }

    fn entity(&mut self, data: &str, view: EntityView) -> Result<(), Failure> {
        let key = (view.home.clone(), view.entity_id.clone());
        if !wanted(self.glob, &view) || self.printed.get(&key).is_some_and(|printed| printed == data) {
            return Ok(());
        }
        self.printed.insert(key, data.to_owned());
        self.screen.show(&view, text)
    }

    fn gone(&mut self, gone: Gone) -> Result<(), Failure> {
        let key = (gone.home.clone(), gone.entity_id.clone());
        // Only what was printed fits the glob, and only that is missed.
        if self.printed.remove(&key).is_none() {
            return Ok(());
        }
        let gone = Gone { gone: true, ..gone };
        self.screen.show(&gone, |gone| {
            format!("{}  {}/{}  gone", moment(Some(Stamp::now())), plain(&gone.home), plain(&gone.entity_id))
        })
    }
}

fn text(view: &EntityView) -> String {
    let (at, attributes) = (moment(Some(view.last_updated)), plain(view.attributes.get()));
    format!("{at}  {}/{}  {}  {attributes}", plain(&view.home), plain(&view.entity_id), state(view))
}
