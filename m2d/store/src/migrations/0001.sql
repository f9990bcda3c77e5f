-- The first schema (docs/spec/storage.md). Times are Unix milliseconds. Ids and hashes are blobs.

CREATE TABLE settings(
  key   TEXT PRIMARY KEY,
  value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE contacts(
  row            INTEGER PRIMARY KEY,
  peer_id        BLOB NOT NULL UNIQUE,
  name           TEXT NOT NULL,
  state          INTEGER NOT NULL,
  verified       INTEGER NOT NULL DEFAULT 0,
  certificate    BLOB,
  created_ms     INTEGER NOT NULL,
  last_seen_ms   INTEGER NOT NULL DEFAULT 0,
  suggested_name TEXT NOT NULL DEFAULT '',
  invite_token   BLOB,
  reply_due      INTEGER NOT NULL DEFAULT 0,
  lookup_secrets BLOB
);

CREATE TABLE addresses(
  contact INTEGER NOT NULL REFERENCES contacts(row) ON DELETE CASCADE,
  address TEXT NOT NULL,
  seen_ms INTEGER NOT NULL,
  PRIMARY KEY(contact, address)
) WITHOUT ROWID;

CREATE TABLE invitations(
  id           BLOB PRIMARY KEY,
  token        BLOB NOT NULL,
  rendezvous   BLOB NOT NULL,
  reusable     INTEGER NOT NULL,
  created_ms   INTEGER NOT NULL,
  expires_ms   INTEGER NOT NULL,
  uses         INTEGER NOT NULL DEFAULT 0,
  contact_name TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

-- All messages committed under an id, in order of arrival. `kind`: 0 content, 1 edit,
-- 2 retraction, 3 read, 4 skip. Only content is shown.
CREATE TABLE messages(
  row        INTEGER PRIMARY KEY,
  id         BLOB NOT NULL UNIQUE,
  contact    INTEGER NOT NULL REFERENCES contacts(row),
  kind       INTEGER NOT NULL,
  own        INTEGER NOT NULL,
  incarnation INTEGER NOT NULL DEFAULT 0,
  state      INTEGER NOT NULL,
  failure    INTEGER NOT NULL DEFAULT 0,
  author_ms  INTEGER NOT NULL,
  stored_ms  INTEGER NOT NULL,
  hash       BLOB NOT NULL,
  media_type TEXT NOT NULL DEFAULT '',
  content    BLOB,
  edited     INTEGER NOT NULL DEFAULT 0,
  gone       INTEGER NOT NULL DEFAULT 0,
  expires_ms INTEGER
);
CREATE INDEX messages_contact ON messages(contact, row) WHERE kind = 0;
CREATE INDEX messages_expiry ON messages(expires_ms) WHERE expires_ms IS NOT NULL;

-- Retractions that arrived before their message.
CREATE TABLE tombstones(
  id      BLOB PRIMARY KEY,
  contact INTEGER NOT NULL
) WITHOUT ROWID;

-- Messages that wait for the recipient's acknowledgement. `state`: 1 queued, 2 sent directly,
-- 3 sent over a line, 4 delivered, 5 retracted, 6 contact removed, 7 expired. Without a payload the
-- message's own row still holds the sealed content unchanged.
CREATE TABLE outbox(
  message    INTEGER PRIMARY KEY REFERENCES messages(row),
  contact    INTEGER NOT NULL,
  id         BLOB NOT NULL,
  sequence   INTEGER NOT NULL,
  epoch      INTEGER NOT NULL,
  state      INTEGER NOT NULL,
  queued_ms  INTEGER NOT NULL,
  expires_ms INTEGER,
  hash       BLOB NOT NULL,
  replaced   BLOB,
  payload    BLOB,
  sealed     BLOB NOT NULL
);
CREATE INDEX outbox_contact ON outbox(contact);

CREATE TABLE sequences(
  contact       INTEGER PRIMARY KEY REFERENCES contacts(row),
  next_sequence INTEGER NOT NULL
);

CREATE TABLE send_epochs(
  contact INTEGER NOT NULL,
  epoch   INTEGER NOT NULL,
  bytes   BLOB NOT NULL,
  PRIMARY KEY(contact, epoch)
) WITHOUT ROWID;

CREATE TABLE receive_epochs(
  contact     INTEGER NOT NULL,
  incarnation INTEGER NOT NULL,
  epoch       INTEGER NOT NULL,
  bytes       BLOB NOT NULL,
  PRIMARY KEY(contact, incarnation, epoch)
) WITHOUT ROWID;

CREATE TABLE incarnations(
  contact       INTEGER NOT NULL,
  incarnation   INTEGER NOT NULL,
  highest_epoch INTEGER NOT NULL,
  next_sequence INTEGER NOT NULL,
  PRIMARY KEY(contact, incarnation)
) WITHOUT ROWID;

-- Places that wait for earlier places, with the message that fills each. Without a payload the
-- message is already committed and only its place waits.
CREATE TABLE held(
  contact     INTEGER NOT NULL,
  incarnation INTEGER NOT NULL,
  sequence    INTEGER NOT NULL,
  id          BLOB NOT NULL,
  received_ms INTEGER NOT NULL,
  show        INTEGER NOT NULL,
  hash        BLOB NOT NULL,
  payload     BLOB,
  PRIMARY KEY(contact, incarnation, sequence)
) WITHOUT ROWID;
CREATE INDEX held_id ON held(id);

-- The durable event log. The newest entry is never deleted, so that no number is reused.
CREATE TABLE events(
  seq     INTEGER PRIMARY KEY,
  time_ms INTEGER NOT NULL,
  kind    INTEGER NOT NULL,
  contact INTEGER NOT NULL,
  message INTEGER,
  detail  INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE clients(
  name    TEXT PRIMARY KEY,
  cursor  INTEGER NOT NULL,
  seen_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE idempotency(
  caller     TEXT NOT NULL,
  key        TEXT NOT NULL,
  body       BLOB NOT NULL,
  message    INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  PRIMARY KEY(caller, key)
) WITHOUT ROWID;

-- Full-text search over text content; row numbers are those of `messages`. Filled asynchronously,
-- up to the row in the setting `searched`.
CREATE VIRTUAL TABLE search USING fts5(text, content='', contentless_delete=1);
