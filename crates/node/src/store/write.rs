//! A batch as SQL.

use std::collections::{HashMap, HashSet};

use crosshome_core::{
    EntityKey, Space,
    grant::{Grant, Right, Selector},
    record::Place,
};
use rusqlite::{Connection, OptionalExtension, Result, params};

use super::batch::{Batch, EntityRow, HistoryRow, PeerRow, RegistryRow};
use crate::defaults::{HISTORY_AGE, HISTORY_PER_ENTITY, HISTORY_ROWS, HISTORY_SWEEP};

/// The numbers of the spaces, as far as they have been asked for.
pub(super) type Spaces = HashMap<Space, i64>;

/// Writes the batch inside the caller's transaction, as the commit of this number.
pub(super) fn write(connection: &Connection, batch: &Batch, commit: u64, spaces: &mut Spaces) -> Result<()> {
    write_home(connection, batch, commit)?;
    write_entities(connection, batch, spaces)?;
    write_cursors(connection, batch)?;
    write_grants(connection, batch)?;
    write_peers(connection, batch)?;
    write_registry(connection, batch)?;
    write_memos(connection, batch)?;
    write_history(connection, batch, spaces)
}

/// Returns what a space is called in the file.
pub(super) fn space_name(space: Space) -> String {
    match space {
        Space::Home(home) => home.to_string(),
        Space::Joint => "joint".into(),
    }
}

/// Returns the number of a space, if it has one.
pub(super) fn find_space(connection: &Connection, space: Space) -> Result<Option<i64>> {
    let mut find = connection.prepare_cached("SELECT number FROM spaces WHERE name = ?1")?;
    find.query_row([space_name(space)], |row| row.get(0)).optional()
}

fn write_home(connection: &Connection, batch: &Batch, commit: u64) -> Result<()> {
    let sql = "UPDATE home SET commits = ?1, clean = 0, head = max(head, ?2), home = coalesce(?3, home),
        incarnation = coalesce(?4, incarnation), clock = coalesce(?5, clock)";
    let actor = batch.actor;
    connection.prepare_cached(sql)?.execute(params![
        commit,
        batch.head,
        actor.map(|actor| actor.home.to_string()),
        actor.map(|actor| actor.incarnation),
        batch.clock.map(|clock| clock.0.cast_signed()),
    ])?;
    let Some(epochs) = &batch.epochs else { return Ok(()) };
    connection.execute("DELETE FROM epochs", [])?;
    let mut put = connection.prepare_cached("INSERT INTO epochs (epoch, began) VALUES (?1, ?2)")?;
    for (epoch, began) in epochs.iter() {
        put.execute(params![epoch.cast_signed(), began])?;
    }
    Ok(())
}

fn write_entities(connection: &Connection, batch: &Batch, spaces: &mut Spaces) -> Result<()> {
    let mut put = connection.prepare_cached("REPLACE INTO entities VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for EntityRow { place, state, record } in &batch.entities {
        let Place { key, birth, seq } = place;
        let space = space_number(connection, spaces, key.space)?;
        put.execute(params![birth, seq, space, key.id.as_str(), state, record])?;
    }
    let mut remove = connection.prepare_cached("DELETE FROM entities WHERE birth = ?1")?;
    let mut forget = connection.prepare_cached("DELETE FROM history WHERE space = ?1 AND entity_id = ?2")?;
    for (birth, key) in &batch.removed {
        remove.execute([birth])?;
        forget.execute(params![space_number(connection, spaces, key.space)?, key.id.as_str()])?;
    }
    Ok(())
}

fn write_cursors(connection: &Connection, batch: &Batch) -> Result<()> {
    let mut put = connection.prepare_cached("REPLACE INTO cursors VALUES (?1, ?2, ?3, ?4)")?;
    let mut remove = connection.prepare_cached("DELETE FROM cursors WHERE peer = ?1")?;
    for (peer, cursor) in &batch.cursors {
        let peer = peer.to_string();
        match cursor {
            Some(cursor) => {
                let (mark, latest) = (cursor.mark.0.cast_signed(), cursor.latest.0.cast_signed());
                put.execute(params![peer, json(&cursor.trail), mark, latest])?
            }
            None => remove.execute([peer])?,
        };
    }
    Ok(())
}

fn write_grants(connection: &Connection, batch: &Batch) -> Result<()> {
    if let Some(grants) = &batch.grants {
        connection.execute("DELETE FROM grants", [])?;
        grants.iter().try_for_each(|grant| write_grant(connection, grant))?;
    }
    let Some(gone) = &batch.gone else { return Ok(()) };
    connection.execute("DELETE FROM gone", [])?;
    let mut put = connection.prepare_cached("INSERT INTO gone VALUES (?1, ?2, ?3)")?;
    for (peer, id, seq) in gone {
        put.execute(params![peer.to_string(), id.as_str(), seq])?;
    }
    Ok(())
}

fn write_grant(connection: &Connection, grant: &Grant) -> Result<()> {
    let (kind, selector) = match &grant.selector {
        Selector::Entity(id) => ("entity", id.as_str()),
        Selector::Glob(pattern) => ("glob", pattern.as_str()),
        Selector::Area(area) => ("area", area.as_str()),
        Selector::Label(label) => ("label", label.as_str()),
    };
    let access = grant.right.map(|right| match right {
        Right::Read => "read",
        Right::Control => "control",
        Right::Edit => "edit",
    });
    let sql = "INSERT INTO grants (peer, kind, selector, access, seq) VALUES (?1, ?2, ?3, ?4, ?5)";
    let peer = grant.peer.map(|peer| peer.to_string());
    connection.prepare_cached(sql)?.execute(params![peer, kind, selector, access, grant.seq])?;
    Ok(())
}

