"""Runs the script as `__main__` and tells the supervisor how it ended."""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import linecache
import os
import sys
import threading
import types
from collections.abc import Callable
from typing import Any, TextIO

from . import determinism, frames, privileges, sdk
from .encode import encode
from .report import Outcome, outcome_of
from .room import Limits

FILE_NAME = "script.py"
_SECRET = "a secret of the project: its value is redacted wherever it leaves the run"


def run(start: dict[str, Any], limits: Limits, control: int) -> None:
    code: str = start["code"]
    plain_settings = {**start["project_settings"], **start["settings"]}
    network = start["network"] or {"placeholders": {}, "descriptions": {}}
    values = {**plain_settings, **start["secrets"], **network["placeholders"]}
    check = sdk.only_in_process(os.getpid())
    result = sdk.Result(limits.max_result_bytes, check)
    memory = sdk.Memory(sdk.parse_json(start["memory_json"] or "{}"), limits.max_result_bytes, check)
    names = {
        "settings": sdk.Settings(values, {**dict.fromkeys(start["secrets"], _SECRET), **network["descriptions"]}),
        "memory": memory,
        "llm": sdk.Llm(lambda question: _ask(control, question), check),
        "set_result": result.set_result,
    }
    streams = [sys.stdout, sys.stderr]
    determinism.seed_generators(determinism.seed_of(code, plain_settings, start["memory_json"]))
    main_process = os.getpid()
    outcome = _execute(code, _main_module(code, names), result)
    if os.getpid() != main_process and outcome.error:
        print(outcome.error, file=sys.stderr)
    _wind_down(streams)
    if os.getpid() != main_process:
        # A process that the script forked came to its end like any program; it has nothing to tell the supervisor.
        os._exit(outcome.status)
    # Nothing can follow from here: the supervisor need not wait for the process to be gone, to know it.
    _close(1, 2)
    _tell(control, outcome, result, memory)
    _close(control)


def _close(*descriptors: int) -> None:
    for fd in descriptors:
        with contextlib.suppress(OSError):
            os.close(fd)


def rehearse() -> None:
    """Goes once through what every run does, so that a spare has its own copy of the memory pages it will write to."""
    memory_json = '{"category": {"key": 1}}'
    sdk.parse_json(memory_json)
    determinism.rehearse()
    encode({"rows": [1, 2.5, "text"]}, "rehearsal")
    exec(compile("def f(x):\n    return [x]\nf(1)\n", FILE_NAME, "exec", dont_inherit=True), {})
    linecache.checkcache(FILE_NAME)


def _main_module(code: str, names: dict[str, Any]) -> dict[str, Any]:
    module = types.ModuleType("__main__")
    module.__dict__.update(__builtins__=__builtins__, __file__=FILE_NAME, **names)
    sys.modules["__main__"] = module
    sys.argv = [FILE_NAME]
    # Without a modification time linecache never looks for the file.
    linecache.cache[FILE_NAME] = (len(code), None, io.StringIO(code).readlines(), FILE_NAME)
    return module.__dict__


def _execute(code: str, names: dict[str, Any], result: sdk.Result) -> Outcome:
    try:
        exec(compile(code, FILE_NAME, "exec", dont_inherit=True), names)
    except BaseException as error:
        if isinstance(error, MemoryError):
            privileges.allow_reporting()
        return outcome_of(error, result.problem)
    return outcome_of(None, result.problem)


def _wind_down(streams: list[TextIO]) -> None:
    """What an interpreter does at its end. The script may have broken any of it."""
    join_threads: Callable[[], None] = threading._shutdown  # type: ignore[attr-defined]
    for step in (join_threads, atexit._run_exitfuncs, *(stream.flush for stream in streams)):
        with contextlib.suppress(BaseException):
            step()


def _tell(control: int, outcome: Outcome, result: sdk.Result, memory: sdk.Memory) -> None:
    # OSError: the script closed the control pipe. The supervisor sees an exit without a last word.
    with contextlib.suppress(OSError):
        words: list[tuple[bytes, bytes]] = []
        if outcome.end == "completed" and result.text is not None:
            words.append((frames.RESULT, result.text))
        if outcome.end == "completed" and memory.has_updates:
            words.append((frames.MEMORY, memory.updates_json().encode()))
        words.append((frames.DONE, json.dumps({"end": outcome.end, "error": outcome.error}).encode()))
        frames.send(control, *words)


def _ask(control: int, question: bytes) -> str:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()
    frames.send(control, (frames.QUESTION, question))
    message = frames.receive(control)
    if message is None or message[0] != frames.ANSWER:
        raise RuntimeError("llm.complete: the worker went away before the answer came")
    answer: str = json.loads(message[1])
    return answer
