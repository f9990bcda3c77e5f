-- Set once a named front-end has acknowledged an event: one that never did is deleted sooner. For
-- existing front-ends this is unknown and assumed.
ALTER TABLE clients ADD COLUMN acknowledged INTEGER NOT NULL DEFAULT 1;
