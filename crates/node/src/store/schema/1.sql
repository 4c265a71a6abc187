-- The store of one home, version 1. Open it with sqlite3 while the home runs or not, but read only:
-- the running home does not look here again.

-- One row: whose data this is and how far it goes.
CREATE TABLE home (
  number      INTEGER PRIMARY KEY CHECK (number = 1),
  id          TEXT    NOT NULL,            -- of this file, random
  home        TEXT,                        -- the home it belongs to, once it is known
  incarnation INTEGER NOT NULL DEFAULT 0,
  head        INTEGER NOT NULL DEFAULT 0,  -- the last place in the change log
  clock       INTEGER NOT NULL DEFAULT 0,  -- milliseconds * 65536 + counter
  commits     INTEGER NOT NULL DEFAULT 0,  -- counts every transaction
  clean       INTEGER NOT NULL DEFAULT 1   -- 0 while the home runs, and after a crash
) STRICT;

-- The epochs of this home's change log and the place where each began, in order.
CREATE TABLE epochs (
  number INTEGER PRIMARY KEY,
  epoch  INTEGER NOT NULL,
  began  INTEGER NOT NULL
) STRICT;

-- Namespaces by number: the id of a home, or 'joint'.
CREATE TABLE spaces (
  number INTEGER PRIMARY KEY,
  name   TEXT NOT NULL UNIQUE
) STRICT;

-- Every entity, in the order in which this home came to know them.
CREATE TABLE entities (
  birth     INTEGER PRIMARY KEY,           -- never given twice, and so the only key
  seq       INTEGER NOT NULL,              -- its latest place in the change log
  space     INTEGER NOT NULL,
  entity_id TEXT    NOT NULL,
  state     TEXT    NOT NULL,              -- for people; what counts is the record
  record    BLOB    NOT NULL               -- checksum and CBOR: class, versions, right
) STRICT;

-- How far this home has followed each peer.
CREATE TABLE cursors (
  peer   TEXT    NOT NULL PRIMARY KEY,
  trail  TEXT    NOT NULL,                 -- JSON: [[epoch, last place], …]
  mark   INTEGER NOT NULL,
  latest INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who may see what.
CREATE TABLE grants (
  number   INTEGER PRIMARY KEY,
  peer     TEXT,                           -- NULL: every paired home
  kind     TEXT    NOT NULL,               -- entity, glob, area, label
  selector TEXT    NOT NULL,
  access   TEXT,                           -- read, control, edit; NULL takes out of a wider rule
  seq      INTEGER NOT NULL
) STRICT;

-- What was withdrawn from a peer that has not acknowledged it yet.
CREATE TABLE gone (
  peer      TEXT    NOT NULL,
  entity_id TEXT    NOT NULL,
  seq       INTEGER NOT NULL,
  PRIMARY KEY (peer, entity_id)
) STRICT, WITHOUT ROWID;

-- The homes this one is or was paired with.
CREATE TABLE peers (
  id          TEXT    NOT NULL PRIMARY KEY,
  spki        BLOB    NOT NULL,            -- the pinned key
  name        TEXT    NOT NULL,            -- as it calls itself
  alias       TEXT,                        -- as it is called here
  pair_secret BLOB    NOT NULL,
  proto_low   INTEGER NOT NULL,
  paired_at   INTEGER NOT NULL,            -- milliseconds since 1970
  method      TEXT    NOT NULL,            -- code, invitation, shared_key
  addresses   TEXT    NOT NULL,            -- JSON list
  denied      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What is known of this home's own entities beside their state.
CREATE TABLE registry (
  entity_id TEXT NOT NULL PRIMARY KEY,
  name      TEXT NOT NULL,
  metadata  TEXT NOT NULL,                 -- JSON object
  area      TEXT,
  labels    TEXT NOT NULL                  -- JSON list
) STRICT, WITHOUT ROWID;

-- Small JSON documents: conflicts, accepted commands, strategies.
CREATE TABLE memos (
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

-- Past versions of documents: the newest of each, for a month since they came here.
CREATE TABLE history (
  number      INTEGER PRIMARY KEY,
  space       INTEGER NOT NULL,
  entity_id   TEXT    NOT NULL,
  stamp       INTEGER NOT NULL,            -- stamp, home and incarnation name the change
  home        TEXT    NOT NULL,
  incarnation INTEGER NOT NULL,
  at          INTEGER NOT NULL,            -- milliseconds since 1970, by its author's clock
  recorded    INTEGER NOT NULL,            -- the same by this home's clock, when it came here
  author      TEXT    NOT NULL,
  cause       TEXT    NOT NULL,            -- person, automation, device, strategy
  state       TEXT    NOT NULL,            -- JSON
  attributes  TEXT    NOT NULL,            -- JSON object
  outcome     TEXT    NOT NULL,
  UNIQUE (space, entity_id, stamp, home, incarnation)
) STRICT;

-- For people.
CREATE VIEW entity_list AS
  SELECT name AS space, entity_id, state, seq, length(record) AS bytes
  FROM entities JOIN spaces ON spaces.number = space ORDER BY space, entity_id;
CREATE VIEW history_list AS
  SELECT name AS space, entity_id, datetime(at / 1000, 'unixepoch') AS time, state, attributes, author, cause, outcome
  FROM history JOIN spaces ON spaces.number = space ORDER BY at;
