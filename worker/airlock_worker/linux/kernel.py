"""System calls that the standard library of Python 3.11 does not offer. Each raises OSError when the kernel refuses."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import signal

from .syscalls import number_of

_libc = ctypes.CDLL(None, use_errno=True)
# All libc functions are looked up once at import, because ctypes makes an object at the first look-up, which would cost
# every run child memory of its own.
for _name in (
    "prctl",
    "unshare",
    "mount",
    "umount2",
    "syscall",
    "capget",
    "capset",
    "personality",
    "signal",
    "mprotect",
):
    getattr(_libc, _name)
_pthread_self = _libc.pthread_self
_pthread_self.restype = ctypes.c_size_t
_errno_location = _libc["__errno_location"]
_errno_location.restype = ctypes.POINTER(ctypes.c_int)

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
PR_SET_CHILD_SUBREAPER = 36
PR_CAPBSET_DROP = 24
# The value of RLIMIT_CORE for which the kernel starts no crash handler. For 0 it starts one, without a dump. A core
# file would have to be larger, so none is written either.
NO_CRASH_HANDLER = 1
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 2, 4

CLONE_PARENT = 0x00008000
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_INTO_CGROUP = 0x200000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

ADDR_NO_RANDOMIZE = 0x0040000
# Stack limits in bytes: the usual one, and the largest for which the kernel still reserves 128 MiB of addresses.
_USUAL_STACK, _LARGEST_STACK = 8 << 20, 64 << 20

_SYS_MOUNT_SETATTR = 442
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 1
_MOUNT_ATTR_NOSUID = 2
_CAPABILITY_VERSION_3 = 0x20080522
# Arguments of capset and capget, made once at import, because objects that a run child makes are memory of its own.
_OWN_CAPABILITIES = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
_NONE = (ctypes.c_uint32 * 6)()


class _MountAttr(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


class CloneArgs(ctypes.Structure):
    """The arguments of the system call clone3."""

    _fields_ = [
        (name, ctypes.c_uint64)
        for name in (
            *("flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size", "tls"),
            *("set_tid", "set_tid_size", "cgroup"),
        )
    ]


def _check(result: int, call: str) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
    return result


def prctl(option: int, value: int, third: int = 0) -> None:
    _check(_libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(third), 0, 0), "prctl")


def unshare(flags: int) -> None:
    _check(_libc.unshare(flags), "unshare")


def clone(flags: int, cgroup: int | None = None) -> int:
    """Forks into new namespaces and into `cgroup`, the descriptor of a version 2 directory (None: the parent's cgroup).

    The child must only set itself up and fork again with os.fork, because libc and Python do not know of this fork.
    Only for a process with one thread. Raises OSError.
    """
    if cgroup is None:
        return call("clone", flags | signal.SIGCHLD, 0, 0, 0, 0)
    arguments = CloneArgs(flags=flags | CLONE_INTO_CGROUP, exit_signal=signal.SIGCHLD, cgroup=cgroup)
    return call("clone3", ctypes.byref(arguments), ctypes.sizeof(arguments))


def syscall(name: str, *arguments: object) -> int:
    """Makes a system call by its name. Returns the call's result; -1 on failure, with the reason in ctypes' errno."""
    words = [ctypes.c_ulong(word) if isinstance(word, int) else word for word in arguments]
    result: int = _libc.syscall(ctypes.c_long(number_of(name)), *words)
    return result


def call(name: str, *arguments: object) -> int:
    return _check(syscall(name, *arguments), name)


def change_root(path: str) -> None:
    """Makes the mount point `path` the root. The old root is gone from this mount namespace."""
    os.chdir(path)
    # Puts the old root on top of the new one, so that no directory is needed for it.
    call("pivot_root", b".", b".")
    _check(_libc.umount2(b".", MNT_DETACH), "umount2")
    os.chdir("/")


def unmount(path: str) -> None:
    """Removes the mount from the tree at once; it ends when nothing uses it any more."""
    _check(_libc.umount2(os.fsencode(path), MNT_DETACH), f"umount {path}")


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    data_bytes = None if data is None else data.encode()
    _check(_libc.mount(*texts, ctypes.c_ulong(flags), data_bytes), f"mount {target}")


def make_tree_read_only(path: str) -> None:
    """Makes every mount at and below `path` read-only."""
    try:
        _mount_setattr(path, _MountAttr(_MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID, 0, 0, 0), _AT_RECURSIVE)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        # Linux before 5.12 and gVisor have no mount_setattr, so each mount is changed by itself.
        for place in _mounts_at_or_below(path):
            _remount(place, _flags_of(place) | MS_RDONLY | MS_NOSUID)


def make_mount_writable(path: str) -> None:
    try:
        _mount_setattr(path, _MountAttr(0, _MOUNT_ATTR_RDONLY, 0, 0), 0)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        _remount(path, _flags_of(path) & ~MS_RDONLY)


def _remount(path: str, flags: int) -> None:
    mount(None, path, None, MS_BIND | MS_REMOUNT | flags)


def _flags_of(path: str) -> int:
    # The flags that the mount has now, for a remount. A flag that is left out would be cleared, which a user namespace
    # may not do. statvfs and mount use the same numbers.
    return os.statvfs(path).f_flag & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)


def _mounts_at_or_below(path: str) -> list[str]:
    return [place for place in mount_points() if f"{place}/".startswith(f"{path.rstrip('/')}/")]


def mount_points() -> list[str]:
    """All mount points, in the order in which they were made."""
    return [place for place, _ in mounts()]


def mounts() -> list[tuple[str, str]]:
    """Mount point and file system type of each mount of this mount namespace."""
    with open("/proc/self/mountinfo") as file:
        lines = [line.split() for line in file]
    return [
        (os.fsdecode(line[4].encode().decode("unicode_escape").encode("latin-1")), line[line.index("-") + 1])
        for line in lines
    ]


def _mount_setattr(path: str, attributes: _MountAttr, flags: int) -> None:
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    arguments = (_AT_FDCWD, os.fsencode(path), flags, ctypes.byref(attributes), size)
    _check(_libc.syscall(ctypes.c_long(_SYS_MOUNT_SETATTR), *arguments), f"mount_setattr {path}")


def keep_memory_out_of_core_dumps() -> None:
    """Keeps memory out of core dumps, for this process and all that it starts. RLIMIT_CORE of 0 is not enough, because
    a crash handler of the machine gets the dump all the same, and reads and keeps the environment, secrets included.
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (NO_CRASH_HANDLER, NO_CRASH_HANDLER))
    # A kernel without this file writes no core dumps of its own.
    with contextlib.suppress(OSError), open("/proc/self/coredump_filter", "w") as file:
        file.write("0")


