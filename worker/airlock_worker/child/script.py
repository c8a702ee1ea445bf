"""Runs the script as `__main__` and reports to the supervisor how it ended.

From the script's first line to the end of the process, everything here must work whatever the script has replaced
(`own_builtins.py`) and whatever it raises.
"""

from __future__ import annotations

import builtins
import linecache
import sys
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fcntl import F_DUPFD_CLOEXEC, fcntl
from functools import partial
from gc import collect
from os import _exit, close, getpid
from sys import getrecursionlimit, modules, setrecursionlimit
from typing import Any

from ..sandbox import privileges
from ..wire import frames
from ..wire.limits import Limits
from . import determinism, no_network, script_channel, sdk, spawning
from .display import call_hook
from .encoding.encode import encode
from .encoding.json_path import NotJson
from .encoding.keys import keep_limit
from .encoding.plain_json import ascii_of, value_of
from .hints import Hints
from .last_output import flush_all, flush_outputs
from .script_channel import ScriptChannel
from .script_ending import ScriptEnding, is_success, keep_source, script_ending_of
from .tracing import stop_tracing
from .wind_down import ATTEMPTS, call_no_handlers, join_threads, wind_down

FILE_NAME = "script.py"
_SECRET = "a secret of the project: its value is redacted wherever it leaves the run"
# Recursion limit for Airlock's own calls; the script may have set a lower one.
_LEAST_RECURSION = 1000
_CUT_OFF = "The exception was raised while Airlock waited for the script's threads; threads that still ran were ended."
_NO_MEMORY = ascii_of({"end": "out_of_memory", "error": "There was no memory left to hand over the result."})
_told: list[bool] = []
# Lowest number for copies of descriptors, because a lower number could become stdout or stderr if the script has closed
# these.
_FIRST_OF_COPIES = 64


@dataclass(frozen=True)
class Given:
    """Secrets and placeholders of the project, by the names that `settings` and the environment use."""

    secrets: dict[str, str]
    descriptions: dict[str, str]
    has_network: bool


def given_of(message: dict[str, Any]) -> Given:
    """The values from a GIVEN frame."""
    network = message["network"] or {"placeholders": {}, "descriptions": {}}
    return Given(
        {**message["secrets"], **network["placeholders"]},
        {**dict.fromkeys(message["secrets"], _SECRET), **network["descriptions"]},
        has_network=message["network"] is not None,
    )


def prepare(given: Given, start: dict[str, Any], limits: Limits, control: int, orders: int) -> Callable[[], None]:
    """Does everything that can be done before the script begins. Returns a function that runs the script, once."""
    code: str = start["code"]
    plain_settings = {**start["project_settings"], **start["settings"]}
    carried = _carried(start["memory_json"])
    # The seed depends on the memory's values and not on its text, because clients write blanks differently.
    determinism.seed_generators(determinism.seed_of(code, plain_settings, sdk.canonical_json(carried)))
    no_network.explain(is_so=not given.has_network)
    channel = ScriptChannel(control, orders)
    spawning.allow(code, partial(_give_up, channel, getpid()))
    return _prepared(given, code, carried, plain_settings, limits, channel, control)


def _carried(memory_json: str) -> dict[str, dict[str, Any]]:
    carried = sdk.parse_json(memory_json or "{}")
    if type(carried) is not dict or any(type(entries) is not dict for entries in carried.values()):
        raise ValueError("memory_json is not of the form {category: {key: value}}")
    return carried


def _prepared(
    given: Given,
    code: str,
    carried: dict[str, dict[str, Any]],
    plain_settings: dict[str, str],
    limits: Limits,
    channel: ScriptChannel,
    control: int,
) -> Callable[[], None]:
    check = sdk.only_in_process(getpid())
    result = sdk.Result(limits.max_result_bytes, check)
    memory = sdk.Memory(carried, limits.max_result_bytes, check)
    own = {
        "settings": sdk.Settings(plain_settings, given.secrets, given.descriptions),
        "memory": memory,
        "llm": sdk.Llm(partial(_ask, channel), check),
        "set_result": sdk.set_result_of(result),
    }
    # A byte order mark is ignored, as at the beginning of a file.
    code = code.removeprefix("\ufeff")
    # The pid is read before the script, because a large number is an object, and would take a block on the script's
    # heap.
    return partial(_run, code, [_main_module(code, own)], own, result, memory, channel, control, getpid(), limits)


