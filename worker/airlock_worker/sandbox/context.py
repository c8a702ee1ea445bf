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
    # Directories that each run gets as a tmpfs of its own.
    private_places: tuple[str, ...] = ()
    # Paths below these directories that every run needs (interpreter and packages), and that are shown again in the
    # tmpfs.
    hidden_paths: tuple[str, ...] = ()
    # The zygote's namespaces, {"mnt": "mnt:[4026531840]"}, with which a run's own are compared.
    outside: dict[str, str] = field(default_factory=dict)
    # The namespaces that a child is forked into, as CLONE_ flags.
    clone_flags: int = 0
    # Whether a child can also get a user namespace.
    user_namespace: bool = False
    # User id of runs, seen from outside the sandbox, where the worker is root; None: runs have the worker's own user.
    script_uid: int | None = None
    # Whether each run can get a user id of its own.
    user_per_run: bool = False
    worker_is_root: bool = False
    on_gvisor: bool = False
    # Pid of the child, as the supervisor sees it.
    host_pid: int = 0
    # Whether the root directory contains only what runs need.
    minimal_tree: bool = False
    # Names of the programs that the tree holds for scripts.
    programs: tuple[str, ...] = ()
    # Names by which a script can start the Python interpreter.
    interpreters: tuple[str, ...] = ()
    # Whether this process has mounted the private directories.
    private_mounts: bool = False
    scratch: str = ""
    # Shared memory that packages made at import. Each run shares its copy only with the processes that it starts.
    shared_mappings: tuple[Mapping, ...] = ()
    # Number of files by which a child moves itself into its cgroups.
    cgroup_entries: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    # Bytes of address space that a run child has before its script; RLIMIT_AS counts them.
    base_address_space: int = 0
    # Bytes of writable memory that a run child has asked for before its script; RLIMIT_DATA counts them. 0: this kernel
    # does not report them.
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