def protect(address: int, size: int, protection: int) -> None:
    """Changes what may be done with the pages at `address`."""
    _check(_libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(size), protection), "mprotect")


def address_of_fork() -> int:
    """Address of libc's function `fork`."""
    return ctypes.cast(_libc.fork, ctypes.c_void_p).value or 0


def errno_of_libc() -> int:
    """libc's errno of this thread, after a call that ctypes did not make."""
    return int(_errno_location().contents.value)


def thread_descriptor() -> int:
    """Address of libc's descriptor of this thread."""
    return int(_pthread_self())


def restartable_sequences() -> tuple[int, int]:
    """Offset from the thread's descriptor, and size, of the area that glibc has registered for restartable sequences.
    Raises ValueError with a libc that has none.
    """
    offset = ctypes.c_ssize_t.in_dll(_libc, "__rseq_offset").value
    return offset, ctypes.c_uint.in_dll(_libc, "__rseq_size").value


def no_capabilities() -> tuple[ctypes.Array[ctypes.c_uint32], ctypes.Array[ctypes.c_uint32]]:
    """The two arguments by which capset gives up every capability."""
    return _OWN_CAPABILITIES, _NONE


def keep_capabilities_over_exec() -> None:
    """Keeps the capabilities of a user namespace whose user is not root there, because exec would drop them."""
    held = (ctypes.c_uint32 * 6)()
    _check(_libc.capget(_OWN_CAPABILITIES, held), "capget")
    # Copies the permitted capabilities to the inheritable ones: fields 0 to 2 are effective, permitted and inheritable
    # for 32 capabilities, fields 3 to 5 for the other 32.
    held[2], held[5] = held[1], held[4]
    _check(_libc.capset(_OWN_CAPABILITIES, held), "capset")
    for number in range(64):
        if held[1 if number < 32 else 4] >> number % 32 & 1:
            prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number)


def keep_capabilities_to_oneself() -> None:
    """Keeps this process's capabilities from the programs that it starts."""
    held = (ctypes.c_uint32 * 6)()
    _check(_libc.capget(_OWN_CAPABILITIES, held), "capget")
    held[2] = held[5] = 0
    _check(_libc.capset(_OWN_CAPABILITIES, held), "capset")
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)


def drop_capabilities() -> None:
    """Gives up every capability. With no_new_privs, no program started later can regain them."""
    _check(_libc.capset(_OWN_CAPABILITIES, _NONE), "capset")


def reset_signal(number: int) -> None:
    """Restores the kernel's default for a signal. Python does not notice, so only for a process that runs no more
    Python code.
    """
    _check(_libc.signal(number, None), "signal")


def fix_addresses() -> None:
    """From the next exec on, this process and its children get the same addresses each time."""
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    # A larger stack limit moves everything below the stack, and without a limit the kernel assigns addresses bottom up.
    if soft == resource.RLIM_INFINITY or soft > _LARGEST_STACK:
        resource.setrlimit(resource.RLIMIT_STACK, (_USUAL_STACK, hard))
    _check(_libc.personality(ctypes.c_ulong(_personality() | ADDR_NO_RANDOMIZE)), "personality")


def addresses_are_fixed() -> bool:
    return _personality() & ADDR_NO_RANDOMIZE != 0


def _personality() -> int:
    return _check(_libc.personality(ctypes.c_ulong(0xFFFFFFFF)), "personality")
