PRAGMA application_id = 2020110189;
PRAGMA user_version = 1;

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
INSERT INTO home VALUES (1, '00000000000000000000000000000000', 'xh1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3fufek', 3, 4, 117964800000000000, 1, 0);

CREATE TABLE epochs (
  number INTEGER PRIMARY KEY,
  epoch  INTEGER NOT NULL,
  began  INTEGER NOT NULL
) STRICT;
INSERT INTO epochs VALUES (1, 161, 0);
INSERT INTO epochs VALUES (2, -1, 2);

CREATE TABLE spaces (
  number INTEGER PRIMARY KEY,
  name   TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO spaces VALUES (1, 'xh1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3fufek');
INSERT INTO spaces VALUES (2, 'joint');

CREATE TABLE entities (
  birth     INTEGER PRIMARY KEY,           -- never given twice, and so the only key
  seq       INTEGER NOT NULL,              -- its latest place in the change log
  space     INTEGER NOT NULL,
  entity_id TEXT    NOT NULL,
  state     TEXT    NOT NULL,              -- for people; what counts is the record
  record    BLOB    NOT NULL               -- checksum and CBOR: class, versions, right
) STRICT;
INSERT INTO entities VALUES (1, 1, 1, 'sensor.n0', '21.5', x'c412b76c0a161c30a7000001818258200101010101010101010101010101010101010101010101010101010101010101000281a30000013a03e7ffff03583f826d667269656e646c795f6e616d65662248616c6c2282657374617465662232312e35228273756e69745f6f665f6d6561737572656d656e746522c2b043220300040005000682001a03e80000');
INSERT INTO entities VALUES (2, 2, 1, 'sensor.n1', '21.5', x'7a2f1aa510df8273a7000001818258200101010101010101010101010101010101010101010101010101010101010101000281a30000013a03e8ffff03583f826d667269656e646c795f6e616d65662248616c6c2282657374617465662232312e35228273756e69745f6f665f6d6561737572656d656e746522c2b043220300040005000682001a03e90000');
INSERT INTO entities VALUES (3, 3, 2, 'sensor.n1', '21.5', x'b964f89abe481015a7000001818258200101010101010101010101010101010101010101010101010101010101010101000281a30000013a03e8ffff03583f826d667269656e646c795f6e616d65662248616c6c2282657374617465662232312e35228273756e69745f6f665f6d6561737572656d656e746522c2b043220300040305000682001a03e90000');

CREATE TABLE cursors (
  peer   TEXT    NOT NULL PRIMARY KEY,
  trail  TEXT    NOT NULL,                 -- JSON: [[epoch, last place], …]
  mark   INTEGER NOT NULL,
  latest INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO cursors VALUES ('xh1qgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqulmwv7', '[[161,40]]', 458752, 0);

CREATE TABLE grants (
  number   INTEGER PRIMARY KEY,
  peer     TEXT,                           -- NULL: every paired home
  kind     TEXT    NOT NULL,               -- entity, glob, area, label
  selector TEXT    NOT NULL,
  access   TEXT,                           -- read, control, edit; NULL takes out of a wider rule
  seq      INTEGER NOT NULL
) STRICT;
INSERT INTO grants VALUES (1, 'xh1qgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqulmwv7', 'glob', 'sensor.*', 'control', 4);

CREATE TABLE gone (
  peer      TEXT    NOT NULL,
  entity_id TEXT    NOT NULL,
  seq       INTEGER NOT NULL,
  PRIMARY KEY (peer, entity_id)
) STRICT, WITHOUT ROWID;
INSERT INTO gone VALUES ('xh1qgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqulmwv7', 'sensor.n0', 4);

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
INSERT INTO peers VALUES ('xh1qgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqulmwv7', x'0303030303030303030303030303030303030303030303030303030303030303030303030303030303030303', 'Flat', 'Anna''s flat', x'0404040404040404040404040404040404040404040404040404040404040404', 1, 1800000000000, 'shared_key', '["flat.example:8765"]', 0);

CREATE TABLE registry (
  entity_id TEXT NOT NULL PRIMARY KEY,
  name      TEXT NOT NULL,
  metadata  TEXT NOT NULL,                 -- JSON object
  area      TEXT,
  labels    TEXT NOT NULL                  -- JSON list
) STRICT, WITHOUT ROWID;
INSERT INTO registry VALUES ('sensor.n0', 'Hall', '{"note":"x"}', 'Hall', '["guests"]');

CREATE TABLE memos (
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
INSERT INTO memos VALUES ('conflict', '17', '{}');

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
INSERT INTO history VALUES (1, 1, 'sensor.n0', 117964800000000000, 'xh1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3fufek', 0, 1800000000000, 1800000000000, 'xh1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3fufek', 'person', '"on"', '{}', 'shown');

CREATE VIEW entity_list AS
  SELECT name AS space, entity_id, state, seq, length(record) AS bytes
  FROM entities JOIN spaces ON spaces.number = space ORDER BY space, entity_id;

CREATE VIEW history_list AS
  SELECT name AS space, entity_id, datetime(at / 1000, 'unixepoch') AS time, state, attributes, author, cause, outcome
  FROM history JOIN spaces ON spaces.number = space ORDER BY at;
