-- Lines (docs/spec/line.md): the daemon's own relays, those of contacts, and the paths that a
-- contact's sessions may take.

-- The daemon's own relays. `entry`: used in front of other relays; contacts are not told about it.
CREATE TABLE lines(
  row        INTEGER PRIMARY KEY,
  relay      BLOB NOT NULL UNIQUE,
  addresses  TEXT NOT NULL,
  entry      INTEGER NOT NULL,
  created_ms INTEGER NOT NULL
);

-- Lines on which a contact can be dialled, in its order. `tokens`: 16 bytes for each day from
-- `first_day` on, days since 1970; without a first day, one token for every day.
CREATE TABLE contact_lines(
  contact   INTEGER NOT NULL REFERENCES contacts(row) ON DELETE CASCADE,
  place     INTEGER NOT NULL,
  relay     BLOB NOT NULL,
  addresses TEXT NOT NULL,
  first_day INTEGER,
  tokens    BLOB NOT NULL,
  PRIMARY KEY(contact, place)
) WITHOUT ROWID;

-- 1 direct, 2 lines preferred, 3 lines only; NULL for the profile's mode.
ALTER TABLE contacts ADD COLUMN ip_policy INTEGER;
