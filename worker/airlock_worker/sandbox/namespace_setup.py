"""Finds out which namespaces the kernel allows, and makes the sandbox's directory tree. The zygote does this once, so
that no run child has to.

As root the zygote may make namespaces itself; as any other user it first makes a user namespace, which gives that
right.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable, Iterable

from ..linux import kernel
from ..linux.kernel_files import write
from . import gvisor, tree
from .context import HOST_NAME, SandboxContext

# The kernel's "nobody". No file of the machine should belong to it.
_NOBODY = 65534
# User ids that no system gives to accounts, services or containers.
_FIRST_OF_RUNS, _RUNS = 0x7000_0000, 1 << 28
_OF_CHILDREN = {
    "mount_namespace": kernel.CLONE_NEWNS,
    "ipc_namespace": kernel.CLONE_NEWIPC,
    "uts_namespace": kernel.CLONE_NEWUTS,
    "pid_namespace": kernel.CLONE_NEWPID,
    "network_namespace": kernel.CLONE_NEWNET,
}


def make_tree(context: SandboxContext, contents: tree.Contents) -> None:
    """Makes the tree and enters it. Raises ProgramsMissing. The context's problems get what the kernel refused."""
    context.worker_is_root = _is_root_outside()
    context.on_gvisor = gvisor.is_kernel()
    try:
        _enter_own_mounts()
    except OSError as error:
        context.problems["minimal_tree"] = context.problems["mount_namespace"] = str(error)
        return
    try:
        built = tree.build(context.run_dir, contents)
    except OSError as error:
        context.problems["minimal_tree"] = str(error)
        return
    context.minimal_tree = True
    context.programs, context.interpreters = built.programs, built.interpreters
    if built.shared is not None:
        context.problems["private_files"] = built.shared


def prepare(context: SandboxContext, keep_paths: Iterable[str]) -> None:
    """Tries out the namespaces and users that runs will get. Runs inside the tree, where there is one."""
    for name, flag in _OF_CHILDREN.items():
        problem = problem_of(lambda flag=flag: kernel.unshare(flag))  # type: ignore[misc]
        if problem is None:
            context.clone_flags |= flag
        else:
            context.problems[name] = problem
    if context.clone_flags & kernel.CLONE_NEWNET:
        # The zygote enters a network namespace without a connection, which its template inherits, because packages must
        # have no network while they are imported. Each run gets a network namespace of its own besides.
        kernel.unshare(kernel.CLONE_NEWNET)
    if context.clone_flags & kernel.CLONE_NEWUTS:
        # The host name is changed already before the imports, because packages may store the name that they see at
        # import.
        with contextlib.suppress(OSError):
            kernel.unshare(kernel.CLONE_NEWUTS)
            socket.sethostname(HOST_NAME)
    if context.minimal_tree and os.geteuid() == 0:
        problem = problem_of(lambda: _look_as_nobody(keep_paths))
        if problem is None:
            context.script_uid = _NOBODY
            # A user namespace around the worker may have no other users than "nobody".
            context.user_per_run = problem_of(lambda: become(_FIRST_OF_RUNS)) is None
        else:
            context.problems["unprivileged_user"] = problem
    problem = problem_of(lambda: kernel.unshare(kernel.CLONE_NEWUSER))
    context.user_namespace = problem is None
    if problem is not None:
        context.problems["user_namespace"] = problem
    context.look_around(keep_paths)


def _enter_own_mounts() -> None:
    try:
        kernel.unshare(kernel.CLONE_NEWNS)
    except PermissionError:
        uid, gid = os.getuid(), os.getgid()
        kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS)
        map_user(uid, gid, uid, gid)
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)


def map_user(inside_uid: int, inside_gid: int, uid: int, gid: int) -> None:
    """Sets the one user and the one group that exist in a new user namespace."""
    texts = {"setgroups": "deny", "uid_map": f"{inside_uid} {uid} 1", "gid_map": f"{inside_gid} {gid} 1"}
    for name, text in texts.items():
        write(f"/proc/self/{name}", text)


def _is_root_outside() -> bool:
    """Whether this process is root of the machine. Root of a user namespace around it does not count."""
    with open("/proc/self/uid_map") as file:
        return os.geteuid() == 0 and file.read().split() == ["0", "0", "4294967295"]


def become(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def new_user() -> int:
    """A random user id for one run, because the kernel counts epoll watches, inotify instances and more by user."""
    return _FIRST_OF_RUNS + int.from_bytes(os.urandom(4)) % _RUNS


def _look_as_nobody(keep_paths: Iterable[str]) -> None:
    """Becomes "nobody" and checks that it can read interpreter and packages. Raises PermissionError."""
    become(_NOBODY)
    for path in (sys.executable, *(path for path in keep_paths if os.path.isdir(path))):
        if not os.access(path, os.R_OK | os.X_OK):
            raise PermissionError(13, f"only the worker's own user can read {path}")


def problem_of(attempt: Callable[[], None]) -> str | None:
    """The attempt's error text, None if it succeeds. Made in a process of its own, because it cannot be undone."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            text = ""
            try:
                attempt()
            except OSError as error:
                text = str(error)
            os.write(write, text.encode())
            status = 0 if not text else 1
        finally:
            # The forked process exits here and lets no error out, because its calling functions are those of the parent
            # process.
            os._exit(status)
    os.close(write)
    with open(read, "rb") as answer:
        text = answer.read().decode(errors="replace")
    failed = os.waitpid(pid, 0)[1] != 0
    return (text or "the attempt ended without an answer") if failed else None
