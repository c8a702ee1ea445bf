"""Makes pseudo-random numbers repeatable: same code, same settings and same memory give the same numbers.

Python's global generator and numpy's are seeded from a SHA-256, and so is each generator that a script makes without a
seed: `random.Random()`, `numpy.random.default_rng()`, `RandomState()` and numpy's bit generators. Seeds come from one
stream for each thread and each forked process, so that only the order within a thread counts. A thread gets its stream
from the thread that starts it, because the script decides the order of those starts. `os.urandom`, `secrets`, `uuid4`
and `random.SystemRandom` stay truly random.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import random
import sys
import threading
import weakref
from _thread import _local as ThreadLocal
from _thread import get_ident
from collections.abc import Mapping
from typing import Any

from ..interpreter.import_hooks import on_import

_SEED_BITS = 256
# Seed for generators that packages make while they are imported, before any run.
_OF_IMPORTS = hashlib.sha256(b"imports").digest()
# Generators of Python's `random` that packages made while they were imported; each run seeds them anew. Numpy's keep
# their numbers, which are the same in every run.
_made_by_imports: list[weakref.ref[random.Random]] = []
_threads: Mapping[int, threading.Thread] = threading._active  # type: ignore[attr-defined]
# Name of the attribute that Airlock gives to started threads and pools (the key of their stream of seeds) and to
# futures (their number).
_KEY = "_airlock_key"


def seed_of(code: str, settings: Mapping[str, str], memory_json: str) -> bytes:
    """The seed of a run, 32 bytes. `memory_json`: in a form that is the same for equal values. Secrets do not count."""
    digest = hashlib.sha256()
    parts = [code, memory_json or "{}", *(text for key in sorted(settings) for text in (key, settings[key]))]
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.digest()


class _Stream:
    """The stream of seeds for one thread."""

    def __init__(self, root: bytes, key: bytes) -> None:
        self.root = root
        self._prefix = root + key
        self._drawn = 0
        # By kind of thread (class and function): number of threads that this thread has started.
        self._started: dict[bytes, int] = {}

    def draw(self, bits: int) -> int:
        blocks = []
        for _ in range(0, bits, _SEED_BITS):
            self._drawn += 1
            blocks.append(hashlib.sha256(self._prefix + self._drawn.to_bytes(8, "big")).digest())
        return int.from_bytes(b"".join(blocks), "big") >> (len(blocks) * _SEED_BITS - bits)

    def key_of_next_thread(self, kind: bytes) -> bytes:
        """The next thread's key. It draws no seed, so that starting a thread that draws none moves no numbers."""
        self._started[kind] = number = self._started.get(kind, 0) + 1
        return hashlib.sha256(b"thread" + self._prefix + number.to_bytes(8, "big") + kind).digest()


class _Seeds:
    def __init__(self) -> None:
        self.root = _OF_IMPORTS
        self._of_thread = ThreadLocal()
        # By thread name: number of threads with that name that have drawn a seed. Only threads that `threading.Thread`
        # did not start are counted.
        self._names: dict[str, int] = {}

    def begin(self, root: bytes) -> None:
        self.root, self._names = root, {}

    def draw(self, bits: int) -> int:
        return self._stream().draw(bits)

    def before_start(self, thread: threading.Thread) -> None:
        if _KEY in vars(thread):
            return
        pool = _pool_of(thread)
        stream = self._stream() if pool is None else self._stream_of_pool(pool)
        vars(thread)[_KEY] = stream.key_of_next_thread(_kind_of(thread))

    def _stream(self) -> _Stream:
        stream: _Stream | None = getattr(self._of_thread, "stream", None)
        if stream is None or stream.root is not self.root:
            stream = self._of_thread.stream = _Stream(self.root, self._key(_threads.get(get_ident())))
        return stream

    def _stream_of_pool(self, pool: Any) -> _Stream:
        """The stream of a whole pool, because the number of its threads is a race: a pool starts one unless one
        is idle.
        """
        stream: _Stream | None = vars(pool).get(_KEY)
        if stream is None or stream.root is not self.root:
            stream = vars(pool)[_KEY] = _Stream(self.root, self._stream().key_of_next_thread(b"pool"))
        return stream

    def _key(self, thread: threading.Thread | None) -> bytes:
        key: bytes | None = None if thread is None else vars(thread).get(_KEY)
        if key is None:
            name = "" if thread is None else str(thread.name)
            self._names[name] = number = self._names.get(name, 0) + 1
            key = f"{number} {name} ".encode("utf-8", "backslashreplace")
        return key


def _pool_of(thread: threading.Thread) -> Any:
    """The executor that the thread works for, or None."""
    try:
        target, arguments = thread._target, thread._args  # type: ignore[attr-defined]
        module = sys.modules.get("concurrent.futures.thread")
        return arguments[0]() if module is not None and target is module._worker else None
    except Exception:
        # The private attributes are missing, because this is another release of Python, or a thread class of the
        # script's own.
        return None


