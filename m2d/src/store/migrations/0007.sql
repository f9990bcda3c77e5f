-- Whether a named front-end ever acknowledged an event: one that never did is forgotten sooner. Of
-- those that are known already it is not known.
ALTER TABLE clients ADD COLUMN acknowledged INTEGER NOT NULL DEFAULT 1;
