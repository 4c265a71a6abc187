//! What the loop tells its observers: numbered notices, built only while somebody listens.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::broadcast;

use crate::{
    defaults::NOTICES_KEPT,
    views::{ConflictView, EntityView, FallbackView, HomeView, PairingNews, PeerView},
};

/// Something that happened, with its place in the order.
#[derive(Debug)]
pub struct Notice {
    /// Rises by one from notice to notice, from 1 at start.
    pub number: u64,
    /// What happened.
    pub news: News,
}

/// What can happen.
#[derive(Debug)]
#[non_exhaustive]
pub enum News {
    /// An entity has this value now, own or received.
    Entity(EntityView),
    /// An entity was deleted, unshared or revoked.
    EntityGone {
        /// Name of its home.
        home: String,
        /// Its id there.
        entity_id: String,
    },
    /// A peer's link changed.
    Peer(PeerView),
    /// A peer was unpaired.
    PeerGone(HomeView),
    /// A conflict was found, grew, or is settled now, as its status tells.
    Conflict(Box<ConflictView>),
    /// A custom strategy failed, and latest-wins settled the conflict.
    Fallback(FallbackView),
    /// A code on show got somewhere.
    Pairing(PairingNews),
}

/// The loop's end of the notices.
#[derive(Debug)]
pub struct Notices {
    sender: broadcast::Sender<Arc<Notice>>,
    head: Arc<AtomicU64>,
}

impl Default for Notices {
    fn default() -> Self {
        Self { sender: broadcast::channel(NOTICES_KEPT).0, head: Arc::default() }
    }
}

impl Notices {
    // One owner and `&mut`: numbers rise by one and are sent in order.
    /// Tells everyone who listens; `news` is not made when nobody does, but its number is taken.
    pub fn tell(&mut self, news: impl FnOnce() -> News) {
        let number = self.head() + 1;
        self.head.store(number, Ordering::Release);
        if self.sender.receiver_count() > 0 {
            // The last listener may leave in between; then nobody misses it.
            let _ = self.sender.send(Arc::new(Notice { number, news: news() }));
        }
    }

    /// Tells whether somebody listens.
    pub fn is_heard(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    /// Takes the number of something that nobody hears.
    pub fn skip(&mut self) {
        self.head.fetch_add(1, Ordering::AcqRel);
    }

    /// Returns the number of the newest notice.
    pub fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    pub(super) fn observers(&self) -> Observers {
        Observers { sender: self.sender.downgrade(), head: Arc::clone(&self.head) }
    }
}

/// The callers' end of the notices; it keeps no loop alive.
#[derive(Debug, Clone)]
pub(super) struct Observers {
    sender: broadcast::WeakSender<Arc<Notice>>,
    head: Arc<AtomicU64>,
}

impl Observers {
    pub(super) fn subscribe(&self) -> Option<broadcast::Receiver<Arc<Notice>>> {
        self.sender.upgrade().map(|sender| sender.subscribe())
    }

    pub(super) fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }
}
