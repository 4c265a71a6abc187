//! What one home sees, kept up to date by its own event stream.

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use crosshome_node::views::{EntityView, LinkState, PeerView, Space, Stamp, Status};
use serde::Deserialize;
use tokio::{sync::mpsc, task::JoinSet, time::sleep};

use super::Scene;
use crate::events::{Event, Events};

/// Between two questions how a home is doing: round trips are measured more rarely.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Between two tries at a home that does not answer.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// News of one home of the street.
pub(super) struct News {
    pub(super) home: usize,
    pub(super) what: What,
}

/// What came.
pub(super) enum What {
    /// The stream begins; present values follow.
    Begins,
    /// An event of the stream.
    Event(Event),
    /// An answer to how it is doing.
    Status(Box<Status>),
    /// It does not answer.
    Gone,
}

/// What a home sees.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) running: bool,
    pub(super) api: String,
    pub(super) peers: Vec<PeerView>,
    /// By the home whose they are, and id.
    pub(super) entities: BTreeMap<(String, String), EntityView>,
    /// How long ago a change was made when it came here, the last time.
    pub(super) lag_ms: BTreeMap<String, i64>,
    /// Whether present values are behind us: only what comes after them tells a lag.
    present: bool,
}

#[derive(Deserialize)]
struct Gone {
    home: String,
    entity_id: String,
}

impl Seen {
    /// Takes news in.
    pub(super) fn take(&mut self, what: What, now: Stamp) {
        match what {
            What::Begins => {
                let (peers, api) = (std::mem::take(&mut self.peers), std::mem::take(&mut self.api));
                *self = Self { running: true, peers, api, ..Self::default() };
            }
            What::Gone => (self.running, self.present) = (false, false),
            What::Status(status) => (self.peers, self.api) = (status.peers, status.api.unwrap_or_default()),
            What::Event(event) => self.hear(&event, now),
        }
    }

    /// Returns the link to a home.
    pub(super) fn link(&self, name: &str) -> Option<&PeerView> {
        self.peers.iter().find(|peer| peer.name == name)
    }

    /// Returns how many links are up.
    pub(super) fn online(&self) -> usize {
        self.peers.iter().filter(|peer| peer.state == LinkState::Online).count()
    }

    fn hear(&mut self, event: &Event, now: Stamp) {
        match event.name.as_str() {
            "present" => self.present = true,
            "reset" => {
                self.entities.clear();
                self.present = false;
            }
            "entity" => {
                if let Ok(view) = serde_json::from_str::<EntityView>(&event.data) {
                    self.entity(view, now);
                }
            }
            "entity_gone" => {
                if let Ok(Gone { home, entity_id }) = serde_json::from_str(&event.data) {
                    self.entities.remove(&(home, entity_id));
                }
            }
            "peer" => {
                if let Ok(view) = serde_json::from_str::<PeerView>(&event.data) {
                    self.peers.retain(|peer| peer.id != view.id);
                    self.peers.push(view);
                }
            }
            _ => {}
        }
    }

    fn entity(&mut self, view: EntityView, now: Stamp) {
        let key = (view.home.clone(), view.entity_id.clone());
        // What is new here was shared just now, however old it is.
        let news = self.entities.get(&key).is_some_and(|known| known.last_updated != view.last_updated);
        if self.present && news && view.space == Space::Received {
            self.lag_ms.insert(view.entity_id.clone(), (now.0 - view.last_updated.0).max(0));
        }
        self.entities.insert(key, view);
    }
}

/// Watches the first homes of the street.
pub(super) fn watch(scene: &Rc<Scene>, homes: usize, news: &mpsc::Sender<News>) -> JoinSet<()> {
    let mut watching = JoinSet::new();
    for home in 0..homes {
        watching.spawn_local(follow(scene.clone(), home, news.clone()));
        watching.spawn_local(ask(scene.clone(), home, news.clone()));
    }
    watching
}

async fn follow(scene: Rc<Scene>, home: usize, news: mpsc::Sender<News>) {
    let client = scene.street.homes()[home].client();
    // A closed channel means that nobody draws any more.
    while !news.is_closed() {
        if let Ok(mut events) = Events::open(client, true, None).await {
            let _ = news.send(News { home, what: What::Begins }).await;
            while let Ok(event) = events.next().await {
                let _ = news.send(News { home, what: What::Event(event) }).await;
            }
        }
        let _ = news.send(News { home, what: What::Gone }).await;
        sleep(TRY_AGAIN).await;
    }
}

async fn ask(scene: Rc<Scene>, home: usize, news: mpsc::Sender<News>) {
    while !news.is_closed() {
        if let Ok(status) = scene.street.homes()[home].status().await {
            let _ = news.send(News { home, what: What::Status(Box::new(status)) }).await;
        }
        sleep(ASK_AGAIN).await;
    }
}
