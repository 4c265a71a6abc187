//! Notices as numbered events that a client can come back to.
//!
//! While anybody listens, and a while after, one task writes notices into a ring. Each client reads the
//! ring from its own place, so a slow client costs no memory and a reconnect with `Last-Event-ID` is
//! nothing special. A client whose place is gone is told so by a `reset` and starts anew.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        watch,
    },
    time::Instant,
};

use super::ring::Ring;
use crate::{
    defaults::EVENTS_GRACE,
    node::{Node, NodeError, Notice},
};

/// The events of this home, for any number of clients.
#[derive(Debug, Clone)]
pub(super) struct Events {
    node: Node,
    // Guards the ring and whether a task fills it; held for a push or a read of one batch.
    shared: Arc<Mutex<Shared>>,
    // Its receivers are the clients, its value says nothing.
    written: Arc<watch::Sender<()>>,
}

#[derive(Debug)]
struct Shared {
    ring: Ring,
    filling: bool,
}

impl Events {
    /// Nothing is kept until the first client comes.
    pub(super) fn new(node: Node, boot: u32) -> Self {
        let shared = Shared { ring: Ring::new(boot), filling: false };
        Self { node, shared: Arc::new(Mutex::new(shared)), written: Arc::new(watch::Sender::new(())) }
    }

    /// Makes sure that events are written from now on; holds until the receiver is dropped.
    ///
    /// # Errors
    /// [`NodeError::Stopped`].
    pub(super) fn listen(&self) -> Result<watch::Receiver<()>, NodeError> {
        let mut shared = self.lock();
        // Before the check, so that a task about to end sees this client and goes on.
        let client = self.written.subscribe();
        if !shared.filling {
            let heard = self.node.subscribe()?;
            shared.ring.restart(self.node.head());
            shared.filling = true;
            tokio::spawn(self.clone().fill(heard));
        }
        Ok(client)
    }

    /// Reads the ring.
    pub(super) fn ring<T>(&self, read: impl FnOnce(&Ring) -> T) -> T {
        read(&self.lock().ring)
    }

    async fn fill(self, mut heard: broadcast::Receiver<Arc<Notice>>) {
        let mut listened = Instant::now();
        loop {
            match tokio::time::timeout(EVENTS_GRACE, heard.recv()).await {
                Ok(Ok(notice)) => self.lock().ring.push(&notice),
                // The ring sees the gap in the numbers and forgets what was before.
                Ok(Err(RecvError::Lagged(_))) | Err(_) => {}
                Ok(Err(RecvError::Closed)) => return self.close(),
            }
            self.written.send_replace(());
            if self.written.receiver_count() > 0 {
                listened = Instant::now();
            } else if listened.elapsed() >= EVENTS_GRACE && self.rest() {
                return;
            }
        }
    }

    fn rest(&self) -> bool {
        let mut shared = self.lock();
        shared.filling = self.written.receiver_count() > 0;
        !shared.filling
    }

    fn close(&self) {
        self.lock().ring.close();
        self.written.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        http::ring::Next,
        node::{Inbox, News},
    };

    fn tell(inbox: &mut Inbox) {
        inbox.notices.tell(|| News::EntityGone { home: "villa".into(), entity_id: "light.hall".into() });
    }

    fn after(events: &Events, place: u64) -> usize {
        match events.ring(|ring| ring.after(place, 10)) {
            Next::Lines(lines) => lines.len(),
            other => panic!("{other:?}"),
        }
    }

    async fn pass(time: Duration) {
        tokio::time::sleep(time).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_happens_while_a_client_is_briefly_away_is_kept() {
        let (node, mut inbox) = Node::open();
        let events = Events::new(node, 7);
        drop(events.listen().expect("running"));
        tell(&mut inbox);
        pass(EVENTS_GRACE / 2).await;
        assert_eq!(after(&events, 0), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn news_is_not_even_made_when_nobody_has_listened_for_long() {
        let (node, mut inbox) = Node::open();
        let events = Events::new(node, 7);
        drop(events.listen().expect("running"));
        pass(EVENTS_GRACE * 3).await;
        inbox.notices.tell(|| panic!("nobody is there to hear it"));
        // The next client is not told that nothing happened: its old place is gone.
        let client = events.listen().expect("running");
        assert_eq!(events.ring(|ring| ring.after(0, 10)), Next::Gap);
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_stays_keeps_events_coming() {
        let (node, mut inbox) = Node::open();
        let events = Events::new(node, 7);
        let client = events.listen().expect("running");
        pass(EVENTS_GRACE * 3).await;
        tell(&mut inbox);
        pass(Duration::from_millis(1)).await;
        assert_eq!(after(&events, 0), 1);
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn home_that_stops_ends_the_events() {
        let (node, inbox) = Node::open();
        let events = Events::new(node, 7);
        let mut client = events.listen().expect("running");
        drop(inbox);
        client.changed().await.expect("told");
        assert_eq!(events.ring(|ring| ring.after(0, 10)), Next::End);
    }
}
