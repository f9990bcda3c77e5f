-- The full-text index is filled with words that m2d splits itself, and deletes a text's words
-- immediately (docs/adr/0013-search-words.md). It is built in steps after the start.

DROP TABLE search;
CREATE VIRTUAL TABLE search USING fts5(text, content='', columnsize=0, tokenize='ascii');
INSERT INTO search(search, rank) VALUES ('secure-delete', 1);
DELETE FROM settings WHERE key = 'searched';

-- The amount of stored data of each contact, kept up to date by the triggers below, so that queries
-- need not count: messages in the outbox, rows and content received, and all content.
CREATE TABLE usage(
  contact        INTEGER PRIMARY KEY REFERENCES contacts(row) ON DELETE CASCADE,
  queued         INTEGER NOT NULL DEFAULT 0,
  received       INTEGER NOT NULL DEFAULT 0,
  received_bytes INTEGER NOT NULL DEFAULT 0,
  content_bytes  INTEGER NOT NULL DEFAULT 0
);
INSERT INTO usage
  SELECT c.row,
    (SELECT count(*) FROM outbox o CROSS JOIN messages m ON m.row = o.message
     WHERE o.contact = c.row AND m.kind = 0),
    coalesce(s.received, 0), coalesce(s.received_bytes, 0), coalesce(s.content_bytes, 0)
  FROM contacts c LEFT JOIN
    (SELECT contact, sum(own = 0) AS received,
       sum(CASE WHEN own = 0 THEN coalesce(length(content), 0) ELSE 0 END) AS received_bytes,
       sum(coalesce(length(content), 0)) AS content_bytes
     FROM messages GROUP BY contact) s ON s.contact = c.row;

CREATE TRIGGER usage_contact AFTER INSERT ON contacts BEGIN
  INSERT INTO usage(contact) VALUES (new.row);
END;
CREATE TRIGGER usage_message_in AFTER INSERT ON messages BEGIN
  UPDATE usage SET received = received + (new.own = 0),
    received_bytes = received_bytes
      + CASE WHEN new.own = 0 THEN coalesce(length(new.content), 0) ELSE 0 END,
    content_bytes = content_bytes + coalesce(length(new.content), 0)
  WHERE contact = new.contact;
END;
CREATE TRIGGER usage_message_out AFTER DELETE ON messages BEGIN
  UPDATE usage SET received = received - (old.own = 0),
    received_bytes = received_bytes
      - CASE WHEN old.own = 0 THEN coalesce(length(old.content), 0) ELSE 0 END,
    content_bytes = content_bytes - coalesce(length(old.content), 0)
  WHERE contact = old.contact;
END;
CREATE TRIGGER usage_message_change AFTER UPDATE OF content ON messages BEGIN
  UPDATE usage SET
    received_bytes = received_bytes + CASE WHEN new.own = 0
      THEN coalesce(length(new.content), 0) - coalesce(length(old.content), 0) ELSE 0 END,
    content_bytes = content_bytes + coalesce(length(new.content), 0)
      - coalesce(length(old.content), 0)
  WHERE contact = new.contact;
END;

-- A row of the outbox may be replaced, which fires no trigger for the old row.
CREATE TRIGGER usage_outbox_replaced BEFORE INSERT ON outbox
WHEN EXISTS (SELECT 1 FROM outbox WHERE message = new.message) BEGIN
  UPDATE usage SET queued = queued - 1 WHERE contact = new.contact
    AND (SELECT kind FROM messages WHERE row = new.message) = 0;
END;
CREATE TRIGGER usage_outbox_in AFTER INSERT ON outbox BEGIN
  UPDATE usage SET queued = queued + 1 WHERE contact = new.contact
    AND (SELECT kind FROM messages WHERE row = new.message) = 0;
END;
CREATE TRIGGER usage_outbox_out AFTER DELETE ON outbox BEGIN
  UPDATE usage SET queued = queued - 1 WHERE contact = old.contact
    AND (SELECT kind FROM messages WHERE row = old.message) = 0;
END;

-- Stepwise erasure of a removed contact: the content of its messages up to the row `history`, which
-- are no longer shown, and its outbox up to the message `outbox`, of which all messages up to
-- `given_up` are done.
CREATE TABLE erasures(
  contact  INTEGER PRIMARY KEY REFERENCES contacts(row) ON DELETE CASCADE,
  history  INTEGER NOT NULL,
  outbox   INTEGER NOT NULL,
  given_up INTEGER NOT NULL
);

-- How many seconds messages of a contact are kept; NULL for the profile's setting.
CREATE TABLE retention(
  contact INTEGER PRIMARY KEY REFERENCES contacts(row) ON DELETE CASCADE,
  keep_s  INTEGER
);

-- The erased history of removed contacts is no longer shown as retracted.
UPDATE messages SET gone = 3 WHERE gone = 1 AND contact IN
  (SELECT row FROM contacts WHERE state = 6 AND NOT EXISTS
    (SELECT 1 FROM messages m WHERE m.contact = contacts.row AND m.kind = 0 AND m.gone = 0));

-- One index of messages that are shown, one of the others.
DROP INDEX messages_contact;
CREATE INDEX messages_contact ON messages(contact, row) WHERE kind = 0 AND gone < 2;
DROP INDEX messages_silent;
CREATE INDEX messages_silent ON messages(contact, own, kind, row) WHERE kind <> 0 OR gone > 1;
CREATE INDEX idempotency_created ON idempotency(created_ms);
