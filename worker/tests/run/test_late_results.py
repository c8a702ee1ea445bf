"""What a script does after its last line counts: its threads, exit handlers and audit hooks."""

from __future__ import annotations

import pytest

from ..harness import INTERPRETERS, Worker, worker

LATE_RESULTS = {
    "nothing": "",
    "sys.exit()": "sys.exit()",
    "sys.exit(0)": "sys.exit(0)",
    "raise SystemExit": "raise SystemExit",
}


@pytest.mark.parametrize("last", LATE_RESULTS.values(), ids=LATE_RESULTS)
async def test_a_result_that_fails_after_the_last_line_ends_the_run_whichever_way_the_script_ended(
    shared: Worker, last: str
) -> None:
    code = f"""
import atexit, sys, threading, time
set_result({{"total": 1}})
def work():
    time.sleep(0.1)
    set_result({{"total": float("inf")}})
threading.Thread(target=work).start()
{last}
"""
    ended = await shared.run(code)
    assert (ended.end, ended.result) == ("result_invalid", None)


@pytest.mark.parametrize("last", LATE_RESULTS.values(), ids=LATE_RESULTS)
async def test_a_good_result_of_an_exit_handler_replaces_one_that_failed(shared: Worker, last: str) -> None:
    code = f"""
import atexit, sys
atexit.register(lambda: set_result(2))
try:
    set_result(float("nan"))
except Exception:
    pass
{last}
"""
    ended = await shared.run(code)
    assert (ended.end, ended.value) == ("completed", 2)


AUDIT_HOOKS = {
    # `seen` is gone when the script's names have been removed, so the hook raises from then on.
    "that only watches": "seen = []\nsys.addaudithook(lambda event, args: seen.append(event))",
    "that refuses what Airlock calls at the end": """
REFUSED = ("fcntl.", "resource.", "sys._current_frames", "sys.settrace", "sys.setprofile", "sys.monitoring")
def refuse(event, args):
    if event.startswith(REFUSED): raise RuntimeError(event)
sys.addaudithook(refuse)
""",
}

