-- Mailboxes (docs/spec/mailbox.md): ours at providers, what contacts may deposit into them with,
-- those of contacts, and letters.

-- Whether a contact may deposit into our boxes, and whether we deposit into its boxes.
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

-- The seed of a contact's tokens for one of our boxes. Those from `first` on and before `next`
-- are with the provider.
CREATE TABLE mailbox_grants(
  contact INTEGER NOT NULL REFERENCES contacts(row) ON DELETE CASCADE,
  mailbox INTEGER NOT NULL REFERENCES mailboxes(row) ON DELETE CASCADE,
  seed    BLOB NOT NULL,
  first   INTEGER NOT NULL DEFAULT 0,
  next    INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(contact, mailbox)
) WITHOUT ROWID;

-- Boxes of a contact that we may deposit into; the next deposit carries token number `next`.
CREATE TABLE mailbox_offers(
  contact   INTEGER NOT NULL REFERENCES contacts(row) ON DELETE CASCADE,
  provider  BLOB NOT NULL,
  addresses TEXT NOT NULL,
  seed      BLOB NOT NULL,
  next      INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(contact, provider)
) WITHOUT ROWID;

-- Letters for contacts. Id and bytes never change; provider and token are those of the attempt
-- that is under way. `hash` is that of the message that was sealed.
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

-- Letters that were taken: for as long as their grants may be used (spec §5).
CREATE TABLE letters_in(
  contact     INTEGER NOT NULL REFERENCES contacts(row) ON DELETE CASCADE,
  incarnation INTEGER NOT NULL,
  number      INTEGER NOT NULL,
  taken_ms    INTEGER NOT NULL,
  PRIMARY KEY(contact, incarnation, number)
) WITHOUT ROWID;
CREATE INDEX letters_in_taken ON letters_in(taken_ms);
