//! Reaching peers: one by name, or whoever is there.

use std::time::Duration;

use crosshome_node::{
    node::{Node, NodeError},
    views::LinkState,
};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// Between two looks for a home that is not in sight yet.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Where a home is to be found.
pub(super) struct Place {
    /// Its name, its id or a prefix of one.
    pub(super) home: String,
    /// Where it is said to be.
    pub(super) address: Option<String>,
    /// Where it is tried when it is neither known nor in sight.
    pub(super) fallback: String,
}

/// Connects to one home, and looks out for it for as long as that may take.
pub(super) async fn one(node: Node, place: Place, within: Duration) -> Result<(), NodeError> {
    let Place { home, address, fallback } = place;
    let seconds = within.as_secs();
    let reached = timeout(within, async {
        if address.is_some() {
            return node.connect(home.clone(), address).await;
        }
        let mut unseen = node.connect(home.clone(), None).await;
        if let Err(NodeError::NotFound { .. }) = unseen
            && let Ok(peer) = node.connect(home.clone(), Some(fallback)).await
        {
            return Ok(peer);
        }
        while let Err(NodeError::NotFound { .. }) = unseen {
            sleep(LOOK_AGAIN).await;
            unseen = node.connect(home.clone(), None).await;
        }
        unseen
    });
    match reached.await {
        Ok(reached) => reached.map(drop),
        Err(_) => Err(NodeError::TimedOut { what: format!("reaching {home}"), seconds }),
    }
}

/// Reaches for every home, and tells whether one is online once all that are known have answered or failed.
pub(super) async fn all(node: Node, within: Duration) -> Result<bool, NodeError> {
    let until = Instant::now() + within;
    let mut notices = node.subscribe()?;
    node.connect_all().await?;
    loop {
        let homes = node.homes().await?;
        let online = homes.iter().any(|home| home.state == LinkState::Online);
        let underway = homes.iter().any(|home| home.state == LinkState::Connecting && home.reason.is_none());
        if online && !underway {
            return Ok(true);
        }
        if timeout_at(until, notices.recv()).await.is_err() {
            return Ok(online);
        }
    }
}