fn write_peers(connection: &Connection, batch: &Batch) -> Result<()> {
    let Some(peers) = &batch.peers else { return Ok(()) };
    connection.execute("DELETE FROM peers", [])?;
    let sql = "INSERT INTO peers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let mut put = connection.prepare_cached(sql)?;
    for peer in peers {
        let PeerRow { id, spki, name, alias, pair_secret, proto_low, .. } = peer;
        let PeerRow { paired_at_ms, method, addresses, denied, .. } = peer;
        let (secret, method) = (pair_secret.as_slice(), method.name());
        let (id, addresses) = (id.to_string(), json(addresses));
        put.execute(params![
            id,
            &spki[..],
            name,
            alias,
            secret,
            proto_low,
            paired_at_ms,
            method,
            addresses,
            denied
        ])?;
    }
    Ok(())
}

fn write_registry(connection: &Connection, batch: &Batch) -> Result<()> {
    let mut put = connection.prepare_cached("REPLACE INTO registry VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let mut remove = connection.prepare_cached("DELETE FROM registry WHERE entity_id = ?1")?;
    for (id, row) in &batch.registry {
        let id = id.as_str();
        match row {
            Some(RegistryRow { name, metadata, traits }) => {
                put.execute(params![id, name, metadata, traits.area, json(&traits.labels)])?
            }
            None => remove.execute([id])?,
        };
    }
    Ok(())
}

fn write_memos(connection: &Connection, batch: &Batch) -> Result<()> {
    let mut put = connection.prepare_cached("REPLACE INTO memos VALUES (?1, ?2, ?3)")?;
    let mut remove = connection.prepare_cached("DELETE FROM memos WHERE kind = ?1 AND name = ?2")?;
    for (key, text) in &batch.memos {
        match text {
            Some(text) => put.execute(params![key.kind, key.name, text])?,
            None => remove.execute(params![key.kind, key.name])?,
        };
    }
    Ok(())
}

fn write_history(connection: &Connection, batch: &Batch, spaces: &mut Spaces) -> Result<()> {
    let Some(newest) = batch.history.iter().map(|row| row.recorded_ms).max() else { return Ok(()) };
    let mut put = connection.prepare_cached(
        "INSERT INTO history (space, entity_id, stamp, home, incarnation, at, recorded, author, cause, state, attributes, outcome)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (space, entity_id, stamp, home, incarnation) DO UPDATE SET outcome = excluded.outcome",
    )?;
    for row in &batch.history {
        let HistoryRow { key, dot, at_ms, recorded_ms, author, cause, state, attributes, outcome } = row;
        let (space, stamp) = (space_number(connection, spaces, key.space)?, dot.hlc.0.cast_signed());
        let (home, incarnation) = (dot.actor.home.to_string(), dot.actor.incarnation);
        let (id, author) = (key.id.as_str(), author.to_string());
        put.execute(params![
            space,
            id,
            stamp,
            home,
            incarnation,
            at_ms,
            recorded_ms,
            author,
            cause,
            state,
            attributes,
            outcome
        ])?;
    }
    let touched: HashSet<&EntityKey> = batch.history.iter().map(|row| &row.key).collect();
    trim_history(connection, touched, spaces, newest)
}

/// Keeps the versions of the touched entities that came last, and sweeps away the oldest of all once they are too old
/// or too many: rows are numbered in the order in which they came. What they say of their own time is up to the clocks of
/// other homes: one that is behind would have its versions forgotten at once, one that is ahead everybody's.
fn trim_history(
    connection: &Connection,
    touched: HashSet<&EntityKey>,
    spaces: &mut Spaces,
    newest: u64,
) -> Result<()> {
    let mut trim = connection.prepare_cached(
        "DELETE FROM history WHERE number IN (SELECT number FROM history WHERE space = ?1 AND entity_id = ?2
         ORDER BY number DESC LIMIT -1 OFFSET ?3)",
    )?;
    for key in touched {
        let space = space_number(connection, spaces, key.space)?;
        trim.execute(params![space, key.id.as_str(), HISTORY_PER_ENTITY])?;
    }
    let mut sweep = connection.prepare_cached(
        "DELETE FROM history WHERE recorded < ?1 AND number IN (SELECT number FROM history ORDER BY number LIMIT ?2)",
    )?;
    let oldest = newest.saturating_sub(HISTORY_AGE.as_millis() as u64);
    sweep.execute(params![oldest, HISTORY_SWEEP])?;
    let mut bound = connection
        .prepare_cached("DELETE FROM history WHERE number <= (SELECT max(number) FROM history) - ?1")?;
    bound.execute([HISTORY_ROWS])?;
    Ok(())
}

fn space_number(connection: &Connection, spaces: &mut Spaces, space: Space) -> Result<i64> {
    if let Some(&number) = spaces.get(&space) {
        return Ok(number);
    }
    let number = match find_space(connection, space)? {
        Some(number) => number,
        None => {
            connection.execute("INSERT INTO spaces (name) VALUES (?1)", [space_name(space)])?;
            connection.last_insert_rowid()
        }
    };
    spaces.insert(space, number);
    Ok(number)
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("lists of texts and numbers have a JSON form")
}
