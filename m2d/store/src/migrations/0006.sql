-- The origin and the time of each contact request: the table is shared among origins, and requests
-- expire. Earlier requests count as one origin.

CREATE TABLE contact_requests(
  contact  INTEGER PRIMARY KEY REFERENCES contacts(row) ON DELETE CASCADE,
  origin   BLOB NOT NULL,
  asked_ms INTEGER NOT NULL
);
INSERT INTO contact_requests SELECT row, x'00000000000000', created_ms FROM contacts WHERE state = 2;
