//! What a home holds, read from its store file while it runs: every version with its dot and its context.

use std::{collections::HashMap, path::Path};

use crosshome_core::{
    EntityKey, HomeId, Space,
    dot::{Actor, Dot},
    groups::STATE,
    hlc::Hlc,
    record::{self, Place},
    sim::history::{DotName, Held},
    table::Entity,
    version::Version,
    view::View,
};
use rusqlite::{Connection, OpenFlags, Row};

/// A version of a document that a home has shown, or that has lost there.
pub(super) struct Past {
    pub(super) number: u64,
    pub(super) entity: String,
    pub(super) dot: Dot,
    pub(super) content: String,
}

/// One moment of a store.
pub(super) struct Moment {
    pub(super) entities: Vec<Entity>,
    pub(super) past: Vec<Past>,
}

/// What homes are called in the record.
pub(super) type Names = HashMap<HomeId, String>;

/// Reads a store in one transaction, and its history beyond a row.
pub(super) fn read(
    data_dir: &Path,
    beyond: u64,
    names: &Names,
) -> Result<Moment, Box<dyn std::error::Error>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let mut connection = Connection::open_with_flags(data_dir.join("crosshome.db"), flags)?;
    let moment = connection.transaction()?;
    let mut query = moment.prepare(
        "SELECT name, entity_id, birth, seq, record FROM entities JOIN spaces ON spaces.number = space",
    )?;
    let stored =
        query.query_map([], |row| Ok((key(row)?, row.get(2)?, row.get(3)?, row.get::<_, Vec<u8>>(4)?)))?;
    let mut entities = Vec::new();
    for stored in stored {
        let (key, birth, seq, bytes) = stored?;
        entities.push(record::decode(Place { key, birth, seq }, &bytes)?);
    }
    let mut query = moment.prepare(
        "SELECT name, entity_id, history.number, home, incarnation, stamp, state FROM history
         JOIN spaces ON spaces.number = space WHERE history.number > ?1 ORDER BY history.number",
    )?;
    let past = query.query_map([beyond], |row| past(row, names))?.collect::<Result<_, _>>()?;
    Ok(Moment { entities, past })
}

fn key(row: &Row<'_>) -> rusqlite::Result<EntityKey> {
    let (space, id): (String, String) = (row.get(0)?, row.get(1)?);
    let space =
        if space == "joint" { Space::Joint } else { Space::Home(space.parse().expect("a home's id")) };
    Ok(EntityKey { space, id: id.parse().expect("an entity's id") })
}

fn past(row: &Row<'_>, names: &Names) -> rusqlite::Result<Past> {
    let home: String = row.get(3)?;
    let actor = Actor { home: home.parse().expect("a home's id"), incarnation: row.get(4)? };
    let dot = Dot { actor, hlc: Hlc(row.get::<_, i64>(5)?.cast_unsigned()) };
    let (entity, state) = (name(&key(row)?, names), row.get::<_, String>(6)?);
    Ok(Past { number: row.get(2)?, entity, dot, content: plain(&state) })
}

/// Returns how an entity is called in the record.
pub(super) fn name(key: &EntityKey, names: &Names) -> String {
    match key.space {
        Space::Joint => format!("joint/{}", key.id),
        Space::Home(home) => format!("{}/{}", called(home, names), key.id),
    }
}

fn called(home: HomeId, names: &Names) -> String {
    names.get(&home).cloned().unwrap_or_else(|| home.short())
}

/// Returns how a change is called in the record.
pub(super) fn dot_name(dot: Dot, names: &Names) -> DotName {
    DotName {
        actor: format!("{}#{}", called(dot.actor.home, names), dot.actor.incarnation),
        stamp: dot.hlc.0,
    }
}

/// Returns what the record says of a version.
pub(super) fn held(version: &Version, names: &Names) -> Held {
    let seen = version.context.dots().map(|dot| dot_name(dot, names));
    Held {
        dot: dot_name(version.dot, names),
        context: seen.map(|dot| (dot.actor, dot.stamp)).collect(),
        content: content(version),
        deleted: version.deleted,
        untimed: !version.timed,
        groups: Default::default(),
    }
}

/// Returns the state that a version says; nothing when it deletes.
pub(super) fn content(version: &Version) -> String {
    let mut fields = version.groups().flat_map(|group| group.fields().collect::<Vec<_>>());
    fields.find(|(name, _)| *name == STATE).map(|(_, state)| plain(state)).unwrap_or_default()
}

/// Returns the state that people see; nothing when the entity is deleted.
pub(super) fn shown(entity: &Entity) -> Option<String> {
    let view = View::of(&entity.siblings, entity.strategy)?;
    let mut fields = view.groups().flat_map(|group| group.fields().collect::<Vec<_>>());
    let state = fields.find(|(name, _)| *name == STATE).map(|(_, state)| plain(state));
    (!view.deleted).then(|| state.unwrap_or_default())
}

fn plain(json: &str) -> String {
    serde_json::from_str(json).unwrap_or_default()
}