def _run(
    code: str,
    module: list[dict[str, Any]],
    own: dict[str, Any],
    result: sdk.Result,
    memory: sdk.Memory,
    channel: ScriptChannel,
    control: int,
    main_process: int,
    limits: Limits,
) -> None:
    failed, mask = _executed(code, module[0], result, main_process, limits)
    if getpid() != main_process and failed is not None:
        try:
            sys.stderr.write(f"{failed.error}\n" if failed.stderr is None else failed.stderr)
        except BaseException:
            pass
    # The last frames are sent through a copy of the control pipe's descriptor, because an object of the script may hold
    # the original and close it when it is freed.
    last = _copy_of(control)
    channel.move_to(last)
    try:
        raised = join_threads(mask)
    except BaseException as error:
        # A signal handler of the script raised an exception while Airlock's own lines around the wait ran.
        raised = error
    call_no_handlers()
    wind_down(module, own, mask, (partial(sdk.keep_memory, memory), channel.keep, keep_limit))
    if getpid() != main_process:
        # A process that the script forked ends like any program, and reports nothing to the supervisor.
        _exit(0 if failed is None else failed.status)
    # The ending is decided only after the wait, because a thread or an exit handler may have called set_result after
    # the script's last line.
    if failed is None:
        hints = lambda chain: [*Hints(limits).of(chain), _CUT_OFF]  # noqa: E731
        failed = script_ending_of(raised, result.problem, hints, sdk.failure_of(memory))
    _tell(channel, failed, result, memory)
    # Closes outputs and control pipe, so that the supervisor sees their end and need not wait for the process to be
    # gone. The outputs are not closed before the last frames, because the supervisor would wake once more.
    _close(1, 2, control, last)


def _copy_of(descriptor: int) -> int:
    try:
        return fcntl(descriptor, F_DUPFD_CLOEXEC, _FIRST_OF_COPIES)
    except BaseException:
        # The script has closed the descriptor, has as many descriptors as it may, or refuses the call with an audit
        # hook. The original number is used then.
        return descriptor


def _close(*descriptors: int) -> None:
    for fd in descriptors:
        try:
            close(fd)
        except OSError:
            pass


def rehearse() -> None:
    """Does once in a spare what every run does, so that the spare has its own copies of the memory pages that it
    writes.
    """
    memory_json = '{"category": {"key": 1}}'
    sdk.parse_json(memory_json)
    determinism.rehearse()
    encode({"rows": [1, 2.5, "text"]}, "rehearsal")
    exec(compile("def f(x):\n    return [x]\nf(1)\n", FILE_NAME, "exec", dont_inherit=True), {})
    linecache.checkcache(FILE_NAME)
    collect()
    flush_all()


def rehearse_preparation(limits: Limits) -> None:
    """Does once in the template what precedes a script. The template makes a new __main__ afterwards."""
    given = given_of({"secrets": {}, "network": None})
    carried = _carried("")
    sdk.canonical_json(carried)
    script_channel.rehearse()
    _prepared(given, "pass", carried, {}, limits, ScriptChannel(-1, -1), -1)


def _main_module(code: str, names: dict[str, Any]) -> dict[str, Any]:
    module = types.ModuleType("__main__")
    module.__dict__.update(__builtins__=builtins, __file__=FILE_NAME, **names)
    if sys.version_info < (3, 14):
        # Before Python 3.14 the interpreter gives this attribute to the main module of a program that it runs from a
        # file.
        module.__annotations__ = {}
    modules["__main__"] = module
    sys.argv, sys.orig_argv = [FILE_NAME], [sys.executable, FILE_NAME]
    keep_source(FILE_NAME, code)
    return module.__dict__


