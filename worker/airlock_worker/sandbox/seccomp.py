"""The system call filter of a run child: classic BPF, assembled here since no binding is in the standard library.

A list of what is refused, not of what is allowed: any package may be imported. A refused call fails with EPERM, one
that is hidden with ENOSYS, as on a kernel without it, so that libraries fall back. Only entry points of another
architecture, which no Python uses, kill.

A filter sees numbers, not files: locks are for the tree to keep apart (tree.py), since SQLite needs them on files of
the run's own.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import functools
import os
import socket
import struct
from collections.abc import Callable

from ..linux import kernel
from ..linux.proc import status_field
from ..linux.syscalls import LAST_KNOWN, known_number
from ..wire.limits import Limits
from .context import SandboxContext

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000

_REFUSED = (
    # Other processes' memory and descriptors.
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp", "pidfd_getfd"),
    # Mounts and namespaces.
    *("mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "open_tree_attr", "fsopen", "fsconfig"),
    *("fsmount", "fspick", "mount_setattr", "statmount", "listmount", "setns", "unshare"),
    # Large parts of the kernel that scripts have no use for, and that have had many holes.
    *("bpf", "userfaultfd", "keyctl", "add_key", "request_key", "perf_event_open", "vmsplice", "memfd_secret"),
    *("fanotify_init", "fanotify_mark", "name_to_handle_at", "open_by_handle_at", "lookup_dcookie", "nfsservctl"),
    *("mbind", "set_mempolicy", "set_mempolicy_home_node", "migrate_pages", "move_pages"),
    # The machine itself.
    *("kexec_load", "kexec_file_load", "create_module", "init_module", "finit_module", "delete_module", "reboot"),
    *("swapon", "swapoff", "quotactl", "quotactl_fd", "acct", "settimeofday", "clock_settime", "clock_adjtime"),
    *("adjtimex", "sethostname", "setdomainname", "syslog", "vhangup", "iopl", "ioperm", "modify_ldt", "uselib"),
    # They tell of file systems by their number, whoever has mounted them.
    *("ustat", "sysfs"),
)
_HIDDEN = (
    # Its flags lie in memory, where a filter cannot look; libc falls back to clone.
    "clone3",
    *("io_uring_setup", "io_uring_enter", "io_uring_register"),
    # The machine has a fixed number of contexts for all.
    *("io_setup", "io_destroy", "io_getevents", "io_pgetevents", "io_submit", "io_cancel"),
    # They tell what others do with the files that a run shares with them: watches, and what is in the page cache.
    *("inotify_init", "inotify_init1", "mincore", "cachestat"),
)
# A run's own files are in memory, and the whole machine would wait for its disks.
_WITHOUT_EFFECT = ("sync",)
# They tell who opens a file, make who opens it wait, or leave a word on it for others.
_F_SETLEASE, _F_NOTIFY, _F_SET_RW_HINT, _F_SETDELEG = 1024, 1026, 1036, 1040
# Locks of open files. All eventfds and epolls of the machine are one file to the kernel, so that the place of such a
# lock is a word to any other run. Few programs use them; SQLite's are of the other kind.
_F_OFD_GETLK, _F_OFD_SETLK, _F_OFD_SETLKW = 36, 37, 38
# Huge pages are reserved for somebody on this machine, and no limit counts them.
_HUGE_PAGES = {"mmap": (3, 0x40000), "memfd_create": (1, 0x4), "shmget": (2, 0x800)}
# Reads only what is in the page cache already.
_RWF_NOWAIT = 8
_NEW_NAMESPACES = (
    kernel.CLONE_NEWNS
    | kernel.CLONE_NEWCGROUP
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
)
# They put words into a terminal's mouth.
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_PERSONALITY_QUERY = 0xFFFFFFFF

_LOAD, _JUMP_EQUAL, _JUMP_ABOVE, _JUMP_GREATER_EQUAL, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_SECCOMP_MODE_FILTER = 2
_PR_SET_SECCOMP = 22


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def _errno(number: int) -> int:
    return 0x00050000 | number


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _when(test: int, value: int, action: int) -> bytes:
    """`action` when the test of what is loaded holds, else on."""
    return _step(test, value, 0, 1) + _step(_RETURN, action)


def _of_argument(name: str, argument: int, *steps: bytes) -> bytes:
    """For the call `name`: loads one argument (its low half; all those looked at are ints), does the steps, allows."""
    number = known_number(name)
    assert number is not None
    body = _step(_LOAD, _ARGUMENTS + 8 * argument) + b"".join(steps) + _step(_RETURN, _ALLOW)
    return _step(_JUMP_EQUAL, number, 0, len(body) // 8) + body


@functools.cache
def assemble(network: bool) -> bytes:
    machine = os.uname().machine
    if machine not in _ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no filter is written for {machine}")
    eperm, enosys = _errno(errno.EPERM), _errno(errno.ENOSYS)
    parts = [_step(_LOAD, _ARCHITECTURE), _step(_JUMP_EQUAL, _ARCHITECTURES[machine], 1, 0), _step(_RETURN, _KILL)]
    parts.append(_step(_LOAD, _NUMBER))
    if machine == "x86_64":
        parts.append(_when(_JUMP_GREATER_EQUAL, _X32_BIT, _KILL))
    # Newer than this list: nobody has looked at it yet.
    parts.append(_when(_JUMP_ABOVE, LAST_KNOWN, enosys))
    for names, action in ((_REFUSED, eperm), (_HIDDEN, enosys), (_WITHOUT_EFFECT, _errno(0))):
        parts += [_when(_JUMP_EQUAL, number, action) for name in names if (number := known_number(name)) is not None]
    # The last makes a child of somebody else's: without a pid namespace no limit and no end of the run would reach it.
    parts.append(_of_argument("clone", 0, _when(_JUMP_ANY_BIT, _NEW_NAMESPACES | kernel.CLONE_PARENT, eperm)))
    # A run without a pid namespace keeps its orphans by it.
    no_reaper = _step(_LOAD, _ARGUMENTS + 8) + _when(_JUMP_EQUAL, 0, eperm)
    is_reaper = _step(_JUMP_EQUAL, kernel.PR_SET_CHILD_SUBREAPER, 0, len(no_reaper) // 8)
    parts.append(_of_argument("prctl", 0, is_reaper + no_reaper))
    only_query = _step(_JUMP_EQUAL, _PERSONALITY_QUERY, 1, 0) + _step(_RETURN, eperm)
    parts.append(_of_argument("personality", 0, only_query))
    terminal = [_when(_JUMP_EQUAL, request, eperm) for request in (_TIOCSTI, _TIOCLINUX)]
    parts.append(_of_argument("ioctl", 1, *terminal))
    shared = (_F_SETLEASE, _F_NOTIFY, _F_SET_RW_HINT, _F_SETDELEG, _F_OFD_GETLK, _F_OFD_SETLK, _F_OFD_SETLKW)
    parts.append(_of_argument("fcntl", 1, *(_when(_JUMP_EQUAL, command, eperm) for command in shared)))
    for name, (argument, flag) in _HUGE_PAGES.items():
        parts.append(_of_argument(name, argument, _when(_JUMP_ANY_BIT, flag, _errno(errno.ENOMEM))))
    parts.append(_of_argument("preadv2", 5, _when(_JUMP_ANY_BIT, _RWF_NOWAIT, _errno(errno.EOPNOTSUPP))))
    parts.append(_of_argument("socketpair", 0, _only(socket.AF_UNIX)))
    families = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6) if network else ()
    parts.append(_of_argument("socket", 0, _only(*families)))
    return b"".join(parts) + _step(_RETURN, _ALLOW)


def _only(*families: int) -> bytes:
    left = range(len(families), 0, -1)
    tests = [_step(_JUMP_EQUAL, family, steps, 0) for family, steps in zip(families, left, strict=True)]
    return b"".join(tests) + _step(_RETURN, _errno(errno.EPERM))


def prepare() -> None:
    """In the zygote: a filter takes half a millisecond to assemble, and is the same in every run."""
    for network in (False, True):
        # On a machine that there is no filter for, each child says so.
        with contextlib.suppress(OSError):
            assemble(network)


def enter(context: SandboxContext, limits: Limits) -> None:
    code = assemble(limits.network)
    program = _Program(len(code) // 8, code)
    kernel.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(program))


def measure(context: SandboxContext, limits: Limits) -> str | None:
    """Tries what must fail, whoever filters: an outer filter may hide ours."""
    if status_field("Seccomp") != "2":
        return context.problems.get("seccomp") or "the kernel filters no system calls"
    attempts: dict[str, Callable[[], object]] = {
        "unshare": lambda: kernel.unshare(kernel.CLONE_NEWUSER),
        "ptrace": lambda: kernel.call("ptrace", 0, 0, 0, 0),
        "io_uring_setup": lambda: kernel.call("io_uring_setup", 1, 0),
        "inotify_init1": lambda: os.close(kernel.call("inotify_init1", 0)),
        "io_setup": lambda: kernel.call("io_setup", 0, 0),
        "lease": lambda: fcntl.fcntl(1, _F_SETLEASE, fcntl.F_UNLCK),
        "netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    }
    if not limits.network:
        attempts["socket"] = lambda: socket.socket().close()
    open_calls = []
    for name, attempt in attempts.items():
        try:
            attempt()
        except OSError as error:
            if error.errno in (errno.EPERM, errno.ENOSYS):
                continue
        open_calls.append(name)
    return f"system calls get through: {', '.join(open_calls)}" if open_calls else None
