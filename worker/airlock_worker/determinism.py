"""Same code, same settings, same memory: same pseudo-random numbers.

`random` and numpy's global generator are seeded from a SHA-256; numpy also when the script is the first to import it.
`os.urandom`, `secrets`, `uuid4` and generators that ask the system for a seed stay truly random.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import random
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any


def seed_of(code: str, settings: Mapping[str, str], memory_json: str) -> bytes:
    """Each part is preceded by its length, so that no two inputs share one byte string. Secrets do not count."""
    digest = hashlib.sha256()
    parts = [code, memory_json or "{}", *(text for key in sorted(settings) for text in (key, settings[key]))]
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.digest()


def seed_generators(seed: bytes) -> None:
    random.seed(int.from_bytes(seed, "big"))
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        _seed_numpy(numpy_random, seed)
    else:
        sys.meta_path.insert(0, _NumpyRandomSeeder(seed))


def rehearse() -> None:
    """Touches the memory that `seed_generators` writes to; it is seeded again before any script runs."""
    seed = seed_of("", {"name": "value"}, "")
    random.seed(int.from_bytes(seed, "big"))
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        _seed_numpy(numpy_random, seed)


def _seed_numpy(numpy_random: Any, seed: bytes) -> None:
    numpy_random.seed([int.from_bytes(seed[at : at + 4], "big") for at in range(0, len(seed), 4)])


class _NumpyRandomSeeder:
    """Import hook: lets `numpy.random` load as usual and seeds it once it has."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "numpy.random":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            loader = spec.loader
            load = loader.exec_module

            def load_and_seed(module: ModuleType) -> None:
                load(module)
                _seed_numpy(module, self._seed)

            loader.exec_module = load_and_seed  # type: ignore[method-assign]
        return spec
