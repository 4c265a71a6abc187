//! What the file holds, back as it was given.

use std::{
    collections::{HashMap, HashSet},
    str::FromStr,
};

use crosshome_core::{
    EntityId, EntityKey, HomeId, Space,
    defaults::LAST_PLACE,
    dot::{Actor, Dot},
    epoch::{Cursor, Epochs},
    grant::{Grant, Right, Selector, Traits},
    hlc::Hlc,
    pairing::Method,
    record::{self, Place},
    table::Entity,
};
use rusqlite::{Connection, Error, Result, Row, types::Type};
use zeroize::Zeroizing;

use super::{
    batch::{HistoryRow, MemoKey, PeerRow, RegistryRow},
    error::StoreError,
    write::find_space,
};

/// Everything that was stored, but for the entities and the history: these are read from the store itself.
#[derive(Debug, PartialEq)]
pub struct Stored {
    /// The random id of the file.
    pub id: String,
    /// Whose data they are; nothing in a new file.
    pub actor: Option<Actor>,
    /// Whether the last run came to its proper end.
    pub clean: bool,
    /// The last place in the change log.
    pub head: u64,
    /// The clock's high-water mark.
    pub clock: Hlc,
    /// The epochs of the change log.
    pub epochs: Epochs,
    /// How far each peer has been followed.
    pub cursors: Vec<(HomeId, Cursor)>,
    /// The rules, in their order.
    pub grants: Vec<Grant>,
    /// Withdrawals that were not acknowledged.
    pub gone: Vec<(HomeId, EntityId, u64)>,
    /// The peers.
    pub peers: Vec<PeerRow>,
    /// The registered entities.
    pub registry: Vec<(EntityId, RegistryRow)>,
    /// The small documents.
    pub memos: Vec<(MemoKey, String)>,
    /// The number of transactions so far.
    pub(super) commits: u64,
}

impl Stored {
    /// Checks that the data are those of the home with this key.
    ///
    /// # Errors
    ///
    /// Names both homes when they differ. A new file belongs to nobody yet.
    pub fn check_home(&self, key: HomeId) -> std::result::Result<(), StoreError> {
        match self.actor {
            Some(Actor { home: found, .. }) if found != key => Err(StoreError::OtherHome { found, key }),
            _ => Ok(()),
        }
    }

    pub(super) fn read(connection: &Connection) -> Result<Self> {
        let stored = connection.query_row(
            "SELECT id, home, incarnation, head, clock, commits, clean FROM home",
            [],
            read_home,
        )?;
        Ok(Self {
            epochs: rows(connection, "SELECT epoch, began FROM epochs ORDER BY number", |row| {
                Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?))
            })?
            .into_iter()
            .collect(),
            cursors: rows(connection, "SELECT peer, trail, mark, latest FROM cursors", read_cursor)?,
            grants: rows(
                connection,
                "SELECT peer, kind, selector, access, seq FROM grants ORDER BY number",
                read_grant,
            )?,
            gone: rows(connection, "SELECT peer, entity_id, seq FROM gone", |row| {
                Ok((text(row, 0)?, text(row, 1)?, row.get(2)?))
            })?,
            peers: rows(connection, "SELECT * FROM peers", read_peer)?,
            registry: rows(connection, "SELECT * FROM registry", read_registered)?,
            memos: rows(connection, "SELECT kind, name, text FROM memos", |row| {
                Ok((MemoKey { kind: row.get(0)?, name: row.get(1)? }, row.get(2)?))
            })?,
            ..stored
        })
    }
}

/// Gives every entity of this home's own store to `take`, in the order of their births.
pub(super) fn entities<T>(
    connection: &Connection,
    take: impl FnOnce(&mut dyn Iterator<Item = Entity>) -> T,
) -> Result<T> {
    read_entities(connection, record::recall, take)
}

