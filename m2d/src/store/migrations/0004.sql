-- Lines (docs/spec/line.md): our relays, those of contacts, and which ways a contact's sessions
-- may take.

-- Our relays. `entry`: it stands in front of those where one meets, and nobody is told of it.
CREATE TABLE lines(
  row        INTEGER PRIMARY KEY,
  relay      BLOB NOT NULL UNIQUE,
  addresses  TEXT NOT NULL,
  entry      INTEGER NOT NULL,
  created_ms INTEGER NOT NULL
);

-- Lines on which a contact may be called, in its order. `tokens`: 16 bytes for each day from
-- `first_day` on, days since 1970; without a first day it is one token for every day.
CREATE TABLE contact_lines(
  contact   INTEGER NOT NULL REFERENCES contacts(row) ON DELETE CASCADE,
  place     INTEGER NOT NULL,
  relay     BLOB NOT NULL,
  addresses TEXT NOT NULL,
  first_day INTEGER,
  tokens    BLOB NOT NULL,
  PRIMARY KEY(contact, place)
) WITHOUT ROWID;

-- 1 direct, 2 lines preferred, 3 lines alone; none: as the profile's.
ALTER TABLE contacts ADD COLUMN ip_policy INTEGER;
