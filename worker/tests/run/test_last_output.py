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
    "a frozen stream": "import gc; sys.file = open(os.dup(1), 'w'); sys.file.write('out\\n'); gc.freeze()",
    "a frozen stream of two freezes": "import gc; sys.file = open(os.dup(1), 'w'); gc.freeze()\n"
    "sys.file.write('out\\n'); gc.freeze()",
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


@pytest.mark.parametrize("stream", [1, 2])
@pytest.mark.parametrize("last", ["sys.std.write('the last')", "libc.fputs(b'the last', libc.fdopen(FD, b'w'))"])
async def test_what_waits_for_a_full_non_blocking_pipe_is_not_lost(shared: Worker, stream: int, last: str) -> None:
    code = f"""
import ctypes, fcntl, os, sys
FD = {stream}
# The least size, so that the pipe is full however fast the supervisor reads.
fcntl.fcntl(FD, fcntl.F_SETPIPE_SZ, 4096)
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
libc.fputs.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
sys.std = open(os.dup(FD), "w")
def fill():
    os.set_blocking(FD, False)
    try:
        while True: os.write(FD, b"x" * 4095 + b"\\n")
    except BlockingIOError: pass
    {last}
fill()
llm.complete("q")
assert not os.get_blocking(FD)
fill()
set_result("done")
"""
    call = await shared.start(code)
    question = await call.until_question()
    # The pipe's end that a pause reads out is the output's, so all of it is there.
    assert (call.ended.stdout + call.ended.stderr).endswith(b"the last")
    await call.answer(question.id, "")
    ended = await call.finish()
    output = ended.stdout if stream == 1 else ended.stderr
    assert (ended.end, ended.value, ended.truncated) == ("completed", "done", (0, 0)), ended.error
    assert output.endswith(b"the last") and output.count(b"the last") == 2


async def test_a_forked_process_has_no_result_that_failed(shared: Worker) -> None:
    code = """
import os, sys
try: set_result(object())
except Exception: pass
if os.fork() == 0: sys.exit()
set_result(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    ended = await shared.run(code)
    assert (ended.end, ended.value, ended.stderr) == ("completed", 0, b""), ended


async def test_threads_that_store_values_leave_the_limit_of_digits_as_it_is(shared: Worker) -> None:
    code = """
import sys, threading
sys.setswitchinterval(1e-6)
def store(name):
    for n in range(3000): memory.set("c", str(n), n)
threads = [threading.Thread(target=store, args=(str(n),)) for n in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
limit = sys.get_int_max_str_digits()
sys.set_int_max_str_digits(5000)
set_result([limit, 10**6000, sys.get_int_max_str_digits()])
"""
    for _ in range(3):
        ended = await shared.run(code)
        assert ended.end == "completed", ended
        assert (ended.result or "").startswith("[4300,1000") and (ended.result or "").endswith("000,5000]")
