"""Whether the kernel below is gVisor's: then no system call of a run reaches the machine's kernel.

What a runtime is called proves nothing. The log of the running kernel cannot be had on Linux without privileges, and
there it does not begin so.
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
