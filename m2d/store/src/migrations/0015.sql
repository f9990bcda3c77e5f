-- Tokens that link nothing, and letters under one-time keys (docs/spec/mailbox.md#tokens,
-- docs/spec/letter.md).

-- `box_key`: the key of the box, or NULL if a new one must be drawn. `key_known`: the provider has it.
ALTER TABLE mailboxes DROP COLUMN max_tokens;
ALTER TABLE mailboxes ADD COLUMN box_key BLOB;
ALTER TABLE mailboxes ADD COLUMN key_known INTEGER NOT NULL DEFAULT 0;

-- A contact that may deposit into a box. `series` names the tokens that it may have.
DROP TABLE mailbox_grants;
CREATE TABLE mailbox_grants(
  contact INTEGER NOT NULL REFERENCES contacts(row) ON DELETE CASCADE,
  mailbox INTEGER NOT NULL REFERENCES mailboxes(row) ON DELETE CASCADE,
  series  BLOB NOT NULL,
  PRIMARY KEY(contact, mailbox)
) WITHOUT ROWID;

-- Tokens that were given to contacts, with the seeds of their one-time keys. A row is deleted when its
-- letter is taken. `state`: 1 given, 2 stored by the contact, 3 ended. `until_s`: when the seed is erased.
CREATE TABLE issued_tokens(
  nonce   BLOB PRIMARY KEY,
  contact INTEGER NOT NULL REFERENCES contacts(row) ON DELETE CASCADE,
  mailbox INTEGER NOT NULL REFERENCES mailboxes(row) ON DELETE CASCADE,
  period  INTEGER NOT NULL,
  seed    BLOB NOT NULL,
  state   INTEGER NOT NULL,
  until_s INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX issued_tokens_contact ON issued_tokens(contact);
CREATE INDEX issued_tokens_mailbox ON issued_tokens(mailbox);
CREATE INDEX issued_tokens_until ON issued_tokens(until_s);

-- The number of letters that were taken from a contact.
CREATE TABLE letters_taken(
  contact INTEGER PRIMARY KEY REFERENCES contacts(row) ON DELETE CASCADE,
  count   INTEGER NOT NULL
);

-- The number of tokens that a contact was given on the last day on which it got some.
CREATE TABLE tokens_of_day(
  contact INTEGER PRIMARY KEY REFERENCES contacts(row) ON DELETE CASCADE,
  day     INTEGER NOT NULL,
  count   INTEGER NOT NULL
);

-- Boxes of a contact into which the daemon may deposit.
DROP TABLE mailbox_offers;
CREATE TABLE mailbox_offers(
  contact   INTEGER NOT NULL REFERENCES contacts(row) ON DELETE CASCADE,
  provider  BLOB NOT NULL,
  addresses TEXT NOT NULL,
  series    BLOB NOT NULL,
  PRIMARY KEY(contact, provider)
) WITHOUT ROWID;

-- Tokens of a contact. `key`: the public half of the one-time key, until it is used. `state`: 1 unused,
-- 2 used, 3 given up, 4 used for a letter that was deposited. `until_s`: when the token ends. `used_s`:
-- when its letter was deposited, or it was given up.
CREATE TABLE held_tokens(
  contact INTEGER NOT NULL REFERENCES contacts(row) ON DELETE CASCADE,
  nonce   BLOB NOT NULL,
  series  BLOB NOT NULL,
  token   BLOB NOT NULL,
  key     BLOB,
  state   INTEGER NOT NULL,
  until_s INTEGER NOT NULL,
  used_s  INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(contact, nonce)
) WITHOUT ROWID;
CREATE INDEX held_tokens_until ON held_tokens(until_s);

-- The secrets of sessions for letters, by contact. `position`: the newest has the highest.
CREATE TABLE letter_secrets(
  contact     INTEGER NOT NULL REFERENCES contacts(row) ON DELETE CASCADE,
  position    INTEGER NOT NULL,
  session     BLOB NOT NULL,
  secret      BLOB NOT NULL,
  peer_has_it INTEGER NOT NULL,
  ends_s      INTEGER,
  PRIMARY KEY(contact, position)
) WITHOUT ROWID;
CREATE INDEX letter_secrets_ends ON letter_secrets(ends_s);

-- Letters for contacts. Provider, token and letter belong together: they are NULL until the letter is
-- sealed. `leased`: an attempt is in progress.
DROP TABLE letters_out;
CREATE TABLE letters_out(
  message   INTEGER PRIMARY KEY REFERENCES outbox(message) ON DELETE CASCADE,
  contact   INTEGER NOT NULL,
  provider  BLOB,
  token     BLOB,
  sealed    BLOB,
  attempts  INTEGER NOT NULL DEFAULT 0,
  sealed_ms INTEGER NOT NULL DEFAULT 0,
  due_ms    INTEGER NOT NULL,
  leased    INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX letters_out_due ON letters_out(due_ms);

DROP TABLE letters_in;
