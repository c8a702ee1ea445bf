"""The system call filter of a run child: classic BPF, assembled here because the standard library has no binding.

The filter lists what is refused, not what is allowed, because any package may be imported. A refused call fails with
EPERM. A hidden call fails with ENOSYS, as on a kernel without it, so that libraries fall back. Only calls by another
architecture's entry points, which Python never uses, kill the process.

The filter sees numbers, not files. So the tree keeps the locks of runs apart (tree.py), because SQLite needs locks on
the run's own files.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import functools
import os
import resource
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

# System calls that fail with EPERM, as if the script lacked a right.
_REFUSED = (
    # System calls that reach into memory and descriptors of other processes.
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp", "pidfd_getfd"),
    # System calls that change mounts and namespaces, which are part of the sandbox.
    *("mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "open_tree_attr", "fsopen", "fsconfig"),
    *("fsmount", "fspick", "mount_setattr", "statmount", "listmount", "setns", "unshare"),
    # Large parts of the kernel that scripts have no use for, and that have had many holes.
    *("bpf", "userfaultfd", "keyctl", "add_key", "request_key", "perf_event_open", "vmsplice", "memfd_secret"),
    *("fanotify_init", "fanotify_mark", "name_to_handle_at", "open_by_handle_at", "lookup_dcookie", "nfsservctl"),
    *("mbind", "set_mempolicy", "set_mempolicy_home_node", "migrate_pages", "move_pages"),
    # System calls that change the machine itself: its kernel, clock, name, swap and ports.
    *("kexec_load", "kexec_file_load", "create_module", "init_module", "finit_module", "delete_module", "reboot"),
    *("swapon", "swapoff", "quotactl", "quotactl_fd", "acct", "settimeofday", "clock_settime", "clock_adjtime"),
    *("adjtimex", "sethostname", "setdomainname", "syslog", "vhangup", "iopl", "ioperm", "modify_ldt", "uselib"),
    # System calls that report on file systems by device number, including those of other users.
    *("ustat", "sysfs"),
)
# System calls that fail with ENOSYS, as if this kernel did not have them.
_HIDDEN = (
    # clone3 is hidden, because its flags are in memory, where a filter cannot look; libc then falls back to clone.
    "clone3",
    *("io_uring_setup", "io_uring_enter", "io_uring_register"),
    # Asynchronous I/O is hidden, because the whole machine shares a fixed number of contexts for it.
    *("io_setup", "io_destroy", "io_getevents", "io_pgetevents", "io_submit", "io_cancel"),
    # These calls reveal what other processes do with files that a run shares with them: watches, and contents of the
    # page cache.
    *("inotify_init", "inotify_init1", "mincore", "cachestat"),
    # `seccomp` is hidden, because the kernel compiles filters into memory that the whole machine shares.
    "seccomp",
)
# `sync` returns at once without effect, because it would make the whole machine wait for its disks. A run's own files
# are in memory.
_WITHOUT_EFFECT = ("sync",)
# Commands of `fcntl` that reveal which process opens a file, make it wait, or leave a hint on the file for other
# processes.
_F_SETLEASE, _F_NOTIFY, _F_SET_RW_HINT, _F_SETDELEG = 1024, 1026, 1036, 1040
# Commands of `fcntl` for locks of open file descriptions. All eventfds and epolls of the machine are one file to the
# kernel, so two runs could signal each other by such locks. Few programs use them; SQLite's locks are of the other
# kind.
_F_OFD_GETLK, _F_OFD_SETLK, _F_OFD_SETLKW = 36, 37, 38
# By call: argument and flag that ask for huge pages, which are reserved for another use of the machine, and which no
# limit counts.
_HUGE_PAGES = {"mmap": (3, 0x40000), "memfd_create": (1, 0x4), "shmget": (2, 0x800)}
# Flag of `preadv2` that reads only what is in the page cache already, and so reveals what is in it.
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
# Requests of `ioctl` that put input into a terminal, as if the user had typed it.
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_PERSONALITY_QUERY = 0xFFFFFFFF
# Socket options that load programs, which the kernel compiles into memory that the whole machine shares:
# SO_ATTACH_FILTER, SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_CBPF and SO_ATTACH_REUSEPORT_EBPF.
_PROGRAMS_OF_SOCKETS = (26, 50, 51, 52)

# The limit that a script cannot change: RLIMIT_CORE stays 1, because the kernel starts no crash handler for that value
# (privileges.py).
_LEAST_CORE = resource.RLIMIT_CORE
# Bits of the second argument of `socket` that say the type; the others are flags.
_TYPE_BITS = 0xF

_AND = 0x54
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
    """BPF steps that return `action` if the test of the loaded value holds, else continue."""
    return _step(test, value, 0, 1) + _step(_RETURN, action)


def _of_argument(name: str, argument: int, *steps: bytes) -> bytes:
    """BPF steps for the call `name`: load one argument, run `steps`, then allow. Only the low half is loaded: all
    are ints.
    """
    number = known_number(name)
    assert number is not None
    body = _load(argument) + b"".join(steps) + _step(_RETURN, _ALLOW)
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
    # System calls that are newer than the table in syscalls.py are refused, because they have not been reviewed.
    parts.append(_when(_JUMP_ABOVE, LAST_KNOWN, enosys))
    for names, action in ((_REFUSED, eperm), (_HIDDEN, enosys), (_WITHOUT_EFFECT, _errno(0))):
        parts += [_when(_JUMP_EQUAL, number, action) for name in names if (number := known_number(name)) is not None]
    # CLONE_PARENT is refused, because it makes a child of the parent process. Without a pid namespace, no limit and no
    # end of the run would reach that child.
    parts.append(_of_argument("clone", 0, _when(_JUMP_ANY_BIT, _NEW_NAMESPACES | kernel.CLONE_PARENT, eperm)))
    # The run may not stop being a subreaper, because without a pid namespace it keeps its orphans that way.
    no_reaper = _load(1) + _when(_JUMP_EQUAL, 0, eperm)
    no_filter = _when(_JUMP_EQUAL, _PR_SET_SECCOMP, _errno(errno.EINVAL))
    parts.append(_of_argument("prctl", 0, no_filter, _if_equal(kernel.PR_SET_CHILD_SUBREAPER, no_reaper)))
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
    parts.append(_of_argument("socket", 0, _sockets() if network else _only()))
    # SO_LINGER has no effect, because a socket with it can make the kernel's own thread that closes collected sockets
    # wait for as long as the script likes, and with it the whole machine.
    options = [_when(_JUMP_EQUAL, socket.SO_LINGER, _errno(0))]
    options += [_when(_JUMP_EQUAL, option, eperm) for option in _PROGRAMS_OF_SOCKETS]
    parts.append(_of_argument("setsockopt", 1, _if_equal(socket.SOL_SOCKET, _load(2) + b"".join(options))))
    # Setting RLIMIT_CORE reports success without effect, and EPERM if the caller also asks for the old limit in the
    # same call. Reading it works.
    parts.append(_of_argument("setrlimit", 0, _when(_JUMP_EQUAL, _LEAST_CORE, _errno(0))))
    change = _unless_null(2, _unless_null(3, _step(_RETURN, eperm)) + _step(_RETURN, _errno(0)))
    parts.append(_of_argument("prlimit64", 1, _if_equal(_LEAST_CORE, change)))
    return b"".join(parts) + _step(_RETURN, _ALLOW)


def _attach_filter() -> None:
    code = ctypes.create_string_buffer(_step(_RETURN, 0))
    near, far = socket.socketpair()
    with near, far:
        near.setsockopt(socket.SOL_SOCKET, _PROGRAMS_OF_SOCKETS[0], struct.pack("HxxxxxxP", 1, ctypes.addressof(code)))


def _load(argument: int) -> bytes:
    return _step(_LOAD, _ARGUMENTS + 8 * argument)


def _if_equal(value: int, steps: bytes) -> bytes:
    """BPF steps that run `steps` only if the loaded value equals `value`."""
    return _step(_JUMP_EQUAL, value, 0, len(steps) // 8) + steps


def _unless_null(argument: int, steps: bytes) -> bytes:
    """BPF steps that run `steps` only if this pointer is not null."""
    count = len(steps) // 8
    high = _step(_LOAD, _ARGUMENTS + 8 * argument + 4) + _step(_JUMP_EQUAL, 0, count, 0)
    return _load(argument) + _step(_JUMP_EQUAL, 0, 0, len(high) // 8) + high + steps


def _sockets() -> bytes:
    """BPF steps for `socket` in a run with a network: TCP and Unix sockets only. Nothing answers other protocols, the
    kernel loads modules for some, and what waits in UDP sockets counts for no limit.
    """
    refused = _step(_RETURN, _errno(errno.EPERM))
    protocol = _load(2) + _step(_JUMP_EQUAL, 0, 2, 0) + _step(_JUMP_EQUAL, socket.IPPROTO_TCP, 1, 0) + refused
    protocol += _step(_RETURN, _ALLOW)
    kind = _load(1) + _step(_AND, _TYPE_BITS) + _step(_JUMP_EQUAL, socket.SOCK_STREAM, 1, 0) + refused
    steps = kind + protocol
    return _step(_JUMP_EQUAL, socket.AF_UNIX, len(steps) // 8 + 3, 0) + (
        _step(_JUMP_EQUAL, socket.AF_INET, 2, 0) + _step(_JUMP_EQUAL, socket.AF_INET6, 1, 0) + refused + steps
    )


def _only(*families: int) -> bytes:
    left = range(len(families), 0, -1)
    tests = [_step(_JUMP_EQUAL, family, steps, 0) for family, steps in zip(families, left, strict=True)]
    return b"".join(tests) + _step(_RETURN, _errno(errno.EPERM))


def prepare() -> None:
    """Assembles both filters in the template, because each takes half a millisecond and is the same in every run."""
    for network in (False, True):
        # Errors are ignored here: on an architecture without a filter, each child reports the error itself.
        with contextlib.suppress(OSError):
            assemble(network)


def enter(context: SandboxContext, limits: Limits) -> None:
    code = assemble(limits.network)
    program = _Program(len(code) // 8, code)
    kernel.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(program))


def measure(context: SandboxContext, limits: Limits) -> str | None:
    """Tries calls that must fail, because an outer filter may hide this one. None when all fail."""
    if status_field("Seccomp") != "2":
        return context.problems.get("seccomp") or "the kernel filters no system calls"
    attempts: dict[str, Callable[[], object]] = {
        "unshare": lambda: kernel.unshare(kernel.CLONE_NEWUSER),
        "ptrace": lambda: kernel.call("ptrace", 0, 0, 0, 0),
        "io_uring_setup": lambda: kernel.call("io_uring_setup", 1, 0),
        "inotify_init1": lambda: os.close(kernel.call("inotify_init1", 0)),
        "io_setup": lambda: kernel.call("io_setup", 0, 0),
        "lease": lambda: fcntl.fcntl(1, _F_SETLEASE, fcntl.F_UNLCK),
        "socket filter": lambda: _attach_filter(),
        "netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    }
    if limits.network:
        attempts["datagram socket"] = lambda: socket.socket(type=socket.SOCK_DGRAM).close()
    else:
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
