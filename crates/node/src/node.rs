//! The one way to a running home: what people, bridges, the HTTP API and Python call.
//!
//! A [`Node`] is cheap to clone. Each method sends one [`Request`] to the loop, which alone owns the
//! replica, and waits for its answer; [`Node::subscribe`] hears what happens. The other ends of both
//! channels are an [`Inbox`], which the loop holds. When the loop is gone every method answers
//! [`NodeError::Stopped`].
//!
//! All methods are cancel safe in this sense: a dropped call either never reached the loop, or is
//! carried out whole and only its answer is lost.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use crosshome_node::node::{Node, NodeError};
//! let (node, inbox) = Node::open();
//! drop(inbox);
//! assert!(matches!(node.status().await, Err(NodeError::Stopped)));
//! # }
//! ```

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crosshome_core::{EntityId, HomeId};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::{
    backup::BackupStream,
    defaults::REQUESTS_WAITING,
    views::{
        CallView, ConflictView, EntityView, Finding, HistoryView, HomeSeen, HomeView, Invitation, KeyView,
        LocalPeer, PairedView, PeerView, RegistryEntity, SharePlan, ShownCode, Status, StrategyView,
    },
};

mod error;
mod notice;
mod request;

pub use error::{Code, NodeError};
pub use notice::{News, Notice, Notices};
pub use request::{
    Audience, Call, Cause, Command, EntityRef, EntityRefError, Register, RegisterChange, Reply, Report,
    Request, Resolution, Secret, Selection, Settle, ShareRequest, StrategyRequest, UnshareRequest, Update,
    Watch,
};

/// A running home, for its callers.
#[derive(Debug, Clone)]
pub struct Node {
    requests: mpsc::Sender<Request>,
    observers: notice::Observers,
}

/// The loop's ends of the channels of a [`Node`].
#[derive(Debug)]
pub struct Inbox {
    /// What callers ask; ends when the last [`Node`] is dropped.
    pub requests: mpsc::Receiver<Request>,
    /// Where the loop tells what happened.
    pub notices: Notices,
}

impl Node {
    /// Makes the two ends: one for callers, one for the loop.
    pub fn open() -> (Self, Inbox) {
        let (sender, requests) = mpsc::channel(REQUESTS_WAITING);
        let notices = Notices::default();
        (Self { requests: sender, observers: notices.observers() }, Inbox { requests, notices })
    }

    /// Hears everything from now on; an observer that falls far behind is told how much it missed.
    ///
    /// # Errors
    /// [`NodeError::Stopped`]. So do all methods below; they name only what is special to them.
    pub fn subscribe(&self) -> Result<broadcast::Receiver<Arc<Notice>>, NodeError> {
        self.observers.subscribe().ok_or(NodeError::Stopped)
    }

    /// Returns the number of the newest notice.
    pub fn head(&self) -> u64 {
        self.observers.head()
    }

    /// Returns all entities and the number of the last notice they contain: subscribe first, then
    /// skip notices up to that number, and nothing is missed or seen twice.
    pub async fn watch(&self) -> Result<Watch, NodeError> {
        self.ask(|reply| Request::Watch { reply }).await
    }

    /// Returns how this home is doing.
    pub async fn status(&self) -> Result<Status, NodeError> {
        self.ask(|reply| Request::Status { reply }).await
    }

    /// Answers once the home takes updates and keeps them.
    ///
    /// # Errors
    /// [`NodeError::StorageFull`], [`NodeError::Failed`].
    pub async fn ready(&self) -> Result<(), NodeError> {
        self.ask(|reply| Request::Ready { reply }).await
    }

    /// Returns all metrics in the OpenMetrics text format.
    pub async fn metrics(&self) -> Result<String, NodeError> {
        self.ask(|reply| Request::Metrics { reply }).await
    }

