"""Lets scripts use the start methods of multiprocessing that run the script anew: `spawn` and `forkserver`.

The script is written to a file only when the first such process starts, because few scripts need one. A Pool whose
processes cannot start ends the run, because a Pool starts new ones for ever.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..interpreter.import_hooks import on_import

_DIRECTORY = ".airlock-script"
# The file is read at import, because a run does not see Airlock's own files.
_SPAWNED_MAIN = Path(__file__).with_name("spawned_main.py").read_text()
_GIVEN_UP = (
    "A process of a multiprocessing.Pool ended by an error of its own, outside of the pool's tasks; stderr has it. "
    "With the start methods spawn and forkserver each process runs the script anew: put what only the first one "
    'does under if __name__ == "__main__":, and use settings, memory, llm and set_result only there. '
    'multiprocessing.get_context("fork") has no such rule.'
)


def allow(code: str, give_up: Callable[[str], None]) -> None:
    """`give_up` ends the run with the error that it is given."""
    place = os.path.abspath(_DIRECTORY)
    on_import("multiprocessing.spawn", lambda spawn: _leave_script(spawn, code, place))
    on_import("multiprocessing.popen_forkserver", _spawn_instead)
    on_import("multiprocessing.pool", lambda pool: _bound_failures(pool, give_up))


def _leave_script(spawn: Any, code: str, place: str) -> None:
    prepare: Callable[[str], dict[str, Any]] = spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        data = prepare(name)
        if "init_main_from_path" in data:
            _write(code, place)
            data["init_main_from_path"] = f"{place}/main.py"
        return data

    spawn.get_preparation_data = get_preparation_data


def _spawn_instead(popen_forkserver: Any) -> None:
    """Replaces `forkserver` by `spawn`, because a fork server needs a named socket, which the sandbox refuses. A
    spawned process differs only in that it takes longer to start.
    """
    popen_forkserver.Popen = importlib.import_module("multiprocessing.popen_spawn_posix").Popen


def _write(code: str, place: str) -> None:
    """Writes the script and its starter. They count against the run's disk limit; a full disk raises OSError."""
    if os.path.exists(f"{place}/main.py"):
        return
    os.makedirs(place, mode=0o700, exist_ok=True)
    for name, text in (("script.py", code), ("main.py", _SPAWNED_MAIN)):
        with open(f"{place}/{name}", "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
            file.write(text)
        os.chmod(f"{place}/{name}", 0o400)


def _bound_failures(module: Any, give_up: Callable[[str], None]) -> None:
    join: Callable[[list[Any]], bool] = module.Pool._join_exited_workers

    def join_exited_workers(pool: list[Any]) -> bool:
        # A process of the pool ended by itself, which an exception in a task does not cause. Its task is lost, so the
        # script would wait for the result for ever.
        if any(each.exitcode == 1 and each._start_method in ("spawn", "forkserver") for each in pool):
            give_up(_GIVEN_UP)
        return join(pool)

    module.Pool._join_exited_workers = staticmethod(join_exited_workers)
