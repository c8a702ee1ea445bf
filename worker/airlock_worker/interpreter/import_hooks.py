"""Calls a function as soon as a script, or one of its libraries, has imported a module."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from types import ModuleType


def on_import(name: str, do: Callable[[ModuleType], None]) -> None:
    """Calls `do` with the module after its import, at once if it is imported already. Errors of `do` are ignored."""
    module = sys.modules.get(name)
    if module is not None:
        _try(do, module)
    else:
        sys.meta_path.insert(0, _Finder(name, do))


def _try(do: Callable[[ModuleType], None], module: ModuleType) -> None:
    try:
        do(module)
    except Exception:
        # `do` failed, because the package is of another release, or the script has a module of its own with that name.
        # The import itself has succeeded.
        pass


class _Finder:
    def __init__(self, name: str, do: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._do = do

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Lets the other finders find the module, and calls the function after it is loaded."""
        if name != self._name:
            return None
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_do(module: ModuleType) -> None:
                load(module)
                _try(self._do, module)

            spec.loader.exec_module = load_and_do  # type: ignore[method-assign]
        return spec
