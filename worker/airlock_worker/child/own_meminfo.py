"""Gives psutil a `/proc/meminfo`, which a run does not have: it shows the memory that the run may use.

Some packages call `psutil.virtual_memory()` at import, and could not be imported otherwise.
"""

from __future__ import annotations

import io
import os
from typing import Any

from ..interpreter.import_hooks import on_import
from ..linux.proc import private_memory_bytes
from ..wire.limits import Limits

_NAME = "/meminfo"
# Bytes of memory that psutil shows as the machine's; 0 while packages are imported: the machine's real memory is shown.
_limit = 0


def install() -> None:
    """Installs the replacement, in the template before any package is imported."""
    on_import("psutil", _answer)


def tell(limits: Limits) -> None:
    """Sets the memory to show, in a run child."""
    global _limit
    _limit = limits.memory_bytes


def _answer(psutil: Any) -> None:
    module = psutil._pslinux
    open_binary = module.open_binary

    def open_or_answer(name: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return open_binary(name, *arguments, **options)
        except FileNotFoundError:
            if not str(name).endswith(_NAME):
                raise
            return io.BytesIO(_text())

    module.open_binary = open_or_answer


def _text() -> bytes:
    total = _limit or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    used = private_memory_bytes()
    free = max(0, total - used)
    sizes = {"MemTotal": total, "MemFree": free, "MemAvailable": free, "Active": used}
    none = ("Buffers", "Cached", "SwapTotal", "SwapFree", "Inactive", "Shmem", "Slab", "SReclaimable")
    lines = [f"{name}: {size >> 10} kB\n" for name, size in {**sizes, **dict.fromkeys(none, 0)}.items()]
    return "".join(lines).encode()
