"""Process 1 of a run as a program of its own of 300 bytes, instead of a copy of the template.

A copy costs as much as the script's own process: page tables at the fork, a copy of each page that is written, and all
of it again at the end. So the template makes process 1 by a clone that shares its memory and stops it (CLONE_VM and
CLONE_VFORK). Process 1 forks the script's process, which is a copy of the template as before, and then executes the
program. Python code cannot run in such a process, because it would change the interpreter of the template. So its few
system calls are machine code (small_init_code.py).

The supervisor learns of a spare when process 1 executes its program, and not before. So no script runs while process 1
has the template's memory.

Only for x86-64. Elsewhere, and where the kernel refuses a step, process 1 is a copy (init.py).
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import signal
import socket
from collections.abc import Sequence

from ..linux import kernel
from ..linux.syscalls import number_of
from ..sandbox.context import SandboxContext
from ..sandbox.namespace_setup import problem_of
from . import init
from .small_init_code import MOST_CGROUPS, SCRIPT, Orders, forking, program

_NAMESPACES = kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWPID | kernel.CLONE_NEWNET
_CLONE_VM, _CLONE_VFORK = 0x100, 0x4000
# Bytes of the stack of process 1 until it executes its program. The handlers that packages have for forks need it.
_STACK = 256 << 10
# Status with which the script's process of a trial exits.
_TRIAL_STATUS = 7

_before_fork = ctypes.pythonapi.PyOS_BeforeFork
_after_fork = ctypes.pythonapi.PyOS_AfterFork_Parent
_after_fork_in_child = ctypes.pythonapi.PyOS_AfterFork_Child
for _function in (_before_fork, _after_fork, _after_fork_in_child):
    _function.restype = None


class SmallInit:
    """Forks run children whose process 1 is the small program. For a process with one thread."""

    def __init__(self, cgroups: int) -> None:
        """`cgroups`: number of files by which process 1 moves itself into the run's cgroup. Raises OSError."""
        self.cgroups = cgroups
        self._file = os.memfd_create("init")
        os.write(self._file, program())
        # Its owner may execute it and not read it (see `forking`).
        os.fchmod(self._file, 0o111)
        self._code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._code.write(forking(cgroups))
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._code))
        self._fork = ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(address)
        kernel.protect(address, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC)
        self._stack = ctypes.create_string_buffer(_STACK)
        begin = (ctypes.addressof(self._stack) + 15) // 16 * 16
        self._stack_end = begin + _STACK - 16
        self._arguments = (ctypes.c_char_p * 2)(b"airlock-init", None)
        self._empty, self._zero = ctypes.create_string_buffer(b""), ctypes.create_string_buffer(b"0")
        self._header, self._none = kernel.no_capabilities()
        area, size = _restartable_sequences()
        self._into_cgroup = kernel.CloneArgs(exit_signal=signal.SIGCHLD, stack=begin, stack_size=_STACK - 16)
        self._orders = Orders(
            fork=kernel.address_of_fork(),
            restartable=area,
            restartable_bytes=size,
            zero=ctypes.addressof(self._zero),
            program=self._file,
            path=ctypes.addressof(self._empty),
            arguments=ctypes.addressof(self._arguments),
            capabilities=ctypes.addressof(self._header),
            none=ctypes.addressof(self._none),
        )
        self._place = ctypes.c_void_p(ctypes.addressof(self._orders))

    def fork(self, flags: int, cgroup: int | None, entries: Sequence[int], status: int) -> int:
        """Returns the pid of process 1, and 0 in the script's process, which is its child. Raises OSError.

        `flags`: namespaces of process 1. `cgroup`: descriptor of the directory of a cgroup of version 2 that it is born
        in; `entries`: of files by which it moves itself into cgroups. `status`: socket for the script's wait status.
        """
        orders = self._orders
        orders.status, orders.error = status, 0
        orders.cgroup0, orders.cgroup1, orders.cgroup2 = (*entries, -1, -1, -1)[:MOST_CGROUPS]
        flags |= _CLONE_VM | _CLONE_VFORK
        if cgroup is None:
            orders.clone, orders.first, orders.second = number_of("clone"), flags | signal.SIGCHLD, self._stack_end
        else:
            self._into_cgroup.flags, self._into_cgroup.cgroup = flags | kernel.CLONE_INTO_CGROUP, cgroup
            orders.clone, orders.first = number_of("clone3"), ctypes.addressof(self._into_cgroup)
            orders.second = ctypes.sizeof(self._into_cgroup)
        _before_fork()
        pid: int = self._fork(self._place)
        if pid == 0:
            _after_fork_in_child()
            return 0
        _after_fork()
        if pid < 0:
            raise OSError(-pid, f"clone: {os.strerror(-pid)}")
        if orders.error:
            os.waitpid(pid, 0)
            # libc's `fork` returns -1; its errno is the template's, because process 1 shared its memory.
            number = kernel.errno_of_libc() if orders.error == -1 else -orders.error
            raise OSError(number, f"process 1: {os.strerror(number)}")
        return pid


def made(context: SandboxContext, cgroups: int) -> SmallInit | None:
    """A SmallInit that was tried out; None where process 1 has to be a copy of the template."""
    if os.uname().machine != "x86_64" or context.on_gvisor:
        return None
    if context.clone_flags != _NAMESPACES or cgroups > MOST_CGROUPS:
        return None
    try:
        small = SmallInit(cgroups)
    except OSError:
        return None
    # In a process of its own, which may crash.
    return small if problem_of(lambda: _try(small)) is None else None


def _try(small: SmallInit) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    word, status = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with word, status:
        pid = small.fork(_NAMESPACES, None, [null] * small.cgroups, status.fileno())
        if pid == 0:
            os._exit(_TRIAL_STATUS if os.getpid() == SCRIPT and os.getppid() == 1 else 1)
        ended = os.waitpid(pid, 0)[1]
        status.close()
        if ended != 0 or init.status_from(word, 1) != _TRIAL_STATUS << 8:
            raise OSError(errno.ENOSYS, "the small process 1 does not work")


def _restartable_sequences() -> tuple[int, int]:
    """Address and size of the area that glibc has registered for restartable sequences; zeros with another libc."""
    try:
        offset, size = kernel.restartable_sequences()
    except ValueError:
        return 0, 0
    return (kernel.thread_descriptor() + offset, max(32, size)) if size else (0, 0)
