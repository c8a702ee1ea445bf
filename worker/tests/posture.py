"""What a run child must find around itself on a machine that offers everything: compared in the tests, by user."""

from __future__ import annotations

import os
import platform
from typing import Any, Literal

_ALWAYS = [
    *("minimal_tree", "private_files", "mount_namespace", "read_only_root", "pid_namespace", "own_proc"),
    *("ipc_namespace", "uts_namespace", "network_namespace", "user_namespace", "unprivileged_user"),
    *("scratch_directory", "rlimits", "capabilities_dropped", "no_new_privs", "landlock", "seccomp"),
    "descendants_killed",
]
_FACTS: dict[str, list[str]] = {
    "python": [platform.python_version()],
    "namespaces": ["ipc", "mnt", "net", "pid", "user", "uts"],
    "user": ["uid 1000", "gid 1000"],
    # Process 1 of its own namespace, and itself.
    "processes": ["1", "2"],
    # Input, output, errors, control.
    "descriptors": ["0 /dev/null", "1 pipe", "2 pipe", "3 pipe", "4 pipe"],
    "writable_directories": ["/dev/shm", "/tmp", "/tmp/airlock", "/var/tmp"],
    "capabilities": [f"{name} 0000000000000000" for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")],
    "no_new_privs": ["1"],
    "seccomp_mode": ["2"],
    # Without address space and data, which depend on what is imported.
    "limits": ["CORE 1", "FSIZE 1048576", "NOFILE 1024", "NPROC 64"],
    "reachable_addresses": [],
    "listeners": [],
}
# An ordinary user may make no cgroups, unless somebody delegated some.
EXPECTED: dict[str, dict[str, Any]] = {
    "root": {"layers": [*_ALWAYS, "cgroup"], "facts": _FACTS},
    "user": {"layers": _ALWAYS, "facts": _FACTS},
}


def kind() -> Literal["root", "user"]:
    return "root" if os.getuid() == 0 else "user"
