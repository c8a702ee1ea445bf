"""Detects whether the kernel is gVisor's; then no system call of a run reaches the machine's own kernel.

The runtime's name proves nothing. The kernel's log does: on Linux it cannot be read without privileges, and it does not
begin with gVisor's line.
"""

from __future__ import annotations

import ctypes

from ..linux import kernel

_READ_ALL = 3
_LOG_BYTES = 64 * 1024
_FIRST_LINE = b"Starting gVisor"


def is_kernel() -> bool:
    log = ctypes.create_string_buffer(_LOG_BYTES)
    size = kernel.syscall("syslog", _READ_ALL, log, _LOG_BYTES)
    return size > 0 and _FIRST_LINE in log.raw[:size].split(b"\n", 1)[0]
