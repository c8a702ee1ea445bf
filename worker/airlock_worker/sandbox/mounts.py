"""Mounts of a run child: files that a run writes exist only for it, and are gone with it.

One private tmpfs, bounded by the disk limit, is mounted on /tmp, /var/tmp and /dev/shm; everything else is read-only.
The scratch directory in it has the same path in every run, so that no path differs between two runs.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile

from ..linux import kernel
from ..linux.proc import namespaces
from . import private_view, programs
from .context import SandboxContext

PRIVATE_SCRATCH = "/tmp/airlock"
_FLAGS = kernel.MS_NOSUID | kernel.MS_NODEV
_MAX_FILES = 200_000


def enter_private_places(context: SandboxContext, size_bytes: int) -> None:
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    places = context.private_places
    handles = {path: os.open(path, os.O_PATH) for path in context.hidden_paths}
    kernel.mount("tmpfs", places[0], "tmpfs", _FLAGS, f"size={size_bytes},nr_inodes={_MAX_FILES},mode=0755")
    context.private_mounts = True
    for number, place in reversed(list(enumerate(places))):
        # The first directory of `places` is mounted last, because the tmpfs there hides the directories that become the
        # others.
        part = f"{places[0]}/{number}"
        os.mkdir(part)
        os.chmod(part, 0o1777)
        if context.script_uid is not None:
            os.chown(part, context.script_uid, context.script_uid)
        kernel.mount(part, place, None, kernel.MS_BIND)
    for path, handle in handles.items():
        # A path that a shorter one shows already is skipped; shorter paths come first.
        if not os.path.exists(path):
            os.makedirs(path)
            kernel.mount(f"/proc/self/fd/{handle}", path, None, kernel.MS_BIND | kernel.MS_REC)
        os.close(handle)
    try:
        kernel.make_tree_read_only("/")
        for place in places:
            kernel.make_mount_writable(place)
    except OSError as error:
        context.problems["read_only_root"] = str(error)


def enter_proc(context: SandboxContext) -> None:
    """Mounts a /proc that shows only this pid namespace, without data of the machine where the kernel can leave that
    out.
    """
    if not context.own_pids:
        raise OSError(errno.ENOTSUP, "there is no pid namespace to show")
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    try:
        kernel.mount("proc", "/proc", "proc", flags, "subset=pid")
    except OSError:
        kernel.mount("proc", "/proc", "proc", flags)


def enter_scratch(context: SandboxContext) -> None:
    context.scratch = PRIVATE_SCRATCH if context.private_mounts else scratch_outside(context.run_dir, context.host_pid)
    os.mkdir(context.scratch, 0o700)
    os.chdir(context.scratch)
    tempfile.tempdir = None


def scratch_outside(run_dir: str, pid: int) -> str:
    """Scratch directory of a run without private mounts; the supervisor removes it."""
    return f"{run_dir}/scratch-{pid}"


def measure_private_places(context: SandboxContext) -> str | None:
    if namespaces()["mnt"] == context.outside["mnt"]:
        return context.problems.get("mount_namespace") or "the mount namespace is the worker's own"
    with open("/proc/self/mountinfo") as file:
        tmpfs = {line.split()[4] for line in file if " - tmpfs " in line}
    shared = [place for place in context.private_places if place not in tmpfs]
    return f"shared with other runs: {', '.join(shared)}" if shared else None


def measure_tree(context: SandboxContext) -> str | None:
    if not context.minimal_tree:
        return context.problems.get("minimal_tree") or "the machine's own directory tree is used"
    foreign = [path for path in ("/sys", "/run", "/boot", "/etc/shadow", "/var/lib") if os.path.exists(path)]
    if foreign:
        return f"more than runs need can be seen: {', '.join(foreign)}"
    return programs.measure(context.programs, context.interpreters)


def measure_private_files(context: SandboxContext) -> str | None:
    if not context.minimal_tree:
        return context.problems.get("minimal_tree") or "the machine's own directory tree is used"
    return private_view.measure(context.problems.get("private_files"))


def measure_proc(context: SandboxContext) -> str | None:
    others = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if pid not in (1, os.getpid())]
    if others:
        return context.problems.get("own_proc") or f"{len(others)} other processes can be seen"
    return None


def measure_read_only_root(context: SandboxContext) -> str | None:
    if os.statvfs("/").f_flag & os.ST_RDONLY:
        return None
    return context.problems.get("read_only_root") or "the root file system can be written to"


def measure_scratch(context: SandboxContext) -> str | None:
    with contextlib.suppress(OSError):
        mode = os.stat(context.scratch).st_mode & 0o777
        if os.getcwd() == context.scratch and mode == 0o700 and not os.listdir(context.scratch):
            return None
    return context.problems.get("scratch_directory") or "the scratch directory is not private or not empty"
