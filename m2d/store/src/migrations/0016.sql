-- Access tokens of front-ends (docs/operator/access.md). `hash`: of the secret, which is not stored.
-- `scopes`: a bit for each. `limited`: the token reaches only the contacts of access_token_contacts.
CREATE TABLE access_tokens(
  name       TEXT PRIMARY KEY,
  selector   BLOB NOT NULL UNIQUE,
  hash       BLOB NOT NULL,
  scopes     INTEGER NOT NULL,
  limited    INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE access_token_contacts(
  token   TEXT NOT NULL REFERENCES access_tokens(name) ON DELETE CASCADE,
  peer_id BLOB NOT NULL,
  PRIMARY KEY(token, peer_id)
) STRICT, WITHOUT ROWID;

-- What tokens were used for, by the hour. It remains when a token is revoked. `peer_id`: the contact that
-- the call was about; empty for none. `uses`: calls that the token permitted; `refused`: those it did not.
CREATE TABLE token_uses(
  hour     INTEGER NOT NULL,
  token    TEXT NOT NULL,
  call     TEXT NOT NULL,
  peer_id  BLOB NOT NULL,
  uses     INTEGER NOT NULL,
  refused  INTEGER NOT NULL,
  first_ms INTEGER NOT NULL,
  last_ms  INTEGER NOT NULL,
  PRIMARY KEY(hour, token, call, peer_id)
) STRICT, WITHOUT ROWID;

-- The token under which the name of a front-end was first used; empty for the owner.
ALTER TABLE clients ADD COLUMN token TEXT NOT NULL DEFAULT '';
