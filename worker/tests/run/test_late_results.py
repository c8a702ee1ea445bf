"""What a script does after its last line counts: its threads, exit handlers and audit hooks."""

from __future__ import annotations

import pytest

from ..harness import Worker

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
REFUSED = ("fcntl.", "resource.", "sys._current_frames")
def refuse(event, args):
    if event.startswith(REFUSED): raise RuntimeError(event)
sys.addaudithook(refuse)
""",
}


@pytest.mark.parametrize("hook", AUDIT_HOOKS.values(), ids=AUDIT_HOOKS)
async def test_a_script_with_an_audit_hook_completes_with_its_result(shared: Worker, hook: str) -> None:
    ended = await shared.run(f"import sys\n{hook}\nprint('said')\nmemory.set('a', 'b', 1)\nset_result(1)")
    assert (ended.end, ended.error, ended.stdout) == ("completed", None, b"said\n")
    assert ended.value == 1
    assert ended.memory_updates == '{"a":{"b":1}}'
