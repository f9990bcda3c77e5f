-- A letter stays in its box for 7 days. `deposits` records when a provider accepted a letter, so
-- that the message gets another one after that time; `sealed_ms` records when a waiting letter was
-- sealed, because its grant becomes too old.

CREATE TABLE deposits(
  message      INTEGER PRIMARY KEY REFERENCES outbox(message) ON DELETE CASCADE,
  contact      INTEGER NOT NULL,
  deposited_ms INTEGER NOT NULL
);
CREATE INDEX deposits_contact ON deposits(contact);
INSERT INTO deposits SELECT message, contact, queued_ms FROM outbox WHERE state = 8;

ALTER TABLE letters_out ADD COLUMN sealed_ms INTEGER NOT NULL DEFAULT 0;
