"""Appended to `airlock_worker/child/child.py` in a copy of the worker: measures the steps of a run child.

The measurements, JSON in one line, are the first line of the script's stderr. For each step: its name, processor time
in nanoseconds, and page faults. The names that it does not define are those of child.py.
"""

# ruff: noqa: F821
import dataclasses as _dataclasses
import resource as _resource
import time as _time
from collections.abc import Callable as _Callable
from typing import Any as _Any

_steps: list[tuple[str, int, int]] = []
_before = (0, 0)


def _note(step: str) -> None:
    """Counts everything since the last call as this step."""
    global _before
    now = _time.process_time_ns(), _resource.getrusage(_resource.RUSAGE_SELF).ru_minflt
    _steps.append((step, now[0] - _before[0], now[1] - _before[1]))
    _before = now


def _noting(step: str, own: _Callable[..., _Any]) -> _Callable[..., _Any]:
    def noting(*args: _Any, **options: _Any) -> _Any:
        _note("between the steps")
        result = own(*args, **options)
        _note(step)
        return result

    return noting


def _noting_begin(own: _Callable[..., _Any]) -> _Callable[..., _Any]:
    def noting(*args: _Any) -> _Any:
        global _before
        # What the template noted while it rehearsed is no step of this process.
        _steps.clear()
        _before = (0, 0)
        _note("birth, and handlers for forks")
        return own(*args)

    return noting


def _noting_script(own: _Callable[..., _Callable[[], None]]) -> _Callable[..., _Any]:
    def noting(*args: _Any) -> _Any:
        _note("between the steps")
        work = own(*args)
        _note("preparation of the script")

        def told() -> None:
            _note("between the steps")
            os.write(2, json.dumps(_steps).encode() + b"\n")
            work()

        return told

    return noting


def _install() -> None:
    places: tuple[tuple[_Any, str, str], ...] = (
        (child_module, "_enter", "user, cgroup namespace"),
        (child_module, "_settle", "session, signals, descriptors"),
        (script, "rehearse", "rehearsal"),
        (Heap, "settle", "addresses made the same in every run"),
        (child_module, "_take", "secrets and network"),
        (child_module, "_set_environment_aside", "environment"),
        (child_module, "_make_environment_anew", "environment"),
    )
    for owner, name, step in places:
        setattr(owner, name, _noting(step, getattr(owner, name)))
    sandbox.LAYERS = tuple(
        layer if layer.enter is None else _dataclasses.replace(layer, enter=_noting(f"layer {layer.name}", layer.enter))
        for layer in sandbox.LAYERS
    )
    script.prepare = _noting_script(script.prepare)
    child_module.live = _noting_begin(child_module.live)


child_module = sys.modules[__name__]
_install()