def _kind_of(thread: threading.Thread) -> bytes:
    """A thread's kind: its class and the function that it runs. Threads of libraries are counted apart by it, so that
    they do not move the numbers of the script's own threads.
    """
    try:
        target = getattr(thread, "_target", None)
        parts = (type(thread), *(() if target is None else (target,)))
        names = [getattr(part, name, "") for part in parts for name in ("__module__", "__qualname__")]
        return repr([name for name in names if type(name) is str]).encode("utf-8", "backslashreplace")
    except Exception:
        return b""


_seeds = _Seeds()


def prepare() -> None:
    """Installs the seeding of generators, in the template before any package is imported."""
    _seed_unseeded(random)
    _number_starts(threading)
    random.seed(int.from_bytes(_seeds.root, "big"))
    on_import("concurrent.futures._base", _number_futures)
    on_import("numpy.random", _seed_numpy)
    on_import("polars", _seed_polars)
    on_import("numba", _seed_numba)


def seed_generators(seed: bytes) -> None:
    """Seeds all generators, in the run child. From now on a process that the script forks gets seeds of its own."""
    _seed_all(seed)
    os.register_at_fork(before=_forks.before, after_in_child=_forks.after_in_child)


def rehearse() -> None:
    """Seeds once in advance, in the template and in a spare, so that a spare already has its own copies of the memory
    pages that `seed_generators` writes to. A run seeds again before its script.
    """
    _seed_all(seed_of("", {"name": "value"}, ""))


def _seed_all(seed: bytes) -> None:
    _seeds.begin(seed)
    random.seed(int.from_bytes(seed, "big"))
    for made in _made_by_imports:
        generator = made()
        if generator is not None:
            generator.seed()
    for name, seed_module in (("numpy.random", _seed_numpy), ("polars", _seed_polars), ("numba", _seed_numba)):
        module = sys.modules.get(name)
        if module is not None:
            seed_module(module)


def _seed_unseeded(module: Any) -> None:
    seed = module.Random.seed

    @functools.wraps(seed)
    def seed_or_draw(self: random.Random, a: Any = None, version: int = 2) -> None:
        if _seeds.root is _OF_IMPORTS:
            # A generator that is given a seed is taken off the list, so that it keeps its seed and no run seeds it
            # anew.
            _made_by_imports[:] = [made for made in _made_by_imports if made() is not self]
            if a is None:
                _made_by_imports.append(weakref.ref(self))
        seed(self, _seeds.draw(_SEED_BITS) if a is None else a, version)

    module.Random.seed = seed_or_draw
    module.seed = module._inst.seed


def _number_starts(module: Any) -> None:
    start = module.Thread.start

    @functools.wraps(start)
    def number_and_start(self: threading.Thread) -> None:
        _seeds.before_start(self)
        start(self)

    module.Thread.start = number_and_start


def _number_futures(base: Any) -> None:
    """Numbers futures and hashes them by number, because `wait` returns sets of them, and threads make them at any
    address.
    """
    numbers, make = itertools.count(), base.Future.__init__

    @functools.wraps(make)
    def make_and_number(self: Any, *arguments: Any, **named: Any) -> None:
        vars(self)[_KEY] = next(numbers)
        make(self, *arguments, **named)

    def number(self: Any) -> int:
        found: int | None = vars(self).get(_KEY)
        return object.__hash__(self) if found is None else found

    base.Future.__init__, base.Future.__hash__ = make_and_number, number


def _seed_numpy(numpy_random: Any) -> None:
    # numpy's generators call `randbits` when they get no seed, so they get Airlock's seeds.
    numpy_random.bit_generator.randbits = _seeds.draw
    numpy_random.seed([int.from_bytes(_seeds.root[at : at + 4], "big") for at in range(0, len(_seeds.root), 4)])


def _seed_polars(polars: Any) -> None:
    polars.set_random_seed(int.from_bytes(_seeds.root[:8], "big") >> 1)


def _seed_numba(numba: Any) -> None:
    """Seeds the generators of compiled code: `np.random` and `random` within `@njit`."""
    helper = sys.modules["numba._helperlib"]
    for at, state in enumerate((helper.rnd_get_np_state_ptr(), helper.rnd_get_py_state_ptr())):
        helper.rnd_seed(state, int.from_bytes(_seeds.root[8 + 4 * at : 12 + 4 * at], "big"))


class _Forks:
    """Gives forked processes seeds of their own, because two processes with the same seeds would take equal numbers for
    independent ones.
    """

    def __init__(self) -> None:
        self._of_child = b""

    def before(self) -> None:
        self._of_child = _seeds.draw(_SEED_BITS).to_bytes(_SEED_BITS // 8, "big")

    def after_in_child(self) -> None:
        _seeds.begin(self._of_child)
        # In a process that the script forked, CPython has just seeded the global generator from the system.
        random.seed(int.from_bytes(self._of_child, "big"))


_forks = _Forks()
