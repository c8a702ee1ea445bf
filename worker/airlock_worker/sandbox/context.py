"""What the sandbox layers of one run child share."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..linux import kernel
from ..linux.proc import namespaces
from ..linux.shared_mappings import Mapping

_PRIVATE_PLACES = ("/tmp", "/var/tmp", "/dev/shm")
HOST_NAME = "airlock"


@dataclass
class SandboxContext:
    """The place a run lives in. Layers fill in what they make and, in `problems`, what the kernel refused."""

    # Of the worker; a run's scratch directory lies there where no private mounts can be had.
    run_dir: str
    # Where each run gets a tmpfs of its own, and what lies below that every run needs: interpreter and packages.
    private_places: tuple[str, ...] = ()
    hidden_paths: tuple[str, ...] = ()
    # The zygote's namespaces, for comparison: {"mnt": "mnt:[4026531840]"}.
    outside: dict[str, str] = field(default_factory=dict)
    # The namespaces that a child is forked into, as CLONE_ flags, and whether it can get a user namespace then.
    clone_flags: int = 0
    user_namespace: bool = False
    # The user outside that runs are, where the worker is root; None: the worker's own.
    script_uid: int | None = None
    # Whether each run can be another user.
    user_per_run: bool = False
    worker_is_root: bool = False
    on_gvisor: bool = False
    # Of the child, as the supervisor knows it.
    host_pid: int = 0
    # Whether the root directory holds only what runs need.
    minimal_tree: bool = False
    # The programs in it, and the interpreter's names among them.
    programs: tuple[str, ...] = ()
    interpreters: tuple[str, ...] = ()
    private_mounts: bool = False
    scratch: str = ""
    # What packages shared when they were imported, and each run shares only with the processes that it starts.
    shared_mappings: tuple[Mapping, ...] = ()
    problems: dict[str, str] = field(default_factory=dict)
    # What RLIMIT_AS and RLIMIT_DATA count before the script starts; 0: this kernel does not tell.
    base_address_space: int = 0
    base_data: int = 0

    def forget_outside(self) -> None:
        """In a run child that needs nothing of it any more: what the machine calls the worker and the run."""
        if self.private_mounts:
            self.run_dir = ""
        self.outside, self.problems = {}, {}
        self.script_uid, self.host_pid = None, 0

    @property
    def own_pids(self) -> bool:
        return bool(self.clone_flags & kernel.CLONE_NEWPID)

    def look_around(self, keep_paths: Iterable[str]) -> None:
        """`keep_paths` must stay reachable. Done in the zygote, before the forks, since each would repeat it."""
        places = tuple(place for place in _PRIVATE_PLACES if os.path.isdir(place))
        hidden = {path for path in keep_paths if any(f"{path}/".startswith(f"{place}/") for place in places)}
        self.private_places = places
        self.hidden_paths = tuple(sorted((path for path in hidden if os.path.isdir(path)), key=len))
        self.outside = namespaces()
