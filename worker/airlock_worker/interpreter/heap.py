"""Makes the addresses of new objects the same in every run, whatever happened in the process before.

The default hash of an object, a class, a function or a NaN is its address, so the order of a set depends on three
allocators: CPython's for small objects, libc's for large ones such as classes, and the kernel's, which has the memory
for both. Each reuses freed memory before it takes new memory. So all free memory is taken here and never given back.
Later objects are in new memory, which begins at a round address.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import mmap
import sys
from collections import Counter
from collections.abc import Iterator

from ..linux import kernel

_MIB = 1 << 20
# New memory begins below the existing mappings, at a multiple of this many bytes. The gap in between is reserved, so it
# counts as address space.
_STEP = 64 * _MIB

# CPython's allocator: blocks of 16, 32, … 512 bytes. Blocks of one size are in pools of their own.
_BLOCKS = tuple(range(512, 15, -16))
# Size of the block of a Python int.
_BLOCK_OF_NUMBERS = 32
# Bytes of a pool, and of the header at its beginning.
_POOL, _POOL_HEADER = 16 << 10, 48


def _counts(usual: int, more: dict[int, int], before: tuple[int, ...] = (0,) * len(_BLOCKS)) -> tuple[int, ...]:
    """A number of blocks for each size: the count in `before`, plus `usual` or the number in `more`."""
    return tuple(count + more.get(size, usual) for count, size in zip(before, _BLOCKS, strict=True))


# Numbers of blocks of each size that the template and a child may use until the child gets its GIVEN frame (secrets and
# network). They are half as many again as were seen in use, and a few, because each page of a pool is memory of every
# run.
UNTIL_GIVEN = _counts(
    4,
    {512: 5, 256: 6, 240: 8, 224: 36, 208: 8, 176: 8, 160: 12, 144: 46, 128: 20, 112: 8, 96: 20, 80: 54, 64: 88}
    | {48: 58, 32: 40, 16: 20},
)
# The numbers of blocks until the child gets its START frame (the request).
UNTIL_START = _counts(2, {512: 1, 80: 8, 64: 16, 48: 12, 32: 12, 16: 12}, UNTIL_GIVEN)
# The numbers of blocks until the script's first line.
UNTIL_SCRIPT = _counts(
    2, {512: 1, 400: 3, 272: 7, 240: 5, 160: 9, 128: 16, 96: 12, 80: 16, 64: 56, 48: 24, 32: 20, 16: 12}, UNTIL_START
)
# Sizes of requests that empty each list of free chunks of libc's allocator. The larger sizes come first, because libc
# splits large chunks for small requests.
_LARGE = tuple(1 << shift for shift in range(19, 10, -1))
_LISTED = range(1032, 23, -16)
# Bytes of the header that libc puts before each chunk, and of its smallest chunk.
_HEADER, _LEAST = 16, 32
# Bytes above which libc takes a chunk as a mapping of its own from the kernel, and gives it back when it is freed.
# Freeing such a chunk raises libc's limit to the chunk's size.
_OWN_MAPPING = 1 * _MIB
# Bytes: after `aside`, libc's heap begins anew at a multiple of this. All secrets of a project take less, even when
# they are copied for a moment.
_ASIDE_BYTES = 8 * _MIB
# Most blocks that one loop takes, because with another kind of allocator it would never end.
_ENOUGH = 1 << 18

# Arguments of mmap: PROT_NONE; MAP_PRIVATE, MAP_ANONYMOUS and MAP_NORESERVE; MAP_FIXED_NOREPLACE.
_PROT_NONE, _RESERVED, _MAP_FIXED_NOREPLACE = 0, 0x02 | 0x20 | 0x4000, 0x100000

_libc = ctypes.CDLL(None)
_malloc, _free, _sbrk, _mmap, _munmap = _libc.malloc, _libc.free, _libc.sbrk, _libc.mmap, _libc.munmap
_malloc.argtypes, _malloc.restype = [ctypes.c_size_t], ctypes.c_size_t
_free.argtypes, _free.restype = [ctypes.c_size_t], None
_sbrk.argtypes, _sbrk.restype = [ctypes.c_ssize_t], ctypes.c_size_t
_mmap.argtypes = [ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_mmap.restype = ctypes.c_size_t
_madvise = _libc.madvise
_madvise.argtypes = [ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
_munmap.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
# PyObject_Malloc gets no argtypes, because with them ctypes would make an object for each argument, in a block of its
# own.
_block = ctypes.pythonapi["PyObject_Malloc"]
_block.restype = ctypes.c_size_t
_block_of_no_name = ctypes.pythonapi["PyObject_Malloc"]
_block_of_no_name.restype = None


class _Allocator(ctypes.Structure):
    """PyMemAllocatorEx: https://docs.python.org/3/c-api/memory.html#c.PyMemAllocatorEx"""

    _fields_ = [(name, ctypes.c_void_p) for name in ("context", "malloc", "calloc", "realloc", "free")]


