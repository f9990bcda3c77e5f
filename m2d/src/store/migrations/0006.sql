-- From where a contact request came, and when: requests are shared out among their sources, and
-- end after a while. Those of before count as of one source.

CREATE TABLE contact_requests(
  contact  INTEGER PRIMARY KEY REFERENCES contacts(row) ON DELETE CASCADE,
  origin   BLOB NOT NULL,
  asked_ms INTEGER NOT NULL
);
INSERT INTO contact_requests SELECT row, x'00000000000000', created_ms FROM contacts WHERE state = 2;