    /// Returns what the doctor found, healthy things included.
    pub async fn doctor(&self) -> Result<Vec<Finding>, NodeError> {
        self.ask(|reply| Request::Doctor { reply }).await
    }

    /// Returns paired homes with their links.
    pub async fn homes(&self) -> Result<Vec<PeerView>, NodeError> {
        self.ask(|reply| Request::Homes { reply }).await
    }

    /// Looks around for `wait` and returns homes known or seen; at once when `wait` is zero.
    pub async fn discovered(&self, wait: Duration) -> Result<Vec<HomeSeen>, NodeError> {
        self.ask(|reply| Request::Discovered { wait, reply }).await
    }

    /// Returns what this home announces about itself.
    pub async fn local_peer(&self) -> Result<LocalPeer, NodeError> {
        self.ask(|reply| Request::LocalPeer { reply }).await
    }

    /// Returns this home's public key and id.
    pub async fn key_show(&self) -> Result<KeyView, NodeError> {
        self.ask(|reply| Request::KeyShow { reply }).await
    }

    /// Replaces this home's key and tells connected peers so, signed by both keys.
    pub async fn rotate_key(&self) -> Result<KeyView, NodeError> {
        self.ask(|reply| Request::RotateKey { reply }).await
    }

    /// Makes a backup of this home as it is now, encrypted with a passphrase.
    ///
    /// # Errors
    /// [`NodeError::Invalid`] for a short passphrase, [`NodeError::Busy`] while another backup is being made,
    /// [`NodeError::StorageFull`] when there is no room for a copy of the store.
    pub async fn backup(&self, passphrase: Secret) -> Result<BackupStream, NodeError> {
        self.ask(|reply| Request::Backup { passphrase, reply }).await
    }
}

/// Entities.
impl Node {
    /// Returns entities: own ones first, then joint, then received.
    pub async fn entities(&self, selection: Selection) -> Result<Vec<EntityView>, NodeError> {
        self.ask(|reply| Request::Entities { selection, reply }).await
    }

    /// Returns one entity.
    ///
    /// # Errors
    /// [`NodeError::NotFound`], [`NodeError::Ambiguous`].
    pub async fn entity(&self, entity: EntityRef) -> Result<EntityView, NodeError> {
        self.ask(|reply| Request::Entity { entity, reply }).await
    }

    /// Updates an entity, or sends the wanted values to the home whose device it is; creates a
    /// document when nobody has it. What is answered is kept, or for a command has its outcome
    /// (with `update.wait`) or its [`Pending`](crate::views::Pending) intent.
    ///
    /// # Errors
    /// [`NodeError::NotAllowed`], [`NodeError::Ambiguous`], [`NodeError::Invalid`],
    /// [`NodeError::ConflictOpen`], [`NodeError::Unreachable`], [`NodeError::TimedOut`],
    /// [`NodeError::Refused`], [`NodeError::StorageFull`].
    pub async fn update_entity(&self, entity: EntityRef, update: Update) -> Result<EntityView, NodeError> {
        self.ask(|reply| Request::UpdateEntity { entity, update, reply }).await
    }

    /// Calls a service of the home that owns the entity.
    ///
    /// # Errors
    /// As [`Node::update_entity`], and [`NodeError::NotFound`].
    pub async fn call(&self, entity: EntityRef, call: Call) -> Result<CallView, NodeError> {
        self.ask(|reply| Request::Call { entity, call, reply }).await
    }

    /// Returns what an entity was, newest first.
    ///
    /// # Errors
    /// [`NodeError::NotFound`], [`NodeError::Ambiguous`].
    pub async fn history(&self, entity: EntityRef) -> Result<HistoryView, NodeError> {
        self.ask(|reply| Request::History { entity, reply }).await
    }

    /// Returns conflicts, newest first; with `all` the settled ones too.
    pub async fn conflicts(&self, all: bool) -> Result<Vec<ConflictView>, NodeError> {
        self.ask(|reply| Request::Conflicts { all, reply }).await
    }

