-- Each conversation has its own incarnation (docs/spec/delivery.md). Before this migration one
-- number was used for all of them and for the event log.

-- The local side of a conversation, the current incarnation of the peer, and when a statement last
-- showed that the peer's store is older than before (`conflict`: 1) or in use twice (2).
CREATE TABLE places(
  contact     INTEGER PRIMARY KEY REFERENCES contacts(row) ON DELETE CASCADE,
  incarnation INTEGER NOT NULL DEFAULT 0,
  begun_ms    INTEGER NOT NULL DEFAULT 0,
  renewed_ms  INTEGER NOT NULL DEFAULT 0,
  epoch       INTEGER NOT NULL DEFAULT 0,
  signed_s    INTEGER NOT NULL DEFAULT 0,
  grant_hash  BLOB NOT NULL DEFAULT (zeroblob(32)),
  following   INTEGER NOT NULL DEFAULT 0,
  conflict    INTEGER NOT NULL DEFAULT 0,
  conflict_ms INTEGER NOT NULL DEFAULT 0
);
INSERT INTO places(contact, incarnation, begun_ms, epoch, following)
  SELECT c.row, s.value, 1000 * CAST(strftime('%s', 'now') AS INTEGER),
    coalesce((SELECT max(epoch) FROM send_epochs e WHERE e.contact = c.row), 0),
    coalesce((SELECT max(incarnation) FROM incarnations i WHERE i.contact = c.row
                HAVING count(*) = 1), 0)
  FROM contacts c JOIN settings s ON s.key = 'incarnation';
UPDATE settings SET key = 'event log' WHERE key = 'incarnation';

-- The newest signed grant of each incarnation of a peer.
CREATE TABLE peer_grants(
  contact      INTEGER NOT NULL REFERENCES contacts(row) ON DELETE CASCADE,
  incarnation  INTEGER NOT NULL,
  signed_grant BLOB NOT NULL,
  PRIMARY KEY(contact, incarnation)
) WITHOUT ROWID;

-- Sending chains exist only in memory. An epoch's grant is kept until it is confirmed.
UPDATE send_epochs SET bytes = substr(bytes, 128);
ALTER TABLE send_epochs RENAME COLUMN bytes TO signed_grant;

-- Numbers of letters are random, because a restored store would count the same numbers again.
DROP TABLE letter_numbers;
