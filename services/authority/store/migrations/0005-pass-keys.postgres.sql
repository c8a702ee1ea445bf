-- The public halves of the keys that sign passes, in base64url. The private halves are stored nowhere.
CREATE TABLE pass_keys (
  key_id TEXT COLLATE "C" PRIMARY KEY,
  public_key TEXT COLLATE "C" NOT NULL CHECK (length(public_key) = 43),
  made_at_ms BIGINT NOT NULL
);
