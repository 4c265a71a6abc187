//! One link: a session, the task that reads for it and the task that writes for it.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crosshome_core::{
    HomeId,
    effect::Effect,
    pairing::{Role, SharedKey},
    replica::Replica,
    session::{Round, Session},
};
use tokio::{
    sync::{
        Notify,
        mpsc::{self, error::TrySendError},
    },
    task::AbortHandle,
};

use super::{Event, doubt::Doubt};
use crate::{
    channel::{Dictionary, LinkReader, LinkWriter, Secured},
    defaults::{
        BURST, BURST_BYTES, CONGESTED_PAUSE, EXPORTER_SYNC, FAREWELL_TIME, FRAME_BYTES, HELLO_TIME, PROMPT,
        REHANDSHAKE_AFTER, SILENCE,
    },
};

/// A live connection to a peer.
pub(super) struct Link {
    pub(super) number: u64,
    pub(super) session: Session,
    pub(super) dialed: bool,
    pub(super) opened: Instant,
    pub(super) heard: Instant,
    writer: mpsc::Sender<Vec<Vec<u8>>>,
    signs: Arc<Signs>,
    pace: Option<Pace>,
    reader: AbortHandle,
    writing: AbortHandle,
    ping: Ping,
    /// Set while an answer is overdue.
    pub(super) doubt: Option<Doubt>,
}

/// What an answered ping tells.
pub(super) enum Echo {
    /// How long a round trip takes.
    After(Duration),
    /// Nothing: it was asked in a silence, and answered when that had ended.
    Late,
}

/// The last question for a sign of life.
struct Ping {
    nonce: u64,
    /// When it was asked; none once it is answered.
    asked: Option<Instant>,
    /// Whether the peer was heard at that moment, so that the way to it was open.
    open: bool,
}

impl Ping {
    /// Returns the round trip, unless the question may have waited for a way to open.
    fn round_trip(&self, answered: Instant) -> Option<Duration> {
        let took = answered.saturating_duration_since(self.asked?);
        (self.open || took <= PROMPT).then_some(took)
    }
}

/// What the loop and a link's tasks tell each other.
#[derive(Default)]
struct Signs {
    /// The loop has more to write, and wants to know when there is room.
    starved: AtomicBool,
    /// How long the reader is to wait before it reads on, in milliseconds.
    pause_ms: AtomicU64,
    /// The loop has counted what was read, for a reader that must keep a rate.
    counted: Notify,
}

/// How fast a peer may send updates, when the configuration sets a rate.
struct Pace {
    per_s: NonZeroU32,
    /// When what has come would have come at that rate.
    due: Instant,
}

impl Drop for Link {
    fn drop(&mut self) {
        // The writer ends by itself when its channel closes, after what it has is written.
        self.reader.abort();
    }
}

impl Link {
    /// Lets a session speak over a secured channel, at most at a rate.
    pub(super) fn new(
        number: u64,
        (peer, session): (HomeId, Session),
        secured: Secured,
        dialed: bool,
        per_s: Option<NonZeroU32>,
        post: &mpsc::Sender<Event>,
    ) -> Self {
        let (reader, writer) = secured.into_link(Some(Dictionary::shipped()));
        let (sender, bursts) = mpsc::channel(1);
        let (signs, now) = (Arc::<Signs>::default(), Instant::now());
        let name = Name { peer, link: number, post: post.clone() };
        let reading = tokio::spawn(read(reader, signs.clone(), name.clone(), per_s.is_some()));
        let writing = tokio::spawn(write(writer, bursts, signs.clone(), name));
        Self {
            number,
            session,
            dialed,
            opened: now,
            heard: now,
            writer: sender,
            signs,
            pace: per_s.map(|per_s| Pace { per_s, due: now }),
            reader: reading.abort_handle(),
            writing: writing.abort_handle(),
            ping: Ping { nonce: number << 32, asked: None, open: false }, // no other link of this start has the same nonces
            doubt: None,
        }
    }

    /// Asks the peer for a sign of life, and returns the nonce.
    pub(super) fn ping(&mut self, replica: &Replica, now_ms: u64) -> u64 {
        self.ping = Ping { nonce: self.ping.nonce + 1, asked: Some(Instant::now()), open: false };
        self.session.beat(replica, self.ping.nonce, now_ms);
        self.ping.nonce
    }

    /// The same of a peer that was heard just now: so the time until it answers is that of the way.
    pub(super) fn measure(&mut self, replica: &Replica, now_ms: u64) -> u64 {
        let nonce = self.ping(replica, now_ms);
        self.ping.open = true;
        nonce
    }

    /// Tells whether an effect is the answer to the last ping.
    pub(super) fn is_answer(&self, effect: &Effect) -> bool {
        matches!(effect, Effect::Echo { nonce, .. } if *nonce == self.ping.nonce)
    }

    /// Tells whether the peer has something to answer: a ping, or changes that it has not confirmed.
    pub(super) fn owes_answer(&self, replica: &Replica) -> bool {
        self.ping.asked.is_some() || self.session.lag(replica) > 0
    }

    /// Takes note that the ping with this nonce is answered, unless a later one is under way.
    pub(super) fn echo(&mut self, nonce: u64) -> Option<Echo> {
        if self.ping.nonce != nonce {
            return None;
        }
        let round_trip = self.ping.round_trip(self.heard);
        self.ping.asked.take().map(|_| round_trip.map_or(Echo::Late, Echo::After))
    }

    /// Slows the peer down if it has sent more updates than its rate allows: what is not read waits at the peer.
    pub(super) fn count(&mut self, updates: u32) {
        let Some(pace) = &mut self.pace else { return };
        let now = Instant::now();
        pace.due = pace.due.max(now) + Duration::from_secs(1) * updates / pace.per_s.get();
        // a second's worth may come at once
        let pause = pace.due.saturating_duration_since(now).saturating_sub(Duration::from_secs(1));
        self.signs.pause_ms.store(pause.as_millis() as u64, Ordering::Relaxed);
        self.signs.counted.notify_one();
    }

