-- A letter is in its box for 7 days. When a provider took one, for the message to get another
-- after that time; and when a waiting letter was sealed, since its grant grows too old.

CREATE TABLE deposits(
  message      INTEGER PRIMARY KEY REFERENCES outbox(message) ON DELETE CASCADE,
  contact      INTEGER NOT NULL,
  deposited_ms INTEGER NOT NULL
);
CREATE INDEX deposits_contact ON deposits(contact);
INSERT INTO deposits SELECT message, contact, queued_ms FROM outbox WHERE state = 8;

ALTER TABLE letters_out ADD COLUMN sealed_ms INTEGER NOT NULL DEFAULT 0;
