//! What the loop shows of entities and tells observers.

use std::fmt::Write as _;

use crosshome_core::{
    EntityKey, HomeId, Space,
    groups::STATE,
    hlc::Hlc,
    intent::Wish,
    json,
    table::{Class, Entity, Number},
    version::Version,
    view::View,
};
use serde_json::value::RawValue;

use super::{Loop, entities::by, names::JOINT};
use crate::{
    node::News,
    views::{self, EntityView, HomeView, PairingNews, Stamp, VersionView},
};

impl Loop {
    /// Returns what is shown of an entity, unless it is deleted.
    pub(super) fn entity_view(&self, entity: &Entity) -> Option<EntityView> {
        let view = entity.view()?;
        let (state, attributes) = fields_over(&view, &self.wishes(&entity.key));
        let changed =
            view.groups().find(|group| group.key() == "state").map_or(view.dot.hlc, |group| group.dot.hlc);
        let (space, shared_with) = match entity.key.space {
            Space::Home(home) if home == self.me.id => (views::Space::Own, self.shared_with(entity)),
            Space::Home(_) => (views::Space::Received, Vec::new()),
            Space::Joint => (views::Space::Joint, self.members()),
        };
        Some(EntityView {
            entity_id: entity.key.id.to_string(),
            home: self.space_name(entity.key.space),
            space,
            class: match entity.class {
                Class::Device => views::Class::Device,
                Class::Document => views::Class::Document,
            },
            state,
            attributes,
            last_changed: stamp(changed),
            last_updated: stamp(view.dot.hlc),
            updated_by: self.home_name(view.dot.actor.home),
            shared_with,
            conflict: view.open,
            pending: self.pending(&entity.key),
        })
    }

    /// Returns the names of the peers that may see an entity of this home.
    pub(super) fn shared_with(&self, entity: &Entity) -> Vec<String> {
        let admitted = self.peers.paired().filter(|(id, _)| self.replica.admits(*id, entity).is_some());
        admitted.map(|(_, peer)| peer.name().to_owned()).collect()
    }

    fn members(&self) -> Vec<String> {
        let joint = self
            .peers
            .paired()
            .filter(|(_, peer)| peer.link.as_ref().is_some_and(|link| link.session.joint()));
        joint.map(|(_, peer)| peer.name().to_owned()).collect()
    }

    pub(super) fn tell_changed(&mut self, number: Number) {
        self.metrics.changes += 1;
        self.check_settled(number);
        if let Some(entity) = self.replica.table().get(number) {
            let key = entity.key.clone();
            self.end_seen_commands(&key);
        }
        self.tell_shown(number);
    }

    /// Tells observers how an entity is shown now.
    pub(super) fn tell_shown(&mut self, number: Number) {
        let Some(entity) = self.replica.table().get(number) else { return };
        if self.inbox.notices.is_heard() {
            let news = match self.entity_view(entity) {
                Some(view) => News::Entity(view),
                None => self.gone(&entity.key),
            };
            self.inbox.notices.tell(|| news);
        } else {
            self.inbox.notices.skip();
        }
    }

    pub(super) fn tell_removed(&mut self, key: &EntityKey) {
        let news = self.gone(key);
        self.inbox.notices.tell(|| news);
    }

    pub(super) fn tell_peer(&mut self, id: HomeId) {
        let Some(peer) = self.peers.get(id) else { return };
        let view = peer.view(self.in_sync(id));
        self.inbox.notices.tell(|| News::Peer(view));
    }

    pub(super) fn tell_unpaired(&mut self, view: &HomeView) {
        self.inbox.notices.tell(|| News::PeerGone(view.clone()));
    }

    pub(super) fn tell_pairing(&mut self, news: PairingNews) {
        self.inbox.notices.tell(|| News::Pairing(news));
    }

    pub(super) fn in_sync(&self, id: HomeId) -> bool {
        let link = self.peers.get(id).and_then(|peer| peer.link.as_ref());
        link.is_some_and(|link| link.session.in_sync(&self.replica))
    }

    fn gone(&self, key: &EntityKey) -> News {
        let home = if key.space == Space::Joint { JOINT.into() } else { self.space_name(key.space) };
        News::EntityGone { home, entity_id: key.id.to_string() }
    }
}

/// Returns state and attributes of a view; attributes as one JSON object.
pub(super) fn fields(view: &View) -> (Option<String>, Box<RawValue>) {
    fields_over(view, &[])
}

/// Returns state and attributes as they will be once these wishes have come true.
fn fields_over(view: &View, wishes: &[&Wish]) -> (Option<String>, Box<RawValue>) {
    let mut members: Vec<_> = view.fields().collect();
    for (name, value) in wishes.iter().flat_map(|wish| wish.fields()) {
        members.retain(|(known, _)| *known != name);
        members.push((name, value));
    }
    readable(raw_fields(members.into_iter()))
}

/// Returns what is shown of one version, written by the home of this name.
pub(super) fn version_view(version: &Version, home: String, outcome: Option<String>) -> VersionView {
    let (state, attributes) = readable(raw_fields(version.fields()));
    VersionView {
        home,
        state,
        attributes,
        at: stamp(version.dot.hlc),
        by: by(version.cause).into(),
        deleted: version.deleted,
        outcome,
    }
}

/// Returns the state, and the attributes as one object, both as JSON.
pub(super) fn raw_fields<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> (Option<&'a str>, String) {
    let mut members: Vec<_> = fields.collect();
    members.sort_unstable();
    let state = members.first().filter(|(name, _)| *name == STATE).map(|(_, value)| *value);
    let mut attributes = String::with_capacity(256);
    json::write_object(members.into_iter().filter(|(name, _)| *name != STATE), &mut attributes);
    (state, attributes)
}

fn readable((state, attributes): (Option<&str>, String)) -> (Option<String>, Box<RawValue>) {
    // A start does not ask what the texts in the store say: what a home cannot have written is not shown.
    let raw = RawValue::from_string(attributes).or_else(|_| RawValue::from_string("{}".into()));
    (state.map(text), raw.unwrap_or_default())
}

/// Returns a state as people read it: a string without its quotes, any other value as JSON.
pub(super) fn text(value: &str) -> String {
    serde_json::from_str(value).unwrap_or_else(|_| value.to_owned())
}

pub(super) fn stamp(hlc: Hlc) -> Stamp {
    Stamp(hlc.ms() as i64)
}

/// Returns a command's id as people see it.
pub(super) fn intent_id(dot: crosshome_core::dot::Dot) -> String {
    let mut text = String::new();
    let _ = write!(text, "{}-{}-{:x}", dot.actor.home.short(), dot.actor.incarnation, dot.hlc.0);
    text
}
