//! Links that have fallen silent: is the network to blame, and is it back?
//!
//! The system sends what was lost again and again, but waits twice as long each time: a link that lived through an
//! outage may be deaf for as long again as the outage was. So while an answer is overdue, this home knocks at the
//! peer's door. A door that could not be reached and then can be means that the network was interrupted and is
//! back, and the link is made anew at once. A door that answers all the while belongs to a home that is merely busy,
//! or lets this one wait on purpose; its link stays.

use std::time::{Duration, Instant};

use crosshome_core::HomeId;
use tokio::{sync::mpsc, task::AbortHandle};

use super::{Event, Loop, now_ms};
use crate::{
    channel::Endpoint,
    defaults::{ANSWER_TIME, KNOCK_EVERY, PROMPT},
};

/// The task that watches the way to a peer whose answer is overdue.
pub(super) struct Doubt(AbortHandle);

impl Drop for Doubt {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Loop {
    /// Starts to doubt links whose peers owe an answer, and ends it with any sign of life; called about once a second.
    pub(super) fn doubt_silent_links(&mut self) {
        let now = now_ms();
        for (id, peer) in self.peers.paired_mut() {
            let addresses = peer.addresses();
            let Some(link) = &mut peer.link else { continue };
            if link.heard.elapsed() < ANSWER_TIME || !link.owes_answer(&self.replica) {
                link.doubt = None;
            } else if link.doubt.is_none() {
                self.commands.pings(id, link.ping(&self.replica, now));
                let watch = watch(self.endpoint.clone(), addresses, id, link.number, self.post.clone());
                link.doubt = Some(Doubt(tokio::spawn(watch).abort_handle()));
            }
        }
    }

    /// Makes a link anew after an interruption of the network that it did not notice.
    pub(super) fn network_is_back(&mut self, id: HomeId, number: u64) {
        let doubted = |link: &super::link::Link| link.number == number && link.doubt.is_some();
        if self.peers.get(id).and_then(|peer| peer.link.as_ref()).is_some_and(doubted) {
            self.link_down(id, number, "the network was interrupted".into());
            self.reach_after(id, Duration::ZERO);
        }
    }
}

/// Knocks until a door that was out of reach is within it.
async fn watch(
    endpoint: Endpoint,
    addresses: Vec<String>,
    peer: HomeId,
    link: u64,
    post: mpsc::Sender<Event>,
) {
    let mut interrupted = false;
    for address in addresses.iter().cycle() {
        let begun = Instant::now();
        let reached = endpoint.knock(address).await;
        // Whoever was reached late was reached by a repeated packet, the first of which was lost.
        if reached && (interrupted || begun.elapsed() > PROMPT) {
            let _ = post.send(Event::NetworkBack { peer, link }).await;
            return;
        }
        interrupted = !reached;
        tokio::time::sleep(KNOCK_EVERY.saturating_sub(begun.elapsed())).await;
    }
}
