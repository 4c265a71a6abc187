//! What the loop tells its observers: numbered notices, built only while somebody listens.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::{
    defaults::NOTICES_KEPT,
    views::{ConflictView, EntityView, HomeView, PairingNews, PeerView},
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
    /// A conflict was found, or a settled one changed.
    Conflict(ConflictView),
    /// A conflict no longer awaits anybody.
    Settled {
        /// Its id.
        conflict: String,
    },
    /// A code on show got somewhere.
    Pairing(PairingNews),
}

/// The loop's end of the notices.
#[derive(Debug)]
pub struct Notices {
    sender: broadcast::Sender<Arc<Notice>>,
    head: u64,
}

impl Default for Notices {
    fn default() -> Self {
        Self { sender: broadcast::channel(NOTICES_KEPT).0, head: 0 }
    }
}

impl Notices {
    /// Tells everyone who listens; `news` is not made when nobody does, but its number is taken.
    pub fn tell(&mut self, news: impl FnOnce() -> News) {
        self.head += 1;
        if self.sender.receiver_count() > 0 {
            // The last listener may leave in between; then nobody misses it.
            let _ = self.sender.send(Arc::new(Notice { number: self.head, news: news() }));
        }
    }

    /// Returns the number of the newest notice.
    pub fn head(&self) -> u64 {
        self.head
    }

    pub(super) fn downgrade(&self) -> broadcast::WeakSender<Arc<Notice>> {
        self.sender.downgrade()
    }
}
