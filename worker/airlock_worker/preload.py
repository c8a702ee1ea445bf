"""What the zygote imports before the first fork, so that no run has to."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from . import kernel, own_builtins, tree
from .import_hooks import on_import

_ERROR_LINES = 12
# What some distributions install by mistake, and nobody imports.
_NO_LIBRARY = frozenset({"test", "tests", "docs", "doc", "example", "examples", "benchmarks"})
PACKAGE_ROOT = str(Path(__file__).resolve().parent.parent)


def import_all(modules: list[str], distributions: list[str]) -> str | None:
    """None, or the text of the import that failed, in the package's own words."""
    name = ""
    try:
        for name in modules:
            importlib.import_module(name)
        for distribution in distributions:
            name = distribution
            for name in top_level_modules(distribution):
                importlib.import_module(name)
        if "numpy" in sys.modules:
            # numpy loads it on first use; every run seeds it.
            importlib.import_module("numpy.random")
    except BaseException as error:
        lines = "".join(traceback.format_exception(error, limit=-3)).strip().splitlines()
        return f"import of {name} failed:\n" + "\n".join(lines[-_ERROR_LINES:])
    on_import("pandas", _show_whole_cells)
    return None


def _show_whole_cells(pandas: Any) -> None:
    """A printed table has the usual rows and columns, but cuts no text: a part of a secret would not be found."""
    pandas.set_option("display.max_colwidth", None)


def top_level_modules(distribution: str) -> list[str]:
    """The importable names of an installed distribution, private ones and namespaces of data left out."""
    wanted = importlib.metadata.distribution(distribution).metadata["Name"]
    packages = importlib.metadata.packages_distributions()
    names = [module for module, owners in packages.items() if wanted in owners]
    return sorted(
        name for name in names if name.isidentifier() and not name.startswith("_") and name not in _NO_LIBRARY
    )


def paths_to_keep() -> tuple[str, ...]:
    """Directories the interpreter needs; they stay reachable when private mounts hide the rest."""
    paths = {sys.prefix, sys.base_prefix, sys.exec_prefix, os.path.dirname(os.path.realpath(sys.executable)), *sys.path}
    # A venv's interpreter may be a link to one that is a link.
    return tuple({os.path.abspath(path) for path in paths if os.path.isdir(path)})


def forget_worker_path() -> None:
    """Scripts have no business with the worker's own modules, all of which are loaded by now."""
    sys.path[:] = [path for path in sys.path if path != PACKAGE_ROOT]
    # Where there is no tree it is no mount.
    with contextlib.suppress(OSError):
        kernel.unmount(tree.WORKER)
    own_builtins.leave()
