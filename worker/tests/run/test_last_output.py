"""What a script printed arrives, whichever buffer it stood in when the script ended or asked."""

from __future__ import annotations

import pytest

from ..harness import Worker

KEEPS_IT = {
    "a second wrapper": "sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8'); print('out')",
    "a second wrapper beside": "other = io.TextIOWrapper(sys.stdout.buffer); other.write('out\\n')",
    "a wrapper that nobody holds": "sys.stdout.buffer.keep = [io.open(1, 'w', closefd=False)]\n"
    "sys.stdout.buffer.keep[0].write('out\\n')",
    "fdopen": "file = os.fdopen(1, 'w', closefd=False); file.write('out\\n')",
    "fdopen of a copy": "file = os.fdopen(os.dup(1), 'w'); file.write('out\\n')",
    "bytes": "file = os.fdopen(1, 'wb', closefd=False); file.write(b'out\\n')",
    "the buffer": "sys.stdout.buffer.write(b'out\\n')",
    "no newline": "print('out', end=''); print('', flush=False)",
    "C": "ctypes.CDLL(None).printf(b'out\\n')",
    "C, a stream of its own": "libc = ctypes.CDLL(None); libc.fdopen.restype = ctypes.c_void_p\n"
    "libc.fputs(b'out\\n', ctypes.c_void_p(libc.fdopen(1, b'w')))",
    "a stream in a cycle": "class Node: pass\nnode = Node(); node.me = node\n"
    "node.file = os.fdopen(1, 'w', closefd=False); node.file.write('out\\n'); del node",
}
ONLY_AT_THE_END = {
    "a generator": "def rows():\n    try: yield 1\n    finally: print('out')\nopen_rows = rows(); next(open_rows)",
    "a generator in a list": "def rows():\n    try: yield 1\n    finally: print('out')\n"
    "_open = [rows()]; next(_open[0])",
    "__del__": "class Last:\n    def __del__(self): print('out')\nlast = Last()",
    "an object that holds itself": "class Last:\n    def __del__(self): print('out')\n"
    "last = Last(); last.me = last; del last",
    "atexit": "import atexit; atexit.register(print, 'out')",
    "a thread": "import threading, time\nthreading.Thread(target=lambda: (time.sleep(.1), print('out'))).start()",
    "a wrapper of the script's": "class Late:\n    def __init__(self, to): self.to, self.kept = to, []\n"
    "    def write(self, text): self.kept.append(text)\n"
    "    def flush(self): self.to.write(''.join(self.kept)); self.kept = []\n"
    "sys.stdout = Late(sys.stdout); print('out')",
}
ENDS = {
    "pass": "completed",
    "raise ValueError('mine')": "script_error",
    "sys.exit(2)": "exit_nonzero",
    "raise MemoryError": "out_of_memory",
}
IMPORTS = "import ctypes, io, os, sys\n"


@pytest.mark.parametrize("kept", [*KEEPS_IT, *ONLY_AT_THE_END])
async def test_it_arrives_whatever_the_end(shared: Worker, kept: str) -> None:
    code = {**KEEPS_IT, **ONLY_AT_THE_END}[kept]
    for last, end in ENDS.items():
        ended = await shared.run(f"{IMPORTS}{code}\n{last}")
        assert (ended.end, ended.stdout, ended.stderr) == (end, b"out\n", b""), (last, ended)


@pytest.mark.parametrize("kept", KEEPS_IT)
async def test_it_arrives_before_a_question(shared: Worker, kept: str) -> None:
    call = await shared.start(f"{IMPORTS}{KEEPS_IT[kept]}\nllm.complete('q')")
    question = await call.until_question()
    assert call.ended.stdout.rstrip() == b"out"
    await call.answer(question.id, "")
    ended = await call.finish()
    assert (ended.end, ended.stdout) == ("completed", b"out\n")


async def test_it_arrives_from_a_process_that_the_script_forked(shared: Worker) -> None:
    code = f"{IMPORTS}if os.fork() == 0:\n    {KEEPS_IT['fdopen']}\nelse: os.wait()"
    assert (await shared.run(code)).stdout == b"out\n"


async def test_a_thread_that_still_runs_keeps_its_names(shared: Worker) -> None:
    code = """
import threading, time
def tick(): return 1
def run():
    while True: tick()
threading.Thread(target=run, daemon=True).start()
open("left", "w").write("x")
print("out")
"""
    for _ in range(5):
        ended = await shared.run(code)
        assert (ended.end, ended.stdout, ended.stderr) == ("completed", b"out\n", b"")


async def test_what_raises_at_the_end_changes_no_ending(shared: Worker) -> None:
    code = """
class Last:
    def __del__(self): raise ValueError("ignored")
class Stream:
    closed = property(lambda self: 1 / 0)
import sys
last, sys.stdout = Last(), Stream()
set_result(1)
"""
    ended = await shared.run(code)
    assert (ended.end, ended.result) == ("completed", "1")
    assert b"ValueError: ignored" in ended.stderr


async def test_an_object_that_holds_the_control_pipe_does_not_close_it_too_early(shared: Worker) -> None:
    ended = await shared.run("held = open(3, 'wb'); set_result(1)")
    assert (ended.end, ended.result) == ("completed", "1")


async def test_a_forked_process_without_a_stream_for_its_error_tells_the_supervisor_nothing(shared: Worker) -> None:
    code = """
import os, sys
if os.fork() == 0:
    del sys.stderr
    raise ValueError("mine")
set_result(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    ended = await shared.run(code)
    assert (ended.end, ended.result) == ("completed", "1"), ended
