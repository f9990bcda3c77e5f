-- docs/spec/mailbox-store.md describes every column.
CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE boxes (
    number INTEGER PRIMARY KEY,
    owner  BLOB NOT NULL UNIQUE
);

CREATE TABLE tokens (
    box  INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (box, hash)
) WITHOUT ROWID;

-- key = box number * 2^40 + 40 bits of a keyed hash of the id: the letters of a box are adjacent,
-- are found by id without a second index, and are not in order of arrival.
CREATE TABLE letters (
    key    INTEGER PRIMARY KEY,
    id     BLOB NOT NULL,
    expiry INTEGER NOT NULL,
    letter BLOB NOT NULL
);

-- For the purge. It includes the length so that counting at the start reads no letter.
CREATE INDEX letters_by_expiry ON letters (expiry, length(letter));
