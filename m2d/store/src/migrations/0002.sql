-- Bounds for the rows of one peer: the time at which a contact was removed, so that its rows can be
-- pruned; the order of retractions that wait for their message; and an index of messages that are
-- not shown.

ALTER TABLE contacts ADD COLUMN removed_ms INTEGER NOT NULL DEFAULT 0;
UPDATE contacts SET removed_ms = 1000 * CAST(strftime('%s', 'now') AS INTEGER) WHERE state = 6;

CREATE TABLE waiting_tombstones(
  number  INTEGER PRIMARY KEY,
  contact INTEGER NOT NULL,
  id      BLOB NOT NULL,
  UNIQUE(contact, id)
);
INSERT INTO waiting_tombstones(contact, id) SELECT contact, id FROM tombstones;
DROP TABLE tombstones;
ALTER TABLE waiting_tombstones RENAME TO tombstones;

CREATE INDEX messages_silent ON messages(contact, own, kind, row) WHERE kind <> 0;
