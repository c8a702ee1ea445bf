"""What a run child must find around itself on a machine that offers everything: compared in the tests, by user."""

from __future__ import annotations

import os
from typing import Any, Literal

_ALWAYS = [
    *("minimal_tree", "mount_namespace", "read_only_root", "pid_namespace", "own_proc", "ipc_namespace"),
    *("uts_namespace", "network_namespace", "user_namespace", "unprivileged_user", "scratch_directory", "rlimits"),
    *("capabilities_dropped", "no_new_privs", "landlock", "seccomp", "descendants_killed"),
]
EXPECTED: dict[str, dict[str, Any]] = {"root": {"layers": _ALWAYS}, "user": {"layers": _ALWAYS}}


def kind() -> Literal["root", "user"]:
    return "root" if os.getuid() == 0 else "user"
