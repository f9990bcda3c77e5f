-- Epochs belong to sessions and exist in memory only: nothing is sealed before a session takes it, and no
-- message key is stored on either side.
DROP TABLE send_epochs;
DROP TABLE receive_epochs;
ALTER TABLE outbox DROP COLUMN sealed;
ALTER TABLE outbox DROP COLUMN epoch;

-- Grants and letters of the earlier format are of no use. Messages get new letters.
DELETE FROM peer_grants;
DELETE FROM letters_out;