/// Checks every entity and the history of a store that others may have made.
pub(super) fn check_all(connection: &Connection) -> Result<()> {
    let mut names = HashSet::new();
    let twice = read_entities(connection, record::decode, |all| {
        all.filter(|entity| !names.insert(entity.key.clone())).count()
    })?;
    if twice > 0 {
        return Err(malformed(3, "an entity stands there twice"));
    }
    let mut all = connection.prepare(&format!("SELECT {HISTORY}, space, entity_id FROM history"))?;
    let spaces = spaces(connection)?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        read_version(row, &key_of(row, &spaces, (10, 11))?)?;
    }
    Ok(())
}

fn read_entities<T, E: std::fmt::Display>(
    connection: &Connection,
    read: fn(Place, &[u8]) -> std::result::Result<Entity, E>,
    take: impl FnOnce(&mut dyn Iterator<Item = Entity>) -> T,
) -> Result<T> {
    let spaces = spaces(connection)?;
    let mut all =
        connection.prepare("SELECT birth, seq, space, entity_id, record FROM entities ORDER BY birth")?;
    let mut failed = Ok(());
    let mut last = 0;
    let mut found = all.query_map([], |row| read_entity(row, &spaces, read))?.map_while(|read| match read {
        Ok(entity) if entity.birth <= last => {
            failed = Err(malformed(0, "entities are out of order"));
            None
        }
        Ok(entity) => {
            last = entity.birth;
            Some(entity)
        }
        Err(error) => {
            failed = Err(error);
            None
        }
    });
    let taken = take(&mut found);
    failed.map(|()| taken)
}

fn spaces(connection: &Connection) -> Result<HashMap<i64, Space>> {
    let numbered =
        rows(connection, "SELECT number, name FROM spaces", |row| Ok((row.get(0)?, space(row, 1)?)))?;
    Ok(numbered.into_iter().collect())
}

fn key_of(row: &Row<'_>, spaces: &HashMap<i64, Space>, (space, id): (usize, usize)) -> Result<EntityKey> {
    let found = spaces.get(&row.get(space)?).ok_or_else(|| malformed(space, "an entity has no space"))?;
    Ok(EntityKey { space: *found, id: text(row, id)? })
}

fn read_entity<E: std::fmt::Display>(
    row: &Row<'_>,
    spaces: &HashMap<i64, Space>,
    read: fn(Place, &[u8]) -> std::result::Result<Entity, E>,
) -> Result<Entity> {
    let key = key_of(row, spaces, (2, 3))?;
    let place = Place { key, birth: row.get(0)?, seq: row.get(1)? };
    read(place, row.get_ref(4)?.as_blob()?).map_err(|error| malformed(4, &error.to_string()))
}

/// Reads the versions kept of an entity, the newest first.
pub(super) fn history(connection: &Connection, key: &EntityKey) -> Result<Vec<HistoryRow>> {
    let Some(space) = find_space(connection, key.space)? else { return Ok(Vec::new()) };
    let mut versions = connection.prepare_cached(&format!(
        "SELECT {HISTORY} FROM history WHERE space = ?1 AND entity_id = ?2 ORDER BY at DESC, number DESC"
    ))?;
    versions.query_map((space, key.id.as_str()), |row| read_version(row, key))?.collect()
}

/// What of the history [`read_version`] reads.
const HISTORY: &str = "home, incarnation, stamp, at, recorded, author, cause, state, attributes, outcome";

fn read_version(row: &Row<'_>, key: &EntityKey) -> Result<HistoryRow> {
    let actor = Actor { home: text(row, 0)?, incarnation: row.get(1)? };
    Ok(HistoryRow {
        key: key.clone(),
        dot: Dot { actor, hlc: stamp(row, 2)? },
        at_ms: row.get(3)?,
        recorded_ms: row.get(4)?,
        author: text(row, 5)?,
        cause: row.get(6)?,
        state: row.get(7)?,
        attributes: row.get(8)?,
        outcome: row.get(9)?,
    })
}