_RAW, _MEM, _OBJECTS = 0, 1, 2
_set_allocator = ctypes.pythonapi.PyMem_SetAllocator
_set_allocator.restype = None


def _allocator_of(domain: int) -> _Allocator:
    allocator = _Allocator()
    ctypes.pythonapi.PyMem_GetAllocator(domain, ctypes.byref(allocator))
    return allocator


def _from_libc(usual: _Allocator) -> _Allocator:
    """An allocator that takes new memory from libc. Freed and resized memory may be in CPython's pools; `usual` tells
    them apart by address.
    """
    raw = _allocator_of(_RAW)
    return _Allocator(usual.context, raw.malloc, raw.calloc, usual.realloc, usual.free)


_DOMAINS = (_MEM, _OBJECTS)
_USUAL = tuple(_allocator_of(domain) for domain in _DOMAINS)
_ASIDE = tuple(_from_libc(usual) for usual in _USUAL)
# These arguments are made in advance, because a switch of allocators must need no memory.
_SWITCH_ASIDE = tuple((domain, ctypes.byref(each)) for domain, each in zip(_DOMAINS, _ASIDE, strict=True))
_SWITCH_BACK = tuple((domain, ctypes.byref(each)) for domain, each in zip(_DOMAINS, _USUAL, strict=True))


# Empties the cache of attributes, which holds names that were looked up, and is the only holder of those that C code
# makes for a call (`__subclasses__`). Which other name evicts such a name, and frees its memory, depends on their
# addresses.
_clear_type_cache = getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache


def number_types() -> None:
    """Lets the interpreter number all classes in one order, because its attribute cache is indexed by these numbers.
    A class gets its number at its first look-up of an attribute, which depends on the machine and its user."""
    classes: list[type] = [object]
    known = {id(object)}
    for each in classes:
        with contextlib.suppress(AttributeError):
            # No class has this name, so no code of a class is called.
            type.__getattribute__(each, " ")
        found: list[type] = type.__subclasses__(each)
        classes += [kind for kind in found if id(kind) not in known]
        known.update(map(id, found))


class _Mallinfo(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_int)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks")
    ] + [("keepcost", ctypes.c_int)]


# glibc's statistics of its heap; None with another libc.
_mallinfo = getattr(_libc, "mallinfo", None)
if _mallinfo is not None:
    _mallinfo.restype = _Mallinfo


