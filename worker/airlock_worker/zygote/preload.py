"""Imports the project's packages in the template, before the first fork, so that no run has to."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from .. import own_builtins
from ..interpreter import tls_contexts
from ..interpreter.import_hooks import on_import
from ..linux import kernel, processes
from ..sandbox import tree

_ERROR_LINES = 12
# Limits for the list of modules left out (entries, characters of a reason), because it is sent in one packet.
_MAX_LEFT_OUT, _MAX_REASON = 20, 300
# Top-level names that some distributions install by mistake. No script imports them, so they are not imported
# beforehand.
_NO_LIBRARY = frozenset({"test", "tests", "docs", "doc", "example", "examples", "benchmarks"})
PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])


@dataclass(frozen=True)
class Imported:
    # Error text of the import that failed; None: every required import succeeded.
    problem: str | None = None
    # Modules that could not be imported beforehand, each with the reason. A script can still try to import them.
    left_out: tuple[str, ...] = ()


def import_all(
    modules: list[str],
    distributions: list[str],
    skipped: Mapping[str, str],
    begins: Callable[[str | None], None],
    left_processes: Callable[[str], NoReturn],
) -> Imported:
    """Imports `modules`, all of which must succeed, and the modules of `distributions`, which may fail.

    A distribution may contain modules that need packages which the project does not have. `skipped`: modules that are
    not tried, each with the reason. `begins` is called with each module of a distribution before its import, because an
    import may end the process, and with None at the end. `left_processes` is called, and must not return, when that
    import has started processes that still exist, because they would belong to no run.
    """
    name, left_out = "", []
    tls_contexts.watch()
    try:
        for name in modules:
            importlib.import_module(name)
        # The modules that the project requires stay loaded even if they started processes. So these processes are ended
        # here.
        _end_processes()
        for distribution in distributions:
            name = distribution
            for name in top_level_modules(distribution):
                begins(name)
                problem = skipped.get(name) or _attempt(name)
                if _has_processes():
                    left_processes(name)
                if problem is not None:
                    left_out.append(f"{name}: {problem}"[:_MAX_REASON])
        begins(None)
        if "numpy" in sys.modules:
            # numpy loads `numpy.random` on first use. It is loaded before any run, because every run seeds it.
            importlib.import_module("numpy.random")
    except BaseException as error:
        lines = "".join(traceback.format_exception(error, limit=-3)).strip().splitlines()
        return Imported(f"import of {name} failed:\n" + "\n".join(lines[-_ERROR_LINES:]))
    finally:
        tls_contexts.stop_watching(sys.modules.get("ssl"))
    _end_processes()
    on_import("pandas", _show_whole_cells)
    return Imported(left_out=tuple(left_out[:_MAX_LEFT_OUT]))


def _attempt(module: str) -> str | None:
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _has_processes() -> bool:
    """Whether a package has started processes that still exist."""
    _stop_resource_tracker()
    _reap()
    return bool(processes.children_of(os.getpid()))


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _end_processes() -> None:
    _stop_resource_tracker()
    processes.kill_orphans(())


def _stop_resource_tracker() -> None:
    """Ends the helper process that a package may have made multiprocessing start, because run children cannot use
    it.
    """
    tracker = sys.modules.get("multiprocessing.resource_tracker")
    if tracker is not None:
        with contextlib.suppress(Exception):
            tracker._resource_tracker._stop()


def _show_whole_cells(pandas: Any) -> None:
    """Lets pandas print table cells uncut, because the sanitizer would not find a part of a secret."""
    pandas.set_option("display.max_colwidth", None)


def top_level_modules(distribution: str) -> list[str]:
    """The importable names of an installed distribution, without private names and directories of data."""
    wanted = importlib.metadata.distribution(distribution).metadata["Name"]
    packages = importlib.metadata.packages_distributions()
    names = [module for module, owners in packages.items() if wanted in owners]
    return sorted(
        name for name in names if name.isidentifier() and not name.startswith("_") and name not in _NO_LIBRARY
    )


def paths_to_keep() -> tuple[str, ...]:
    """Directories that the interpreter needs. They stay reachable when private mounts hide the rest."""
    paths = {sys.prefix, sys.base_prefix, sys.exec_prefix, os.path.dirname(os.path.realpath(sys.executable)), *sys.path}
    # Links are not resolved, because a venv's interpreter may link to another link, whose directory is needed too.
    return tuple({os.path.abspath(path) for path in paths if os.path.isdir(path)})


def forget_worker_path() -> None:
    """Takes the worker's own modules off the path of scripts. All of them are loaded by now."""
    sys.path[:] = [path for path in sys.path if path != PACKAGE_ROOT]
    # Without a tree of its own, the zygote has no mount at this path, and unmounting fails.
    with contextlib.suppress(OSError):
        kernel.unmount(tree.WORKER)
    own_builtins.leave()
