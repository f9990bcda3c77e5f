-- Client names that several workers share. `shared_events`: what is known of an event above the client's cursor, and of
-- earlier ones that are open again or dead letters. `state`: 1 leased to `worker` until `at_ms`, 2 waits until then, 3 done,
-- 4 a dead letter since then. `reason`: why it was not handled.

ALTER TABLE clients ADD COLUMN shared INTEGER NOT NULL DEFAULT 0;

CREATE TABLE shared_events(
  client     TEXT NOT NULL REFERENCES clients(name) ON DELETE CASCADE,
  seq        INTEGER NOT NULL,
  state      INTEGER NOT NULL,
  deliveries INTEGER NOT NULL,
  at_ms      INTEGER NOT NULL,
  worker     INTEGER NOT NULL,
  reason     TEXT NOT NULL DEFAULT '',
  PRIMARY KEY(client, seq)
) WITHOUT ROWID;
CREATE INDEX shared_events_dead ON shared_events(client, at_ms) WHERE state = 4;
