-- The highest suite of a completed session with a peer (docs/spec/handshake.md#suites); 0 for none.

ALTER TABLE contacts ADD COLUMN suite INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lines ADD COLUMN suite INTEGER NOT NULL DEFAULT 0;
ALTER TABLE mailboxes ADD COLUMN suite INTEGER NOT NULL DEFAULT 0;
