-- The projects that accept no execution until an operator releases them.
CREATE TABLE held_projects (
  project TEXT COLLATE "C" PRIMARY KEY,
  held_at_ms BIGINT NOT NULL
);
