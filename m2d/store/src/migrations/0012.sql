-- The message to which one replies, and the first message of its thread: ids of 16 bytes, or NULL.
ALTER TABLE messages ADD COLUMN reply_to BLOB;
ALTER TABLE messages ADD COLUMN thread BLOB;

-- The reaction of each side to a message.
CREATE TABLE reactions(
  message INTEGER NOT NULL,
  own     INTEGER NOT NULL,
  text    TEXT NOT NULL,
  PRIMARY KEY(message, own)
) WITHOUT ROWID;
CREATE TRIGGER reactions_end AFTER DELETE ON messages BEGIN
  DELETE FROM reactions WHERE message = old.row;
END;
