"""Keeps Airlock's code in the run child working, whatever a script replaces or deletes.

A script may set `builtins.len` or `json.dumps` to something else, for itself and its libraries. Airlock's own code runs
in the same interpreter and must not be affected. Three rules ensure that:

1. Modules of this package use a copy of the builtins that was made before any script ran (`install`).
2. They import functions from other modules by name (`from os import write`), if these may be called after a script
   has run.
3. Functions of a Python module look up names of their own module, so of such modules they use a copy (`copy_of`), or
   the C functions beneath.
"""

from __future__ import annotations

import builtins
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

_PACKAGE = __name__.rpartition(".")[0] + "."
_BUILTINS = dict(vars(builtins))


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        # Functions that the module defines take their builtins from this entry.
        vars(module)["__builtins__"] = _BUILTINS
        super().exec_module(module)


class _Finder:
    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not name.startswith(_PACKAGE):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(name, spec.loader.path)
        return spec


def install() -> None:
    """From now on, modules of this package are loaded with builtins of their own."""
    sys.meta_path.insert(0, _Finder)


def leave() -> None:
    """Removes this package from `sys.modules`, because libraries that look through all modules could patch it by
    accident. The code goes on working, but no module of this package can be imported any more.
    """
    sys.meta_path.remove(_Finder)
    for name in [name for name in sys.modules if f"{name}.".startswith(_PACKAGE)]:
        del sys.modules[name]


def copy_of(*names: str) -> list[ModuleType]:
    """Loads modules of the standard library a second time, beside those that scripts find. Each uses the copies before
    it.
    """
    found = {name: sys.modules.get(name) for name in names}
    copies = []
    try:
        for name in names:
            spec = importlib.util.find_spec(name) if found[name] is None else found[name].__spec__  # type: ignore[union-attr]
            assert spec is not None and isinstance(spec.loader, SourceFileLoader), name
            loader = _Loader(name, spec.loader.path)
            copy = importlib.util.module_from_spec(ModuleSpec(name, loader, origin=spec.origin))
            sys.modules[name] = copy
            loader.exec_module(copy)
            copies.append(copy)
    finally:
        for name, module in found.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module
    known = {id(copy): copy for copy in copies}
    for copy in copies:
        _detach(copy, known)
    return copies


def _detach(module: ModuleType, known: dict[int, ModuleType]) -> None:
    """Replaces the modules that `module` has imported by copies, because a script could replace their names as well."""
    for name, value in list(vars(module).items()):
        if isinstance(value, ModuleType) and value is not sys:
            if id(value) not in known:
                known[id(value)] = image = ModuleType(value.__name__)
                vars(image).update(vars(value))
                _detach(image, known)
            vars(module)[name] = known[id(value)]