    /// Reads on later if the peer does not read what it has asked for.
    pub(super) fn wait_if_congested(&self) {
        if self.session.is_congested() {
            self.signs.pause_ms.fetch_max(CONGESTED_PAUSE.as_millis() as u64, Ordering::Relaxed);
        }
    }

    /// Hands bursts to the writer while it takes them; an error means that it has ended.
    pub(super) fn pump(&mut self, round: &mut Round<'_>) -> Result<(), Ended> {
        loop {
            let permit = match self.writer.try_reserve() {
                Ok(permit) => permit,
                Err(TrySendError::Closed(())) => return Err(Ended),
                Err(TrySendError::Full(())) if self.signs.starved.swap(true, Ordering::SeqCst) => {
                    return Ok(());
                }
                Err(TrySendError::Full(())) => continue, // it may have taken its burst before it saw the sign
            };
            let burst = burst(&mut self.session, round);
            if burst.is_empty() {
                return Ok(());
            }
            permit.send(burst);
        }
    }

    /// Hands over what the session still has to say, and lets it leave when the link is dropped.
    pub(super) fn last_words(&mut self, replica: &Replica) {
        let words = self.words(replica);
        self.leave_with(words);
    }

    /// Returns what the session still has to say.
    pub(super) fn words(&mut self, replica: &Replica) -> Vec<Vec<u8>> {
        burst(&mut self.session, &mut Round::alone(replica))
    }

    /// Says this, and lets it leave when the link is dropped.
    pub(super) fn leave_with(&self, words: Vec<Vec<u8>>) {
        let writer = self.writer.clone();
        tokio::spawn(async move {
            let _ = tokio::time::timeout(FAREWELL_TIME, writer.send(words)).await;
        });
    }

    /// Returns the task that ends when everything is written.
    pub(super) fn writing(&self) -> AbortHandle {
        self.writing.clone()
    }

    /// Tells whether the peer has been silent for too long.
    pub(super) fn is_dead(&self) -> bool {
        let patience = if self.session.greeting().is_some() { SILENCE } else { HELLO_TIME };
        self.heard.elapsed() > patience
    }

    /// Tells whether this side made the link so long ago that its keys should be fresh again.
    pub(super) fn is_stale(&self) -> bool {
        self.dialed && self.opened.elapsed() >= REHANDSHAKE_AFTER
    }
}

/// A link's writer has ended.
pub(super) struct Ended;

/// Takes from a session what it has to say, up to a burst.
fn burst(session: &mut Session, round: &mut Round<'_>) -> Vec<Vec<u8>> {
    let (mut burst, mut bytes) = (Vec::new(), 0);
    while bytes < BURST_BYTES {
        let Some(frame) = session.offer_in(round) else { break };
        bytes += frame.len();
        burst.push(frame);
    }
    burst
}

/// Returns what this home says and what the peer would say to prove the shared key.
pub(super) fn proofs(key: &SharedKey, secured: &Secured, dialed: bool) -> Option<([u8; 32], [u8; 32])> {
    let exporter = secured.exporter(EXPORTER_SYNC).ok()?;
    let ours = if dialed { Role::Typing } else { Role::Showing };
    Some((key.prove(&exporter, ours), key.prove(&exporter, ours.other())))
}

/// By which the loop knows a link's tasks.
#[derive(Clone)]
struct Name {
    peer: HomeId,
    link: u64,
    post: mpsc::Sender<Event>,
}

async fn read(mut reader: LinkReader, signs: Arc<Signs>, name: Name, paced: bool) {
    let Name { peer, link, post } = name;
    let mut most = 1; // the hello, or the proof ahead of it, is short; what follows need not be
    loop {
        let event = match reader.recv(most).await {
            Ok(frames) => Event::Received { peer, link, frames },
            Err(error) => Event::Lost { peer, link, reason: error.to_string() },
        };
        let last = matches!(event, Event::Lost { .. });
        if post.send(event).await.is_err() || last {
            return;
        }
        reader.set_limit(FRAME_BYTES);
        // Of who may send only so much a second no more is read than the pause after it makes up for.
        most = if paced { 1 } else { BURST };
        if paced {
            signs.counted.notified().await;
        }
        let pause_ms = signs.pause_ms.swap(0, Ordering::Relaxed);
        if pause_ms > 0 {
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
    }
}

async fn write(
    mut writer: LinkWriter,
    mut bursts: mpsc::Receiver<Vec<Vec<u8>>>,
    signs: Arc<Signs>,
    name: Name,
) {
    let Name { peer, link, post } = name;
    while let Some(burst) = bursts.recv().await {
        if signs.starved.swap(false, Ordering::SeqCst) {
            let _ = post.send(Event::Room).await;
        }
        if let Err(error) = writer.send(&burst).await {
            let _ = post.send(Event::Lost { peer, link, reason: error.to_string() }).await;
            return;
        }
    }
    writer.close().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_is_taken_from_a_prompt_answer_or_from_a_way_that_was_open() {
        let asked = Instant::now();
        let took = |open, time| Ping { nonce: 1, asked: Some(asked), open }.round_trip(asked + time);
        let (fast, slow) = (Duration::from_millis(2), Duration::from_secs(3));
        assert_eq!((took(false, fast), took(false, slow)), (Some(fast), None));
        assert_eq!(took(true, slow), Some(slow), "a way by satellite is slow and open");
        assert_eq!(Ping { nonce: 1, asked: None, open: true }.round_trip(asked), None);
    }
}