    /// Returns one conflict, by its id or by the entity that is in conflict.
    ///
    /// # Errors
    /// [`NodeError::NotFound`].
    pub async fn conflict(&self, id: String) -> Result<ConflictView, NodeError> {
        self.ask(|reply| Request::Conflict { id, reply }).await
    }

    /// Returns what settles conflicts, in this home's own space and in the joint one.
    ///
    /// # Errors
    /// Only that the home is stopping.
    pub async fn strategy(&self) -> Result<StrategyView, NodeError> {
        self.ask(|reply| Request::Strategy { reply }).await
    }

    /// Chooses what settles the conflicts of some entities, in both spaces.
    ///
    /// # Errors
    /// [`NodeError::Invalid`] for a pattern or template that is none, and for too many rules.
    pub async fn set_strategy(&self, strategy: StrategyRequest) -> Result<StrategyView, NodeError> {
        self.ask(|reply| Request::SetStrategy { strategy, reply }).await
    }

    /// Goes back to what is configured: for one pattern, or altogether.
    ///
    /// # Errors
    /// [`NodeError::StorageFull`] and what else keeps the home from storing it.
    pub async fn reset_strategy(&self, pattern: Option<String>) -> Result<StrategyView, NodeError> {
        self.ask(|reply| Request::ResetStrategy { pattern, reply }).await
    }

    /// Settles a conflict, or overrules the strategy that has settled it, and returns it as it is then.
    ///
    /// # Errors
    /// [`NodeError::Stale`] when the token is not that of the versions there are now, [`NodeError::NotFound`],
    /// [`NodeError::NotAllowed`], [`NodeError::Invalid`], [`NodeError::StorageFull`].
    pub async fn resolve(&self, resolution: Resolution) -> Result<ConflictView, NodeError> {
        self.ask(|reply| Request::Resolve { resolution, reply }).await
    }
}

/// Bridges to the house.
impl Node {
    /// Takes in what the house reports, in one step and in this order.
    ///
    /// # Errors
    /// [`NodeError::Invalid`] for values beyond the bounds; what stood before them is taken in.
    pub async fn report(&self, reports: Vec<Report>) -> Result<(), NodeError> {
        self.ask(|reply| Request::Report { reports, reply }).await
    }

    /// Becomes the bridge that carries out what peers want of this home's devices, in the place of the one before.
    pub async fn attach(&self) -> Result<mpsc::Receiver<Command>, NodeError> {
        self.ask(|reply| Request::Attach { reply }).await
    }
}

/// The registry and grants.
impl Node {
    /// Returns every registered entity of this home.
    pub async fn registry(&self) -> Result<Vec<RegistryEntity>, NodeError> {
        self.ask(|reply| Request::Registry { reply }).await
    }

    /// Returns one registered entity.
    ///
    /// # Errors
    /// [`NodeError::NotFound`].
    pub async fn registered(&self, entity_id: String) -> Result<RegistryEntity, NodeError> {
        self.ask(|reply| Request::Registered { entity_id, reply }).await
    }

    /// Puts an entity of this home into the registry, or changes what is there.
    ///
    /// # Errors
    /// [`NodeError::Invalid`], [`NodeError::StorageFull`].
    pub async fn register(&self, register: Register) -> Result<RegistryEntity, NodeError> {
        self.ask(|reply| Request::Register { register, reply }).await
    }

    /// Changes a registered entity.
    ///
    /// # Errors
    /// [`NodeError::NotFound`], [`NodeError::Invalid`], [`NodeError::StorageFull`].
    pub async fn change_registered(
        &self,
        entity_id: String,
        change: RegisterChange,
    ) -> Result<RegistryEntity, NodeError> {
        self.ask(|reply| Request::ChangeRegistered { entity_id, change, reply }).await
    }

