-- The public halves of the keys that sign passes, in base64url. The private halves are stored nowhere.
CREATE TABLE pass_keys (
  key_id TEXT PRIMARY KEY,
  public_key TEXT NOT NULL CHECK (length(public_key) = 43),
  made_at_ms INTEGER NOT NULL
) STRICT;
