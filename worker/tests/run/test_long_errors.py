"""The end of a script whose error text is long takes little more memory than the script did, and shows what the
interpreter shows, as far as the limit of the text lets it be seen."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from airlock_worker.wire.error_text import MAX_ERROR_BYTES

from ..harness import MIB, Worker, worker
from ..scripts.test_like_cpython import _BY_NATURE, _plain

# Of every script: 100 MB.
HUGE = "'x' * 100_000_000"
# What is behind it shows an error in a thread, and by the hook.
THREAD = "; import threading; t = threading.Thread(target=f); t.start(); t.join()"
HOOK = "import sys\nsys.excepthook = lambda *a: sys.__excepthook__(*a)\n"
# With a script's own 20 MB there is no place for a second copy.
ONE_COPY = {
    "an exception": f"raise ValueError({HUGE})",
    "letters of two bytes": "raise ValueError('ä' * 100_000_000)",
    "lines": "raise ValueError('x\\n' * 50_000_000)",
    "a subclass": f"class E(LookupError): pass\nraise E({HUGE})",
    "an exit": f"import sys\nsys.exit({HUGE})",
    "a syntax error": f"raise SyntaxError({HUGE})",
    "a cause": f"raise ValueError('a') from OSError({HUGE})",
    "a context": f"try: raise ValueError({HUGE})\nexcept ValueError: raise TypeError('t')",
    "a note": f"e = ValueError('x')\ne.add_note({HUGE})\nraise e",
    "in a group": f"raise ExceptionGroup('g', [ValueError({HUGE})])",
    "in a hook": f"{HOOK}raise ValueError({HUGE})",
    "in a thread": f"def f(): raise ValueError({HUGE})\n1{THREAD}; 1/0",
    "in __del__": f"class C:\n  def __del__(self): raise ValueError({HUGE})\ndef f(): C()\nf(); 1/0",
}
# Those whose own `str` is another copy.
TWO_COPIES = {
    "a key": f"raise KeyError({HUGE})",
    "a group's own": f"raise ExceptionGroup({HUGE}, [ValueError('x')])",
}
LONG = {
    "an exception": "raise ValueError('the beginning' + 'x' * 300_000 + 'the end')",
    "letters of two bytes": "raise ValueError('ä' * 300_001)",
    "of four bytes": "raise ValueError('x' + '\\U0001F600' * 300_000)",
    "half characters": "raise ValueError('\\udc80' * 300_000 + 'end')",
    "lines": "raise ValueError('\\n'.join(map(str, range(100_000))))",
    "a key": "raise KeyError('it\\'s' * 100_000)",
    "an exit": "import sys\nsys.exit(''.join(map(str, range(100_000))))",
    "an object": "raise ValueError(list(range(100_000)))",
    "a syntax error": "raise SyntaxError('x' * 300_000)",
    "a syntax error somewhere": "raise SyntaxError('x' * 300_000, ('f.py', 1, 2, 'f o'))",
    "a cause": "raise ValueError('a') from OSError(''.join(map(str, range(100_000))))",
    "a context": "try: raise ValueError('y' * 300_000)\nexcept ValueError: raise TypeError('x' * 300_000)",
    "notes": "e = ValueError('x' * 200_000)\nfor n in '12': e.add_note('\\n'.join([n] * 200_000))\nraise e",
    "in a group": "raise ExceptionGroup('g' * 200_000, [ValueError('a' * 200_000), KeyError('b' * 300_000)])",
    "a misspelt name": "try: total = totl\nexcept NameError as e: e.args = ('x' * 300_000,); raise",
    "characters that are none": "raise ValueError('\\ufdd00\\ufdd1' * 100_000)",
    "a short one of them": "raise ValueError('\\ufdd00\\ufdd1')",
}
SHOWN = {
    "in a thread": "def f(): return {}['x' * 3_000_000]\n1" + THREAD,
    "with notes": f"{HOOK}e = ValueError('\\u2028' * 300_000)\ne.add_note('x\\n' * 200_000)\nraise e",
    "a group": f"def f(): raise ExceptionGroup('g', [ValueError('x' * 300_000)])\n1{THREAD}",
    "in __del__": """
class C:
    def __del__(self): raise ValueError('y' * 3_000_000)
    def __repr__(self): return 'C' * 300_000
def f(): C()
f()
""",
    "characters that are none": "def f(): raise ValueError('\\ufdd00\\ufdd1' * 100_000)\n1" + THREAD,
}


@pytest_asyncio.fixture(scope="module", params=[140, 240])
async def narrow(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Worker, int]]:
    async with worker(memory_bytes=request.param * MIB, max_output_bytes=MIB) as target:
        yield target, request.param


@pytest.mark.parametrize("name", [*ONE_COPY, *TWO_COPIES])
async def test_a_text_of_100_mb_is_not_copied_as_a_whole(narrow: tuple[Worker, int], name: str) -> None:
    target, memory_mb = narrow
    if (name in TWO_COPIES) != (memory_mb > 200):
        return
    ended = await target.run((ONE_COPY | TWO_COPIES)[name], timeout_ms=60_000)
    assert ended.end == ("exit_nonzero" if name == "an exit" else "script_error"), ended
    assert ended.error is not None and "MemoryError" not in ended.error and "failed>" not in ended.error
    is_shown = name in ("in a hook", "in a thread", "in __del__")
    assert (ended.truncated[1] > 90_000_000) == is_shown
    if name not in ("in a thread", "in __del__"):
        head, count, tail = _at_cut(ended.error)
        assert count > 99_000_000 and max(len(head.encode()), len(tail.encode())) < MAX_ERROR_BYTES


@pytest.mark.parametrize("name", LONG)
async def test_what_is_left_of_a_long_error_is_what_the_interpreter_shows(
    shared: Worker, name: str, tmp_path: Path
) -> None:
    error = (await shared.run(LONG[name])).error or ""
    _, whole, _ = await _plain(sys.executable, LONG[name], tmp_path)
    whole = whole.removesuffix("\n")
    error = error.removeprefix("The script ended with exit status 1: ")
    if "bytes cut" not in error:
        assert error == whole
        return
    head, count, tail = _at_cut(error)
    assert whole.startswith(head) and whole.endswith(tail) and len(tail) > 8_000
    assert len(head.encode()) + count + len(tail.encode()) == len(whole.encode())


@pytest.mark.parametrize("name", SHOWN)
async def test_a_long_error_is_shown_in_full(shared: Worker, name: str, tmp_path: Path) -> None:
    ended = await shared.run(SHOWN[name])
    _, whole, _ = await _plain(sys.executable, SHOWN[name], tmp_path)
    assert _BY_NATURE.sub("", ended.stderr.decode()) == whole
    assert ended.truncated == (0, 0)


def _at_cut(error: str) -> tuple[str, int, str]:
    head, _, rest = error.partition("\n… ")
    count, _, tail = rest.partition(" bytes cut …\n")
    return head, int(count), tail