    /// Takes an entity out of the registry and deletes it for everyone who saw it.
    ///
    /// # Errors
    /// [`NodeError::NotFound`], [`NodeError::StorageFull`].
    pub async fn unregister(&self, entity_id: String) -> Result<(), NodeError> {
        self.ask(|reply| Request::Unregister { entity_id, reply }).await
    }

    /// Grants a right, or tells what that would do.
    ///
    /// # Errors
    /// [`NodeError::NotFound`] for an unknown home or an exact id that this home has not;
    /// [`NodeError::Invalid`] for a malformed pattern.
    pub async fn share(&self, share: ShareRequest) -> Result<SharePlan, NodeError> {
        self.ask(|reply| Request::Share { share, reply }).await
    }

    /// Takes grants back, or tells what that would do.
    ///
    /// # Errors
    /// As [`Node::share`].
    pub async fn unshare(&self, unshare: UnshareRequest) -> Result<SharePlan, NodeError> {
        self.ask(|reply| Request::Unshare { unshare, reply }).await
    }
}

/// Links.
impl Node {
    /// Connects to a home by name, id or unique prefix, at this address first, and returns it once it is online.
    ///
    /// A stranger, at the address or in sight, is paired first if both have the same shared key.
    ///
    /// # Errors
    /// [`NodeError::NotFound`] for a stranger that is not in sight when no address is given, [`NodeError::Unreachable`],
    /// [`NodeError::WrongCode`] for one with another shared key, [`NodeError::NotPaired`], [`NodeError::Ambiguous`],
    /// [`NodeError::PairingClosed`], [`NodeError::Invalid`].
    pub async fn connect(&self, home: String, address: Option<String>) -> Result<PeerView, NodeError> {
        let met = self.meet(&home, &address, false).await?;
        match self.reach(met.id, &address).await {
            // Another home has taken the place of the one known by this name.
            Err(NodeError::NotPaired { .. }) if address.is_some() => {
                let met = self.meet(&home, &address, true).await?;
                self.reach(met.id, &address).await
            }
            reached => reached,
        }
    }

    /// Reaches for every home that is paired, or in sight and of the same shared key, and for those that come
    /// into sight later; it lifts what [`Node::disconnect`] has said.
    pub async fn connect_all(&self) -> Result<(), NodeError> {
        self.ask(|reply| Request::ReachAll { reply }).await
    }

    /// Ends the link to a home: none is made, either way, until this home is to connect again.
    ///
    /// # Errors
    /// [`NodeError::NotFound`], [`NodeError::Ambiguous`].
    pub async fn disconnect(&self, home: String) -> Result<HomeView, NodeError> {
        self.ask(|reply| Request::Part { home, reply }).await
    }

    /// Answers once every peer that is online holds what this home held when it was asked, and the other way round.
    ///
    /// # Errors
    /// [`NodeError::Unreachable`] when a peer goes away before, [`NodeError::TimedOut`].
    pub async fn synced(&self) -> Result<(), NodeError> {
        self.ask(|reply| Request::Same { reply }).await
    }

    /// Gives an entity another audience, or none: it is this home's alone then.
    ///
    /// It blocks while the loop is behind, and may not be called on an asynchronous runtime's thread. What is asked after
    /// it finds it done.
    ///
    /// # Errors
    /// [`NodeError::Stopped`].
    pub fn set_audience(&self, entity_id: EntityId, audience: Option<Audience>) -> Result<(), NodeError> {
        let request = Request::Audience { entity_id, audience };
        self.requests.blocking_send(request).map_err(|_| NodeError::Stopped)
    }

    /// Puts these audiences in the place of all; otherwise as [`Node::set_audience`].
    ///
    /// # Errors
    /// [`NodeError::Stopped`].
    pub fn set_audiences(&self, all: BTreeMap<EntityId, Audience>) -> Result<(), NodeError> {
        self.requests.blocking_send(Request::Audiences { all }).map_err(|_| NodeError::Stopped)
    }

