"""The state that the sandbox layers of one run child share."""

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
    """The sandbox of a run. Layers record what they made and, in `problems`, by layer, what the kernel refused."""

    # The worker's directory. A run's scratch directory is in it where no private mounts are possible.
    run_dir: str
    # Directories that each run gets as a tmpfs of its own, and paths in them that every run needs: interpreter and
    # packages.
    private_places: tuple[str, ...] = ()
    hidden_paths: tuple[str, ...] = ()
    # The zygote's namespaces, for comparison: {"mnt": "mnt:[4026531840]"}.
    outside: dict[str, str] = field(default_factory=dict)
    # The namespaces that a child is forked into, as CLONE_ flags, and whether it can also get a user namespace.
    clone_flags: int = 0
    user_namespace: bool = False
    # User id of runs, seen from outside the sandbox, where the worker is root; None: the worker's own.
    script_uid: int | None = None
    # Whether each run can get a user id of its own.
    user_per_run: bool = False
    worker_is_root: bool = False
    on_gvisor: bool = False
    # Pid of the child, as the supervisor sees it.
    host_pid: int = 0
    # Whether the root directory contains only what runs need.
    minimal_tree: bool = False
    # Names of the programs in it, and names of the interpreter.
    programs: tuple[str, ...] = ()
    interpreters: tuple[str, ...] = ()
    private_mounts: bool = False
    scratch: str = ""
    # Shared memory that packages made at import. Each run shares its copy only with the processes that it starts.
    shared_mappings: tuple[Mapping, ...] = ()
    problems: dict[str, str] = field(default_factory=dict)
    # Bytes that RLIMIT_AS and RLIMIT_DATA count before the script starts; 0: this kernel does not report them.
    base_address_space: int = 0
    base_data: int = 0

    def forget_outside(self) -> None:
        """Removes names and numbers by which the machine knows the worker and the run. Called in a run child,
        before the script.
        """
        if self.private_mounts:
            self.run_dir = ""
        self.outside, self.problems = {}, {}
        self.script_uid, self.host_pid = None, 0

    @property
    def own_pids(self) -> bool:
        return bool(self.clone_flags & kernel.CLONE_NEWPID)

    def look_around(self, keep_paths: Iterable[str]) -> None:
        """Records mount places and namespaces, in the zygote so that no child has to. `keep_paths` must stay
        reachable.
        """
        places = tuple(place for place in _PRIVATE_PLACES if os.path.isdir(place))
        hidden = {path for path in keep_paths if any(f"{path}/".startswith(f"{place}/") for place in places)}
        self.private_places = places
        self.hidden_paths = tuple(sorted((path for path in hidden if os.path.isdir(path)), key=len))
        self.outside = namespaces()
