"""JSON lines on stderr. Never code, output, settings, memory or secrets: callers pass names, ids and counts."""

from __future__ import annotations

import datetime
import json
import sys


def log(level: str, msg: str, **fields: str | int | float | bool | None) -> None:
    time = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    try:
        sys.stderr.write(json.dumps({"time": time, "level": level, "msg": msg, **fields}) + "\n")
        sys.stderr.flush()
    except OSError:
        # Whoever read the log is gone, and is about to be noticed elsewhere.
        pass