def _executed(
    code: str, names: dict[str, Any], result: sdk.Result, main_process: int, limits: Limits
) -> tuple[ScriptEnding | None, Iterable[int]]:
    """Runs the script. Returns its ending and the signals that it had blocked. The ending is None if the script reached
    its last line, or ended with success by `sys.exit`.

    Afterwards the script's signal handlers are blocked, because an exception of theirs would interrupt Airlock's own
    work.
    """
    try:
        return _execute(code, names, result, main_process, limits), call_no_handlers()
    except BaseException as error:
        # A signal handler of the script raised an exception while Airlock's own lines ran. It ends the script like any
        # other.
        mask = call_no_handlers()
        return _failure_of(error, result, main_process, limits), mask


def _failure_of(error: BaseException, result: sdk.Result, main_process: int, limits: Limits) -> ScriptEnding | None:
    """The ending of a script that this exception ended. None after a `sys.exit` with success: a thread or an exit
    handler may still call set_result, so that ending is decided later.
    """
    return None if is_success(error) else script_ending_of(error, _problem_of(result, main_process), Hints(limits).of)


def _problem_of(result: sdk.Result, main_process: int) -> NotJson | None:
    """Why the last set_result failed; None in a process that the script forked, which has no result."""
    return result.problem if getpid() == main_process else None


def _execute(
    code: str, names: dict[str, Any], result: sdk.Result, main_process: int, limits: Limits
) -> ScriptEnding | None:
    """Runs the script's code. None when it reached its last line, or ended with success by `sys.exit`."""
    try:
        exec(compile(code, FILE_NAME, "exec", dont_inherit=True), names)
    except BaseException as error:
        # `issubclass` of the type is used and not `isinstance`, because an exception can lie about its `__class__`.
        if issubclass(type(error), MemoryError):
            privileges.allow_reporting()
        _work_undisturbed()
        return _failure_of(call_hook(error), result, main_process, limits)
    _work_undisturbed()
    return None


def _work_undisturbed() -> None:
    """Ends the script's tracing and a low recursion limit, because they would affect Airlock's own calls."""
    stop_tracing()
    setrecursionlimit(max(getrecursionlimit(), _LEAST_RECURSION))


def _give_up(channel: ScriptChannel, main_process: int, error: str) -> None:
    """Ends the run with this error, from any thread. In a process that the script forked it raises RuntimeError."""
    if getpid() != main_process:
        raise RuntimeError(error)
    flush_outputs()
    try:
        channel.say_last((frames.DONE, ascii_of({"end": "script_error", "error": error})))
    finally:
        _exit(1)


def has_told() -> bool:
    """Whether the last frames were begun; further frames would be out of order."""
    return bool(_told)


def _tell(channel: ScriptChannel, ending: ScriptEnding, result: sdk.Result, memory: sdk.Memory) -> None:
    # The process's memory limit is raised first, because the script may have ended with no memory left.
    privileges.allow_reporting()
    words: list[tuple[bytes, bytes]] = []
    if ending.end == "completed" and result.text is not None:
        words.append((frames.RESULT, result.text))
    updates = sdk.updates_of(memory) if ending.end == "completed" else None
    if updates is not None:
        words.append((frames.MEMORY, updates.encode()))
    words.append((frames.DONE, ascii_of({"end": ending.end, "error": ending.error})))
    last = tuple(words)
    call_no_handlers()
    _told.append(True)
    # Sending is repeated, because another thread may raise an exception in the middle of the frames.
    for _ in range(ATTEMPTS):
        try:
            channel.say_last(*last)
            return
        except OSError:
            # The script closed the control pipe. The supervisor sees an end without a DONE frame.
            return
        except BaseException:
            pass
    try:
        channel.say_last((frames.DONE, _NO_MEMORY))
    except BaseException:
        pass


def _ask(channel: ScriptChannel, llm_request: bytes) -> str:
    flush_outputs()
    response: str = value_of(channel.ask(llm_request).decode())
    return response
