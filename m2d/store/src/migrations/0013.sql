-- The presence records of an invitation have a signing key of their own. Its seed takes the place of the
-- secret that was also in the invitation: holders of older invitations do not find such records.
ALTER TABLE invitations RENAME COLUMN rendezvous TO record_seed;
