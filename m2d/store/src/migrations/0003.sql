-- Mailboxes (docs/spec/mailbox.md): the daemon's own boxes at providers, the deposit tokens of
-- contacts, the boxes of contacts, and letters.

-- `grants`: the contact may deposit into the daemon's boxes. `uses`: the daemon deposits into the
-- contact's boxes.
CREATE TABLE mailbox_policies(
  contact INTEGER PRIMARY KEY REFERENCES contacts(row) ON DELETE CASCADE,
  grants  INTEGER NOT NULL,
  uses    INTEGER NOT NULL
);

-- `state`: 1 asked for, 2 open, 3 refused, 4 to be removed.
CREATE TABLE mailboxes(
  row          INTEGER PRIMARY KEY,
  provider     BLOB NOT NULL UNIQUE,
  addresses    TEXT NOT NULL,
  invite_token BLOB,
  state        INTEGER NOT NULL,
  max_tokens   INTEGER NOT NULL DEFAULT 0,
  created_ms   INTEGER NOT NULL
);

-- The seed of a contact's tokens for one of the daemon's boxes. The provider has the tokens from
-- `first` on and before `next`.
CREATE TABLE mailbox_grants(
  contact INTEGER NOT NULL REFERENCES contacts(row) ON DELETE CASCADE,
  mailbox INTEGER NOT NULL REFERENCES mailboxes(row) ON DELETE CASCADE,
  seed    BLOB NOT NULL,
  first   INTEGER NOT NULL DEFAULT 0,
  next    INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(contact, mailbox)
) WITHOUT ROWID;

-- Boxes of a contact into which the daemon may deposit; the next deposit uses token number `next`.
CREATE TABLE mailbox_offers(
  contact   INTEGER NOT NULL REFERENCES contacts(row) ON DELETE CASCADE,
  provider  BLOB NOT NULL,
  addresses TEXT NOT NULL,
  seed      BLOB NOT NULL,
  next      INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(contact, provider)
) WITHOUT ROWID;

-- Letters for contacts. Id and bytes never change; provider and token belong to the current
-- attempt. `hash` is the hash of the sealed message.
CREATE TABLE letters_out(
  message  INTEGER PRIMARY KEY REFERENCES outbox(message) ON DELETE CASCADE,
  contact  INTEGER NOT NULL,
  id       BLOB NOT NULL,
  hash     BLOB NOT NULL,
  sealed   BLOB NOT NULL,
  provider BLOB,
  token    INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  due_ms   INTEGER NOT NULL
);
CREATE INDEX letters_out_due ON letters_out(due_ms);

CREATE TABLE letter_numbers(
  contact INTEGER PRIMARY KEY REFERENCES contacts(row) ON DELETE CASCADE,
  next    INTEGER NOT NULL
);

-- Letters that were received, kept as long as their grants could be used again
-- (docs/spec/letter.md#opening).
CREATE TABLE letters_in(
  contact     INTEGER NOT NULL REFERENCES contacts(row) ON DELETE CASCADE,
  incarnation INTEGER NOT NULL,
  number      INTEGER NOT NULL,
  taken_ms    INTEGER NOT NULL,
  PRIMARY KEY(contact, incarnation, number)
) WITHOUT ROWID;
CREATE INDEX letters_in_taken ON letters_in(taken_ms);
