CREATE TABLE held_projects (project TEXT PRIMARY KEY, held_at_ms INTEGER NOT NULL) STRICT;
