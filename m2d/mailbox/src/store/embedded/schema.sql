-- docs/spec/mailbox-store.md describes every column.
CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- A box without a key admits no letter.
CREATE TABLE boxes (
    number INTEGER PRIMARY KEY,
    owner  BLOB NOT NULL UNIQUE,
    key    BLOB
);

-- key = box number * 2^40 + 40 bits of a keyed hash of the nonce: the letters of a box are adjacent,
-- are found by nonce without a second index, and are not in order of arrival.
CREATE TABLE letters (
    key    INTEGER PRIMARY KEY,
    nonce  BLOB NOT NULL,
    mark   BLOB NOT NULL,
    period INTEGER NOT NULL,
    expiry INTEGER NOT NULL,
    letter BLOB NOT NULL
);

-- For the purge. It includes the length so that counting at the start reads no letter.
CREATE INDEX letters_by_expiry ON letters (expiry, length(letter));
