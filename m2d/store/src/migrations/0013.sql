-- The presence records of an invitation have a signing key of their own. Its seed takes the place of the
-- secret that was also in the invitation: holders of older invitations do not find such records.
ALTER TABLE invitations RENAME COLUMN rendezvous TO record_seed;

-- Those holders know the old secret: it must sign nothing. And a peer that was asked by an older
-- invitation can't be looked up.
UPDATE invitations SET record_seed = randomblob(32);
UPDATE contacts SET lookup_secrets = NULL WHERE state = 1;
