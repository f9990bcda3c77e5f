-- `proved`: the contact was reached at the address, which was not only named. `address_budgets`: the
-- remaining budget of a contact for dials to addresses that it named.

ALTER TABLE addresses ADD COLUMN proved INTEGER NOT NULL DEFAULT 0;

-- A session stores its address and its contact's last_seen_ms at the same moment; an invitation stores
-- only addresses.
UPDATE addresses SET proved = 1 WHERE seen_ms =
  (SELECT last_seen_ms FROM contacts WHERE contacts.row = addresses.contact);

CREATE TABLE address_budgets(
  peer_id   BLOB PRIMARY KEY,
  datagrams INTEGER NOT NULL,
  bytes     INTEGER NOT NULL,
  at_ms     INTEGER NOT NULL
) WITHOUT ROWID;