fn read_home(row: &Row<'_>) -> Result<Stored> {
    let home: Option<HomeId> = maybe_text(row, 1)?;
    let incarnation = row.get(2)?;
    let (head, clock, commits): (u64, _, u64) = (row.get(3)?, stamp(row, 4)?, row.get(5)?);
    if head.max(commits) > LAST_PLACE || !clock.is_possible() {
        return Err(malformed(3, "it has come further than a home can"));
    }
    Ok(Stored {
        id: row.get(0)?,
        actor: home.map(|home| Actor { home, incarnation }),
        head,
        clock,
        commits,
        clean: row.get(6)?,
        epochs: Epochs::default(),
        cursors: Vec::new(),
        grants: Vec::new(),
        gone: Vec::new(),
        peers: Vec::new(),
        registry: Vec::new(),
        memos: Vec::new(),
    })
}

fn read_cursor(row: &Row<'_>) -> Result<(HomeId, Cursor)> {
    Ok((text(row, 0)?, Cursor { trail: json(row, 1)?, mark: stamp(row, 2)?, latest: stamp(row, 3)? }))
}

fn read_grant(row: &Row<'_>) -> Result<Grant> {
    let selector = match row.get_ref(1)?.as_str()? {
        "entity" => Selector::Entity(text(row, 2)?),
        "glob" => Selector::Glob(row.get(2)?),
        "area" => Selector::Area(row.get(2)?),
        "label" => Selector::Label(row.get(2)?),
        _ => return Err(malformed(1, "a grant selects by something unknown")),
    };
    let right = match row.get_ref(3)?.as_str_or_null()? {
        None => None,
        Some("read") => Some(Right::Read),
        Some("control") => Some(Right::Control),
        Some("edit") => Some(Right::Edit),
        Some(_) => return Err(malformed(3, "a grant gives an unknown right")),
    };
    Ok(Grant { peer: maybe_text(row, 0)?, selector, right, seq: row.get(4)? })
}

fn read_peer(row: &Row<'_>) -> Result<PeerRow> {
    Ok(PeerRow {
        id: text(row, 0)?,
        spki: row.get(1)?,
        name: row.get(2)?,
        alias: row.get(3)?,
        pair_secret: Zeroizing::new(row.get(4)?),
        proto_low: row.get(5)?,
        paired_at_ms: row.get(6)?,
        method: match row.get_ref(7)?.as_str()? {
            "code" => Method::Code,
            "invitation" => Method::Invitation,
            "shared_key" => Method::SharedKey,
            _ => return Err(malformed(7, "a peer was paired in an unknown way")),
        },
        addresses: json(row, 8)?,
        denied: row.get(9)?,
    })
}

fn read_registered(row: &Row<'_>) -> Result<(EntityId, RegistryRow)> {
    let traits = Traits { area: row.get(3)?, labels: json(row, 4)? };
    Ok((text(row, 0)?, RegistryRow { name: row.get(1)?, metadata: row.get(2)?, traits }))
}

fn rows<T>(connection: &Connection, sql: &str, read: impl FnMut(&Row<'_>) -> Result<T>) -> Result<Vec<T>> {
    connection.prepare(sql)?.query_map([], read)?.collect()
}

fn space(row: &Row<'_>, at: usize) -> Result<Space> {
    match row.get_ref(at)?.as_str()? {
        "joint" => Ok(Space::Joint),
        _ => text(row, at).map(Space::Home),
    }
}

fn stamp(row: &Row<'_>, at: usize) -> Result<Hlc> {
    Ok(Hlc(row.get::<_, i64>(at)?.cast_unsigned()))
}

fn text<T: FromStr<Err: std::error::Error>>(row: &Row<'_>, at: usize) -> Result<T> {
    row.get_ref(at)?.as_str()?.parse().map_err(|error: T::Err| malformed(at, &error.to_string()))
}

fn maybe_text<T: FromStr<Err: std::error::Error>>(row: &Row<'_>, at: usize) -> Result<Option<T>> {
    row.get_ref(at)?.as_str_or_null()?.map(|_| text(row, at)).transpose()
}

fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, at: usize) -> Result<T> {
    serde_json::from_str(row.get_ref(at)?.as_str()?).map_err(|error| malformed(at, &error.to_string()))
}

fn malformed(at: usize, reason: &str) -> Error {
    Error::FromSqlConversionFailure(at, Type::Null, reason.into())
}
