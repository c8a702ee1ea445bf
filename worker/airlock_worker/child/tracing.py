"""Ends what follows each line or call of a script: tracing functions, profilers, tools of `sys.monitoring`."""

from __future__ import annotations

import sys
from sys import setprofile, settrace

# Python 3.12 and later have it.
_monitoring = getattr(sys, "monitoring", None)
# The number of tools that `sys.monitoring` can have.
_TOOLS = 6


def stop_tracing() -> None:
    """Ends the script's tracing, because it would follow Airlock's own lines and fail at each when the script's names
    are gone. What an audit hook of the script refuses to end goes on.
    """
    for remove in (settrace, setprofile):
        try:
            remove(None)
        except BaseException:
            pass
    if _monitoring is not None:
        for tool in range(_TOOLS):
            try:
                if _monitoring.get_tool(tool) is not None:
                    _monitoring.set_events(tool, 0)
            except BaseException:
                pass