    async fn meet(&self, home: &str, address: &Option<String>, anew: bool) -> Result<HomeView, NodeError> {
        let request = |reply| Request::Meet { home: home.into(), address: address.clone(), anew, reply };
        let met = self.ask(request).await?;
        let begins = |text: &str| text.to_lowercase().starts_with(&home.to_lowercase());
        match address {
            Some(address)
                if !begins(&met.name) && !begins(&met.id) && met.id.parse() != home.parse::<HomeId>() =>
            {
                let reason = format!("{} answers at {address}", met.name);
                Err(NodeError::Unreachable { home: home.into(), reason })
            }
            _ => Ok(met),
        }
    }

    async fn reach(&self, id: String, address: &Option<String>) -> Result<PeerView, NodeError> {
        self.ask(|reply| Request::Reach { id, address: address.clone(), reply }).await
    }
}

/// Pairing.
impl Node {
    /// Opens the pairing window and shows a code; [`News::Pairing`] tells what becomes of it.
    ///
    /// # Errors
    /// [`NodeError::Busy`] while another window is open.
    pub async fn pair_show(&self) -> Result<ShownCode, NodeError> {
        self.ask(|reply| Request::PairShow { reply }).await
    }

    /// Types the code that another home shows; without `with` every home seen is tried that has a window open.
    ///
    /// # Errors
    /// [`NodeError::BadCode`], [`NodeError::WrongCode`], [`NodeError::PairingClosed`],
    /// [`NodeError::Unreachable`], [`NodeError::TimedOut`], [`NodeError::Ambiguous`].
    pub async fn pair_accept(&self, code: Secret, with: Option<String>) -> Result<PairedView, NodeError> {
        self.ask(|reply| Request::PairAccept { code, with, reply }).await
    }

    /// Closes the pairing window; harmless when none is open.
    pub async fn pair_cancel(&self) -> Result<(), NodeError> {
        self.ask(|reply| Request::PairCancel { reply }).await
    }

    /// Makes a link that pairs whoever has it, once.
    ///
    /// # Errors
    /// [`NodeError::Busy`] while a window is open.
    pub async fn invite(&self) -> Result<Invitation, NodeError> {
        self.ask(|reply| Request::Invite { reply }).await
    }

    /// Pairs by another home's link.
    ///
    /// # Errors
    /// As [`Node::pair_accept`], and [`NodeError::Invalid`] for a damaged link.
    pub async fn accept_link(&self, link: Secret) -> Result<PairedView, NodeError> {
        self.ask(|reply| Request::AcceptLink { link, reply }).await
    }

    /// Forgets a peer: its key goes on the deny list, its links close, its entities leave.
    ///
    /// # Errors
    /// [`NodeError::NotFound`], [`NodeError::Ambiguous`].
    pub async fn unpair(&self, home: String) -> Result<HomeView, NodeError> {
        self.ask(|reply| Request::Unpair { home, reply }).await
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, NodeError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| NodeError::Stopped)?;
        answer.await.unwrap_or(Err(NodeError::Stopped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answer_dropped_by_the_loop_reads_as_stopped() {
        let (node, mut inbox) = Node::open();
        let looped = tokio::spawn(async move { drop(inbox.requests.recv().await) });
        assert!(matches!(node.pair_cancel().await, Err(NodeError::Stopped)));
        looped.await.expect("it only drops");
    }

    #[tokio::test]
    async fn observer_hears_what_is_told_after_it_subscribed() {
        let (node, mut inbox) = Node::open();
        inbox.notices.tell(|| unreachable!("nobody listens yet"));
        let mut heard = node.subscribe().expect("open");
        inbox.notices.tell(|| News::EntityGone { home: "villa".into(), entity_id: "light.hall".into() });
        let notice = heard.recv().await.expect("told");
        assert_eq!(notice.number, 2);
        assert_eq!(inbox.notices.head(), 2);
    }
}
