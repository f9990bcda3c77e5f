-- docs/spec/mailbox-store.md describes every column.
-- key: the first key at which the letter could be stored. An owner takes letters in the order of their keys, so
-- the marks of letters that are taken together are adjacent and change few pages.
CREATE TABLE marks (
    key    INTEGER NOT NULL,
    nonce  BLOB NOT NULL,
    mark   BLOB NOT NULL,
    period INTEGER NOT NULL,
    PRIMARY KEY (key, nonce)
) WITHOUT ROWID;

-- For the purge.
CREATE INDEX marks_by_period ON marks (period);
