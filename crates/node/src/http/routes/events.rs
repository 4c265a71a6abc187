//! `GET /sharing/events`: what happens, as server-sent events.

use std::{collections::VecDeque, convert::Infallible, vec};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName},
    response::{
        IntoResponse, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    defaults::EVENTS_ALIVE,
    http::{
        App,
        events::Events,
        extract::Params,
        problem::Problem,
        ring::{Line, Next, json},
    },
    node::Node,
    views::EntityView,
};

const BATCH: usize = 64;
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

#[derive(Deserialize, utoipa::IntoParams)]
pub(crate) struct Wish {
    /// Send present values first, and again after a `reset`.
    #[serde(default)]
    present: bool,
}

/// Streams events `entity`, `entity_gone`, `peer`, `peer_gone`, `conflict`, `fallback`, `pairing`; data as elsewhere.
///
/// A client that comes back with Last-Event-ID gets what it missed, or a `reset` when that is gone.
/// With `present=true` present values come first as `entity` events, ended by one `present`.
#[utoipa::path(get, path = "/api/v1/sharing/events", tag = "events", params(Wish),
    responses((status = 200, content_type = "text/event-stream", body = String)))]
pub(crate) async fn events(
    State(app): State<App>,
    Params(wish): Params<Wish>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let client = Client::new(&app, wish.present, &headers)?;
    Ok(Sse::new(client.events()).keep_alive(KeepAlive::new().interval(EVENTS_ALIVE)))
}

struct Client {
    node: Node,
    events: Events,
    written: watch::Receiver<()>,
    stop: CancellationToken,
    present: bool,
    place: Option<u64>,
    waiting: VecDeque<Event>,
    // Present values still to be sent, and where to go on after them.
    values: Option<(vec::IntoIter<EntityView>, u64)>,
}

impl Client {
    fn new(app: &App, present: bool, headers: &HeaderMap) -> Result<Self, Problem> {
        let written = app.events.listen()?;
        let mut client = Self {
            node: app.node.clone(),
            events: app.events.clone(),
            written,
            stop: app.stop.clone(),
            present,
            place: None,
            waiting: VecDeque::new(),
            values: None,
        };
        match headers.get(LAST_EVENT_ID) {
            Some(last) => {
                let id = last.to_str().ok().and_then(|last| last.parse().ok());
                client.place = id.and_then(|id| client.events.ring(|ring| ring.place(id)));
                if client.place.is_none() {
                    client.waiting.push_back(reset());
                }
            }
            None if present => {}
            None => client.start_at(client.events.ring(|ring| ring.head())),
        }
        Ok(client)
    }

    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut client| async move { Some((Ok(client.next().await?), client)) })
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.values.is_some() {
                return self.value();
            }
            match self.place {
                None => self.start().await?,
                Some(place) => self.read(place).await?,
            }
        }
    }

    /// Begins anew, with present values if they are wanted.
    async fn start(&mut self) -> Option<()> {
        if !self.present {
            self.start_at(self.events.ring(|ring| ring.head()));
            return Some(());
        }
        let watch = self.node.watch().await.ok()?;
        self.values = Some((watch.present.into_iter(), watch.head));
        Some(())
    }

    /// Tells the client its place at once, so that it can resume even if nothing happens.
    fn start_at(&mut self, head: u64) {
        self.place = Some(head);
        self.waiting.push_back(Event::default().id(self.id(head)));
    }

    fn value(&mut self) -> Option<Event> {
        let (values, head) = self.values.as_mut()?;
        if let Some(entity) = values.next() {
            // Without an id: a client cut off in between must get them all again.
            return Some(Event::default().event("entity").data(json(&entity)));
        }
        let head = *head;
        (self.values, self.place) = (None, Some(head));
        Some(Event::default().id(self.id(head)).event("present").data("{}"))
    }

    async fn read(&mut self, place: u64) -> Option<()> {
        self.written.mark_unchanged();
        match self.events.ring(|ring| ring.after(place, BATCH)) {
            Next::End => return None,
            Next::Gap => {
                self.place = None;
                self.waiting.push_back(reset());
            }
            Next::Lines(lines) if lines.is_empty() => tokio::select! {
                changed = self.written.changed() => changed.ok()?,
                () = self.stop.cancelled() => return None,
            },
            Next::Lines(lines) => {
                self.place = lines.last().map(|line| line.number);
                let events: Vec<_> = lines.iter().map(|line| self.event(line)).collect();
                self.waiting.extend(events);
            }
        }
        Some(())
    }

    fn event(&self, line: &Line) -> Event {
        Event::default().id(self.id(line.number)).event(line.name).data(&*line.data)
    }

    fn id(&self, number: u64) -> String {
        self.events.ring(|ring| ring.id(number)).to_string()
    }
}

fn reset() -> Event {
    Event::default().event("reset").data("{}")
}
