"""Memory that packages share at import: locks and counters of `multiprocessing`, `mmap.mmap(-1, size)`.

All run children would share it, so that one run would see another's numbers, and a dead run would hold its locks. The
template keeps a private copy at the same addresses, which no child can change. Each child turns its copy into shared
memory again, for itself and the processes that it starts.
"""

from __future__ import annotations

import ctypes
import mmap
from dataclasses import dataclass

_libc = ctypes.CDLL(None, use_errno=True)
_mmap, _mremap, _mprotect, _memmove = _libc.mmap, _libc.mremap, _libc.mprotect, ctypes.memmove
_mprotect.argtypes = [ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
_mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_mremap.argtypes = [ctypes.c_size_t, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int, ctypes.c_size_t]
_mmap.restype = _mremap.restype = ctypes.c_size_t
_FAILED = ctypes.c_size_t(-1).value
_MAY_MOVE, _FIXED = 1, 2
_READ_WRITE = mmap.PROT_READ | mmap.PROT_WRITE
_SHARED, _PRIVATE = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


@dataclass(frozen=True)
class Mapping:
    begin: int
    size: int
    # What the process may do with the memory, as PROT_ flags.
    protection: int
    # Offsets in bytes of the pages that do not consist of zeros. Only these are copied.
    pages: tuple[int, ...]


def make_private() -> tuple[Mapping, ...]:
    """Replaces shared mappings by private copies, in the template after the imports. Returns the input of
    `share_anew`.
    """
    found = []
    for begin, size, protection in _found():
        with open("/proc/self/mem", "rb", buffering=0) as memory:
            pages = tuple(at for at in range(0, size, mmap.PAGESIZE) if any(_page(memory, begin + at)))
            copy = _new(size, _PRIVATE)
            for at in pages:
                data = _page(memory, begin + at)
                _memmove(copy + at, data, len(data))
        _put(copy, size, begin)
        # The private copy keeps the protection "read and write", because the children copy from it.
        found.append(Mapping(begin, size, protection, pages))
    return tuple(found)


def share_anew(mappings: tuple[Mapping, ...]) -> None:
    """Makes the memory shared again, in a run child, before any other mapping takes these addresses. Raises OSError;
    then the memory stays private.
    """
    for each in mappings:
        copy = _new(each.size, _SHARED)
        for at in each.pages:
            _memmove(copy + at, each.begin + at, mmap.PAGESIZE)
        _put(copy, each.size, each.begin)
        if each.protection != _READ_WRITE and _mprotect(each.begin, each.size, each.protection) != 0:
            raise OSError(ctypes.get_errno(), "mprotect of memory that packages share")


def _page(memory: object, address: int) -> bytes:
    """The content of a page; empty beyond the end of the mapped file, where touching the memory would kill the
    process.
    """
    try:
        memory.seek(address)  # type: ignore[attr-defined]
        data: bytes = memory.read(mmap.PAGESIZE)  # type: ignore[attr-defined]
    except OSError:
        return b""
    return data


def _new(size: int, flags: int) -> int:
    address: int = _mmap(None, size, _READ_WRITE, flags, -1, 0)
    if address == _FAILED:
        raise OSError(ctypes.get_errno(), "mmap of memory that packages share")
    return address


def _put(copy: int, size: int, begin: int) -> None:
    if _mremap(copy, size, size, _MAY_MOVE | _FIXED, begin) == _FAILED:
        raise OSError(ctypes.get_errno(), "mremap of memory that packages share")


def _found() -> list[tuple[int, int, int]]:
    """Shared mappings that the process can write to, or could make writable: address, size and PROT_ flags."""
    found = []
    mapping, shared_writable = (0, 0, 0), False
    with open("/proc/self/smaps") as file:
        for line in file:
            words = line.split()
            if "-" in words[0]:
                begin, end = (int(text, 16) for text in words[0].split("-"))
                flags = words[1]
                protection = sum(1 << bit for bit in range(3) if flags[bit] == "rwx"[bit])
                mapping, shared_writable = (begin, end - begin, protection), flags[1] == "w" and flags[3] == "s"
                if shared_writable:
                    found.append(mapping)
            elif words[0] == "VmFlags:" and not shared_writable and "sh" in words and "mw" in words:
                found.append(mapping)
    return found