class Heap:
    def __init__(self) -> None:
        # Addresses below this are new memory. 0: the kernel's addresses cannot be predicted, so this class leaves the
        # heap as it is.
        self._line = 0
        # For each block size of `_BLOCKS`: address of the pool that new blocks come from.
        self._pools: list[int] = []
        # For each pool of `_pools`: its count of used blocks, which is the first field of its header.
        self._used: list[ctypes.c_uint] = []

    def begin_anew(self) -> None:
        """Takes all free memory, so that later objects are in new memory. Not for a run child, because it takes
        milliseconds.
        """
        number_types()
        _clear_type_cache()
        gc.collect()
        self._line = _take_gaps()
        if not self._line:
            return
        if _mallinfo is not None:
            # Freeing a chunk of this size raises libc's limit for mappings of their own, so that from now on libc's
            # heap serves all smaller requests, independent of what was freed before.
            _free(_malloc(_OWN_MAPPING))
            _take_freed(16 * _MIB)
        self._take_pools()
        self._take_old()
        self._pools = [_block(size) // _POOL * _POOL for size in _BLOCKS]
        self._used = [ctypes.c_uint.from_address(pool) for pool in self._pools]

    def _take_pools(self) -> None:
        """Takes pools that are wholly free. Their memory, except for the page that marks them as full, goes back to the
        kernel, because each fork would copy the page table entries.
        """
        size, page = _BLOCKS[0], mmap.PAGESIZE
        taken: Counter[int] = Counter()
        while (block := _block(size)) >= self._line and taken.total() < _ENOUGH:
            taken[block // _POOL * _POOL] += 1
        for pool, count in taken.items():
            if count == (_POOL - _POOL_HEADER) // size and page < _POOL:
                _madvise(pool + page, _POOL - page, mmap.MADV_DONTNEED)

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """While entered, new objects take no blocks of CPython's pools, however many they are. `settle` leaves their
        memory unused.
        """
        for domain, allocator in _SWITCH_ASIDE:
            _set_allocator(domain, allocator)
        try:
            yield
        finally:
            for domain, allocator in _SWITCH_BACK:
                _set_allocator(domain, allocator)

    def settle(self, blocks: tuple[int, ...], after_aside: bool = False) -> None:
        """Begins new memory in a run child, after what it and the template have used, and after `blocks` of each
        pool. `after_aside`: also after what was allocated `aside` since the last call.
        """
        _clear_type_cache()
        gc.collect()
        if not self._line:
            return
        if _mallinfo is not None:
            _take_freed(_ASIDE_BYTES if after_aside else _MIB)
        self._take_old()
        at = 0
        while at < len(_BLOCKS):
            size, missing = _BLOCKS[at], blocks[at] - self._used[at].value
            while missing > 0:
                _block_of_no_name(size)
                missing -= 1
            at += 1

    def _take_old(self) -> None:
        """Takes all free blocks of CPython's pools in old memory, so that later objects are in new memory."""
        # A garbage collection also empties Python's own lists of freed objects, so that later objects do not reuse
        # these.
        gc.collect()
        # The loop has no iterator, because an iterator would free its own block afterwards.
        at = 0
        while at < len(_BLOCKS):
            size = _BLOCKS[at]
            # For the size of ints the loop ends only after three new blocks in a row, because the ints that are
            # compared here take and free blocks of this size, too.
            enough = 3 if size == _BLOCK_OF_NUMBERS else 1
            new = taken = 0
            while new < enough and taken < _ENOUGH:
                new = new + 1 if _block(size) < self._line else 0
                taken += 1
            at += 1


def _take_gaps() -> int:
    """Fills all gaps between the process's mappings, so that the kernel puts the next mapping below them. Returns that
    address, or 0 if the kernel does not.
    """
    mappings = _mappings() if kernel.addresses_are_fixed() else []
    line = at = (mappings[0][0] - 1) // _STEP * _STEP if mappings else 0
    for begin, end in mappings:
        if begin > at:
            _mmap(at, begin - at, _PROT_NONE, _RESERVED | _MAP_FIXED_NOREPLACE, -1, 0)
        at = end
    trial = _mmap(0, _MIB, _PROT_NONE, _RESERVED, -1, 0)
    _munmap(trial, _MIB)
    return line if trial < line else 0


def _mappings() -> list[tuple[int, int]]:
    """Mappings that the kernel places: above the program and its heap, below the stack."""
    found: list[tuple[int, int]] = []
    heap_end = _sbrk(0)
    with open("/proc/self/maps") as file:
        for line in file:
            begin, end = (int(text, 16) for text in line.partition(" ")[0].split("-"))
            if line.endswith("[stack]\n"):
                return found
            if begin >= heap_end:
                found.append((begin, end))
    return []


def _take_freed(step: int) -> None:
    """Takes all free memory of libc's heap. The next allocation begins at a multiple of `step`."""
    assert _mallinfo is not None
    info = _mallinfo()
    top, free = _sbrk(0) - info.keepcost, info.fordblks - info.keepcost
    for size in _LARGE:
        # A size larger than all free memory is skipped, because such a request would write to a page of new memory.
        if size > free:
            continue
        while 0 < (place := _malloc(size)) < top:
            pass
        # The last chunk borders on new memory, and becomes part of it again when it is freed.
        _free(place)
    for size in _LISTED:
        while 0 < _malloc(size) < top:
            pass
    # Takes all but the smallest rest of libc's newest memory; libc does not use that rest once the heap's end has
    # moved.
    while (rest := _mallinfo().keepcost - _LEAST) >= _LEAST:
        _malloc(min(rest, _OWN_MAPPING) - _HEADER // 2)
    _sbrk(-_sbrk(0) % step)