LATE_SETTERS = {
    "a finalizer": "class Late:\n    def __del__(self): last()\nlate = Late()",
    "a finalizer in a circle": "class Late:\n    def __del__(self): last()\nlate = Late(); late.me = late",
    "a generator": "def late():\n    try: yield\n    finally: last()\nopen_one = late(); next(open_one)",
}
THREADS = {
    "no other thread": "",
    "a daemon thread that sleeps": "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    "daemon threads that run": """
def tick(): return time
def run():
    while True:
        try: tick().sleep(0)
        except BaseException: pass
for _ in range(3): threading.Thread(target=run, daemon=True).start()
""",
    "a daemon thread that prints": """
def run():
    while True: print(end="", flush=True)
threading.Thread(target=run, daemon=True).start()
""",
}


@pytest.mark.parametrize("threads", THREADS.values(), ids=THREADS)
@pytest.mark.parametrize("setter", LATE_SETTERS.values(), ids=LATE_SETTERS)
async def test_what_ends_with_the_script_may_still_set_and_print(shared: Worker, setter: str, threads: str) -> None:
    code = f"""
import threading, time
set_result(1)
{setter.replace("last()", "set_result(2); memory.set('a', 'b', 3); print('out')")}
{threads}
"""
    ended = await shared.run(code)
    assert (ended.end, ended.stdout, ended.stderr) == ("completed", b"out\n", b"")
    assert (ended.value, ended.memory_updates) == (2, '{"a":{"b":3}}')


async def test_a_name_of_airlock_that_the_script_has_bound_anew_ends_as_any_other(shared: Worker) -> None:
    ended = await shared.run("class Late:\n    def __del__(self): print('out')\nsettings = Late()")
    assert (ended.end, ended.stdout) == ("completed", b"out\n")


FOLLOWERS = {
    "sys.settrace": "def follow(*a): seen.append(1); return follow\nseen = []; sys.settrace(follow)",
    "sys.setprofile": "def follow(*a): seen.append(1)\nseen = []; sys.setprofile(follow)",
    "sys.monitoring": """
def follow(code, at): seen.append(1)
seen, tools = [], getattr(sys, "monitoring", None)
if tools is not None:
    tools.use_tool_id(3, "mine")
    for event in (tools.events.PY_START, tools.events.LINE): tools.register_callback(3, event, follow)
    tools.set_events(3, tools.events.PY_START | tools.events.LINE)
""",
}


@pytest.mark.parametrize("follower", FOLLOWERS.values(), ids=FOLLOWERS)
@pytest.mark.parametrize("python", INTERPRETERS.values(), ids=INTERPRETERS)
async def test_a_script_that_follows_its_own_lines_completes(python: str, follower: str) -> None:
    async with worker(python=python) as target:
        ended = await target.run(f"import sys\n{follower}\nset_result(1)")
        assert (ended.end, ended.stderr, ended.result) == ("completed", b"", "1")


@pytest.mark.parametrize("hook", AUDIT_HOOKS.values(), ids=AUDIT_HOOKS)
async def test_a_script_with_an_audit_hook_completes_with_its_result(shared: Worker, hook: str) -> None:
    ended = await shared.run(f"import sys\n{hook}\nprint('said')\nmemory.set('a', 'b', 1)\nset_result(1)")
    assert (ended.end, ended.error, ended.stdout) == ("completed", None, b"said\n")
    assert ended.value == 1
    assert ended.memory_updates == '{"a":{"b":1}}'


SETS_THAT_FAIL = {
    "in a thread": "t = threading.Thread(target=put, args=(nan,)); t.start(); t.join()",
    "caught": "try: put(nan)\nexcept Exception: pass",
    "at the end": "atexit.register(put, nan)",
    "in a thread, before sys.exit()": "threading.Thread(target=put, args=(nan,)).start(); sys.exit()",
    "by a wrong argument": "try: memory.set('totals', 'march', 2.0, nan=0)\nexcept TypeError: pass",
    "by an interruption": """
class Rows(dict):
    def items(self): raise KeyboardInterrupt
try: put(Rows(a=1))
except BaseException: pass
""",
}


@pytest.mark.parametrize("carried", [True, False])
@pytest.mark.parametrize("fails", SETS_THAT_FAIL.values(), ids=SETS_THAT_FAIL)
async def test_an_entry_whose_last_set_failed_leaves_no_earlier_value(
    shared: Worker, fails: str, carried: bool
) -> None:
    code = f"""
import atexit, sys, threading
nan = float("nan")
def put(value): memory.set("totals", "march", value)
{"" if carried else "put(1.0)"}
set_result("done")
{fails}
"""
    ended = await shared.run(code, memory='{"totals":{"march":1.0}}' if carried else "")
    assert (ended.end, ended.result, ended.memory_updates) == ("result_invalid", None, None)
    assert (ended.error or "").startswith("The last memory.set('totals', 'march', …) failed: ")


async def test_a_memory_that_is_too_large_leaves_no_earlier_value(shared: Worker) -> None:
    code = "memory.set('a', 'b', 1)\ntry: memory.set('a', 'b', 'x' * 11_000_000)\nexcept Exception: pass"
    ended = await shared.run(code)
    assert ended.end == "result_too_large"
    assert "The last memory.set('a', 'b', …) failed: memory updates would be " in (ended.error or "")


@pytest.mark.parametrize("mends", ["memory.set('a', 'b', 2)", "memory.delete('a', 'b')"])
async def test_an_entry_that_is_set_again_after_a_failure_counts(shared: Worker, mends: str) -> None:
    code = f"memory.set('a', 'b', 1)\ntry: memory.set('a', 'b', {{1: open}})\nexcept Exception: pass\n{mends}"
    ended = await shared.run(code)
    assert (ended.end, ended.error) == ("completed", None)
    assert ended.memory_updates in ('{"a":{"b":2}}', '{"a":{"b":null}}')


async def test_a_new_entry_that_could_not_be_set_is_just_not_there(shared: Worker) -> None:
    ended = await shared.run("memory.set('a', 'b', 1)\ntry: memory.set('a', 'c', open)\nexcept Exception: pass")
    assert (ended.end, ended.memory_updates) == ("completed", '{"a":{"b":1}}')
