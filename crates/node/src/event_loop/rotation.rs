//! Changing keys: this home's, and those of peers.
//!
//! The successor is stated by a text that both keys have signed, over live links of the old key. A peer
//! that has stored it says the text back; when all have, this home switches over and every link is made
//! anew. A home that cannot be told now could not be reached afterwards, so all must be online to begin.
//!
//! What has begun goes on: the successor's file stays until the switch, and with it every start and every new link
//! says the text again. A peer whose answer was lost expects the new key already and admits no other, so this home
//! knocks with the new key too; who admits it has heard. A crash between switching the key and renaming what is
//! stored is made good by the next start, which finds the data of the key before ([`rename_stored`]).

use std::{collections::BTreeSet, mem};

use crosshome_core::{
    HomeId,
    effect::{Durability, Effect},
    replica::Replica,
    wire::Reason,
};

use super::{ConflictLog, Loop};
use crate::{
    channel::Endpoint,
    discovery::Announcement,
    identity::{Identity, Rotation},
    node::{NodeError, Reply},
    store::{Batch, EntityRow, PeerRow},
    views::{Finding, HomeView, KeyView, Level},
};

/// A change of this home's key that peers have not all stored yet.
pub(super) struct Rotating {
    statement: Rotation,
    /// This home as it will be.
    next: Endpoint,
    /// The peers that have stored it.
    told: BTreeSet<HomeId>,
    /// Who waits for it; nobody after a restart.
    reply: Option<Reply<KeyView>>,
}

impl Loop {
    /// Tells peers of a new key; the answer comes when all have stored it and this home uses it.
    pub(super) fn rotate_key(&mut self, reply: Reply<KeyView>) {
        if let Err(error) = self.check_rotation().and_then(|()| self.state_successor()) {
            return drop(reply.send(Err(error)));
        }
        if let Some(rotating) = &mut self.rotating {
            rotating.reply = Some(reply);
        }
        self.peers.ids().into_iter().for_each(|id| self.say_successor(id));
        self.switch_when_told();
    }

    /// Goes on with a change of key that was cut off by the end of the last run.
    pub(super) fn resume_rotation(&mut self) {
        match self.endpoint.identity().successor(&self.me.config.sync.encryption.key_path) {
            Ok(None) => {}
            Ok(Some(_)) => {
                tracing::info!("the change of this home's key goes on");
                if let Err(error) = self.state_successor() {
                    tracing::error!(%error, "the change of this home's key does not go on");
                }
                self.switch_when_told();
            }
            Err(error) => tracing::error!(%error, "the change of this home's key does not go on"),
        }
    }

    fn check_rotation(&self) -> Result<(), NodeError> {
        if self.rotating.as_ref().and_then(|rotating| rotating.reply.as_ref()).is_some_and(|r| !r.is_closed())
        {
            return Err(NodeError::Busy("the key is being replaced already".into()));
        }
        let told = |id| self.rotating.as_ref().is_some_and(|rotating| rotating.told.contains(&id));
        let offline = self.peers.paired().filter(|(id, peer)| !peer.online() && !told(*id));
        match &offline.map(|(_, peer)| peer.name()).collect::<Vec<_>>()[..] {
            [] => Ok(()),
            names => Err(NodeError::Busy(format!(
                "{} cannot be told of a new key now: wait until it is online, or unpair it",
                names.join(", ")
            ))),
        }
    }

    fn state_successor(&mut self) -> Result<(), NodeError> {
        if self.rotating.is_some() {
            return Ok(());
        }
        let path = &self.me.config.sync.encryption.key_path;
        let rotated = self.endpoint.identity().rotate(path);
        let (identity, statement) = rotated.map_err(|error| NodeError::Failed(error.to_string()))?;
        let next = self.endpoint_of(identity);
        self.rotating = Some(Rotating { statement, next, told: BTreeSet::new(), reply: None });
        Ok(())
    }

    /// Tells a peer of a new key that it may not have heard of.
    pub(super) fn say_successor(&mut self, id: HomeId) {
        let Some(rotating) = self.rotating.as_ref().filter(|rotating| !rotating.told.contains(&id)) else {
            return;
        };
        let statement = rotating.statement.to_bytes().to_vec();
        if let Some(link) = self.peers.get_mut(id).and_then(|peer| peer.link.as_mut()) {
            link.session.rotate(statement);
        }
    }

    /// Returns this home as a peer knows it that has heard of the new key, while this home does not know whether it has.
    pub(super) fn as_it_will_be(&self, peer: HomeId) -> Option<Endpoint> {
        self.rotating
            .as_ref()
            .filter(|rotating| !rotating.told.contains(&peer))
            .map(|rotating| rotating.next.clone())
    }

    /// Takes note that a peer has stored the new key.
    pub(super) fn has_followed(&mut self, peer: HomeId) {
        if let Some(rotating) = &mut self.rotating {
            rotating.told.insert(peer);
        }
        self.switch_when_told();
    }

    /// Follows what peers have stated since the last turn: before the commit, so that it is stored with it.
    pub(super) fn follow_rotations(&mut self) {
        let nothing = || Effect::Commit(Durability::Now);
        let stated = self.effects.iter_mut().filter_map(|effect| match effect {
            Effect::Rotated { .. } => Some(mem::replace(effect, nothing())),
            _ => None,
        });
        for effect in stated.collect::<Vec<_>>() {
            let Effect::Rotated { peer, statement } = effect else { continue };
            self.follow_rotation(peer, &statement);
        }
    }

