-- The changes a minute that the key allows; NULL: as many as the role allows.
ALTER TABLE keys ADD COLUMN rate INTEGER CHECK (rate > 0);
