-- Whether a contact was reached at an address, or only said to be there; and how much of its budget a
-- contact has left for dials to addresses that it named.

ALTER TABLE addresses ADD COLUMN proved INTEGER NOT NULL DEFAULT 0;

-- A session stores its address and its contact's last_seen_ms at the same moment; an invitation stores
-- addresses alone.
UPDATE addresses SET proved = 1 WHERE seen_ms =
  (SELECT last_seen_ms FROM contacts WHERE contacts.row = addresses.contact);

CREATE TABLE address_budgets(
  peer_id   BLOB PRIMARY KEY,
  datagrams INTEGER NOT NULL,
  bytes     INTEGER NOT NULL,
  at_ms     INTEGER NOT NULL
) WITHOUT ROWID;
