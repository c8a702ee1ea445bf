"""Writes the log: JSON lines on stderr. Callers pass names, ids and counts, never code, output, settings or secrets."""

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
        # The reader of the log has closed its end, so the line is lost. The supervisor notices elsewhere that its
        # parent process is gone.
        pass