    /// Takes a statement of a peer: its new key, or that it has stored ours.
    fn follow_rotation(&mut self, peer: HomeId, bytes: &[u8]) {
        if self.rotating.as_ref().is_some_and(|rotating| rotating.statement.to_bytes() == *bytes) {
            return self.has_followed(peer);
        }
        match Rotation::verify(bytes) {
            Ok(statement) if statement.old_key().id() == peer => self.rename_peer(peer, &statement),
            Ok(_) => {
                tracing::warn!(peer = %peer.short(), "a peer stated the successor of another home's key")
            }
            Err(error) => {
                tracing::warn!(peer = %peer.short(), %error, "a peer stated a successor that is not its own")
            }
        }
    }

    /// Gives a peer its new id and key, says its statement back, and lets it come again.
    fn rename_peer(&mut self, old: HomeId, statement: &Rotation) {
        let new = statement.new_key();
        if self.peers.rows().any(|row| row.id == new.id()) || self.pins.is_denied(&new.id()) {
            return tracing::error!(peer = %old.short(), "a peer stated a successor that is known as another home");
        }
        let Some(mut peer) = self.peers.remove(old) else { return };
        self.pins.insert(new);
        self.pins.deny(old);
        let row = PeerRow { id: new.id(), spki: new.spki(), ..peer.row.clone() };
        tracing::info!(peer = %old.short(), successor = %new.id().short(), "a peer has a new key");
        self.effects.push(Effect::Commit(Durability::Now));
        self.effects.extend(self.replica.rename(old, new.id()));
        self.records.log.rename(old, new.id());
        self.peers.insert(row);
        self.keeper.forget_cursor(old);
        self.forget_commands(old);
        self.keeper.peers_changed();
        self.keep_paired_in_sight();
        if let Some(mut link) = peer.link.take() {
            link.session.rotate(statement.to_bytes().to_vec());
            let words = link.words(&self.replica);
            // said only once it is stored: who hears it gives up the old key
            self.answers.push(Box::new(move |committed| {
                if committed.is_ok() {
                    link.leave_with(words);
                }
            }));
        }
        self.reach(new.id());
        self.tell_unpaired(&HomeView { id: old.to_string(), name: self.home_name(new.id()) });
        self.tell_peer(new.id());
    }

    /// Uses the new key once every peer has stored it.
    pub(super) fn switch_when_told(&mut self) {
        let ids = self.peers.ids();
        let all_told = |rotating: &mut Rotating| ids.iter().all(|id| rotating.told.contains(id));
        let Some(rotating) = self.rotating.take_if(all_told) else { return };
        let path = self.me.config.sync.encryption.key_path.clone();
        let view = Identity::switch_over(&path).map(|identity| {
            let old = self.me.id;
            self.become_home(identity);
            KeyView { replaces: Some(old.to_string()), ..self.key_show() }
        });
        if let Err(error) = &view {
            tracing::error!(%error, "this home keeps its key");
        }
        if let Some(reply) = rotating.reply {
            self.answer_after(reply, view.map_err(|error| NodeError::Failed(error.to_string())));
        }
    }

    /// Tells the doctor of peers that have not heard of a new key.
    pub(super) fn rotation_finding(&self) -> Option<Finding> {
        let rotating = self.rotating.as_ref()?;
        let untold = self.peers.paired().filter(|(id, _)| !rotating.told.contains(id));
        let names: Vec<_> = untold.map(|(_, peer)| peer.name()).collect();
        Some(Finding {
            level: Level::Warning,
            what: format!("this home's key is being replaced, and not confirmed yet by {}", names.join(", ")),
            remedy: Some(
                "let these homes come online, or unpair them: the new key is used once all know it".into(),
            ),
        })
    }

    fn endpoint_of(&self, identity: Identity) -> Endpoint {
        let loopback_only = !self.me.config.sync.encryption.enabled;
        Endpoint::new(identity, self.pins.clone(), self.door.clone()).kept_to_loopback(loopback_only)
    }

    /// Goes on under another key, and so under another id.
    fn become_home(&mut self, identity: Identity) {
        let (old, new) = (self.me.id, identity.id());
        self.effects.push(Effect::Commit(Durability::Now));
        self.effects.extend(self.replica.rename(old, new));
        self.records.log.rename(old, new);
        self.me.id = new;
        self.endpoint = self.endpoint_of(identity);
        if let Some(listener) = &self.listener {
            listener.answer_as(self.endpoint.clone());
        }
        self.desk.become_home(new);
        for id in self.peers.ids() {
            self.drop_link(id, Reason::Stopping);
            self.reach(id);
        }
        if let (Some(discovery), Some(port)) = (self.discovery.clone(), self.me.sync_port) {
            let announcement = Announcement::new(new.to_string(), &*self.me.name, port);
            tokio::spawn(async move {
                if let Err(error) = discovery.publish(announcement).await {
                    tracing::warn!(%error, "the new key is not announced");
                }
            });
        }
        tracing::info!(old = %old.short(), new = %new.short(), "this home has a new key");
    }
}

/// Gives what was stored under the key before the new one's id, and returns all that has to be stored of it.
pub(crate) fn rename_stored(
    replica: &mut Replica,
    conflicts: &mut ConflictLog,
    old: HomeId,
    new: HomeId,
) -> Batch {
    let before = replica.table().head();
    let effects = replica.rename(old, new);
    conflicts.rename(old, new);
    let removed = effects.iter().filter_map(|effect| match effect {
        Effect::Removed(key, birth) | Effect::Forgotten(key, birth) => Some((*birth, key.clone())),
        _ => None,
    });
    tracing::info!(old = %old.short(), new = %new.short(), "the change of this home's key is finished");
    Batch {
        removed: removed.collect(),
        entities: replica.table().since(before).map(|(_, entity)| EntityRow::of(entity)).collect(),
        grants: Some(replica.grants.iter().cloned().collect()),
        memos: conflicts.take_memos(),
        ..Batch::default()
    }
}
