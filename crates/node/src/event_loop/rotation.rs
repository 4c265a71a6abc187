//! Changing keys: this home's, and those of peers.
//!
//! The successor is stated by a text that both keys have signed, over live links of the old key. A peer
//! that has stored it says the text back; when all have, this home switches over and every link is made
//! anew. A home that cannot be told now could not be reached afterwards, so all must be online.

use std::collections::BTreeSet;

use crosshome_core::{
    HomeId,
    effect::{Durability, Effect},
    wire::Reason,
};

use super::Loop;
use crate::{
    channel::Endpoint,
    discovery::Announcement,
    identity::{Identity, Rotation},
    node::{NodeError, Reply},
    store::PeerRow,
    views::{HomeView, KeyView},
};

/// A change of this home's key that peers have not all stored yet.
pub(super) struct Rotating {
    statement: Rotation,
    awaited: BTreeSet<HomeId>,
    reply: Reply<KeyView>,
}

impl Loop {
    /// Tells peers of a new key; the answer comes when all have stored it and this home uses it.
    pub(super) fn rotate_key(&mut self, reply: Reply<KeyView>) {
        match self.state_successor() {
            Ok((statement, awaited)) => {
                self.rotating = Some(Rotating { statement, awaited, reply });
                self.switch_when_told();
            }
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    fn state_successor(&mut self) -> Result<(Rotation, BTreeSet<HomeId>), NodeError> {
        if self.rotating.as_ref().is_some_and(|rotating| !rotating.reply.is_closed()) {
            return Err(NodeError::Busy("the key is being replaced already".into()));
        }
        let offline: Vec<_> =
            self.peers.paired().filter(|(_, peer)| !peer.online()).map(|(_, peer)| peer.name()).collect();
        if !offline.is_empty() {
            let names = offline.join(", ");
            return Err(NodeError::Busy(format!(
                "{names} cannot be told of a new key now: wait until it is online, or unpair it"
            )));
        }
        let path = &self.me.config.sync.encryption.key_path;
        let rotated =
            self.endpoint.identity().rotate(path).map_err(|error| NodeError::Failed(error.to_string()))?;
        let (_, statement) = rotated;
        let mut awaited = BTreeSet::new();
        for (id, peer) in self.peers.paired_mut() {
            if let Some(link) = &mut peer.link {
                link.session.rotate(statement.to_bytes().to_vec());
                awaited.insert(id);
            }
        }
        Ok((statement, awaited))
    }

    /// Takes a statement of a peer: its new key, or that it has stored ours.
    pub(super) fn follow_rotation(&mut self, peer: HomeId, bytes: &[u8]) {
        if let Some(rotating) =
            self.rotating.as_mut().filter(|rotating| rotating.statement.to_bytes() == *bytes)
        {
            rotating.awaited.remove(&peer);
            return self.switch_when_told();
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
        self.keeper.peers_changed();
        self.keep_paired_in_sight();
        let (replica, bytes) = (&self.replica, statement.to_bytes().to_vec());
        if let Some(mut link) = peer.link.take() {
            link.session.rotate(bytes);
            link.last_words(replica);
        }
        self.reach(new.id());
        self.tell_unpaired(&HomeView { id: old.to_string(), name: self.home_name(new.id()) });
        self.tell_peer(new.id());
    }

    /// Uses the new key once every peer has stored it.
    fn switch_when_told(&mut self) {
        let Some(rotating) = self.rotating.take_if(|rotating| rotating.awaited.is_empty()) else { return };
        let path = self.me.config.sync.encryption.key_path.clone();
        match Identity::switch_over(&path) {
            Ok(identity) => {
                let old = self.me.id;
                self.become_home(identity);
                let view = KeyView { replaces: Some(old.to_string()), ..self.key_show() };
                self.answer_after(rotating.reply, Ok(view));
            }
            Err(error) => drop(rotating.reply.send(Err(NodeError::Failed(error.to_string())))),
        }
    }

    /// Goes on under another key, and so under another id.
    fn become_home(&mut self, identity: Identity) {
        let (old, new) = (self.me.id, identity.id());
        self.effects.push(Effect::Commit(Durability::Now));
        self.effects.extend(self.replica.rename(old, new));
        self.records.log.rename(old, new);
        self.me.id = new;
        let loopback_only = !self.me.config.sync.encryption.enabled;
        let endpoint = Endpoint::new(identity, self.pins.clone(), self.door.clone());
        self.endpoint = endpoint.kept_to_loopback(loopback_only);
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
