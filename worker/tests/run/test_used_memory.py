"""memory_mb counts used memory: what a process only asks for, such as stacks of threads, takes nothing of it."""

from __future__ import annotations

import re

import pytest

from ..harness import MIB, Worker, worker

LIMIT = 512
TOO_MUCH = {
    "at once": f"x = bytearray({4 * LIMIT} << 20)",
    "by and by": "x = []\nwhile True: x.append(bytearray(1 << 20))",
    "by and by, as texts": "x = []\nwhile True: x.append('é' * 100_000 + str(len(x)))",
    "in a dict": "x = {}\nwhile True: x[len(x)] = str(len(x)) * 20",
    "beside idle threads": """
import threading, time
for _ in range(30): threading.Thread(target=time.sleep, args=(99,), daemon=True).start()
x = []
while True: x.append(bytearray(1 << 20))
""",
}
FITS = {
    "ten threads of a pool": """
import concurrent.futures, threading, time
barrier = threading.Barrier(10)
with concurrent.futures.ThreadPoolExecutor(10) as pool:
    set_result(len({pool.submit(barrier.wait, 20) for _ in range(10)}))
""",
    "as many threads as pids allow": """
import threading
barrier, threads = threading.Barrier(60), []
for _ in range(59):
    threads.append(threading.Thread(target=barrier.wait)); threads[-1].start()
barrier.wait(20)
for each in threads: each.join()
set_result(1)
""",
    "120 MB beside idle threads": """
import threading, time
for _ in range(6): threading.Thread(target=time.sleep, args=(99,), daemon=True).start()
set_result(len(bytearray(120 << 20)))
""",
    "400 MB beside idle threads": """
import threading, time
for _ in range(40): threading.Thread(target=time.sleep, args=(99,), daemon=True).start()
x = [bytearray(20 << 20) for _ in range(20)]
set_result(len(x))
""",
    "asyncio.to_thread": """
import asyncio
async def main(): return await asyncio.gather(*(asyncio.to_thread(sum, range(10)) for _ in range(20)))
asyncio.run(main()); set_result(len(bytearray(300 << 20)))
""",
    "a large stack for a thread": """
import sys, threading
sys.setrecursionlimit(10**6); threading.stack_size(256 << 20)
def depth(n): return n and depth(n - 1)
t = threading.Thread(target=lambda: set_result(depth(50_000))); t.start(); t.join()
x = bytearray(200 << 20)
""",
    "what is reserved and not used": """
import mmap
m = mmap.mmap(-1, 400 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
import time; time.sleep(0.2)
x = bytearray(400 << 20); set_result(1)
""",
    "what is given back": """
for _ in range(12): x = bytearray(300 << 20); del x
set_result(1)
""",
}


@pytest.mark.parametrize("name", TOO_MUCH)
async def test_the_error_says_where_and_names_the_limit_and_what_was_used(shared: Worker, name: str) -> None:
    error = ""
    for _ in range(3):
        # On a machine full of other work a script may grow faster than it is looked at, and is stopped then.
        ended = await shared.run(TOO_MUCH[name], timeout_ms=50_000)
        assert ended.end == "out_of_memory", ended
        error = ended.error or ""
        if "MemoryError" in error:
            break
        assert f"{LIMIT} MB" in error and "(memory_mb" in error
    assert "MemoryError" in error and 'File "script.py", line' in error, error
    found = re.search(
        rf"A process of a run may use {LIMIT} MB of memory \(memory_mb in the project's limits\)\. "
        r"This one used (\d+) MB when it asked for more than was left\.\)$",
        error,
    )
    assert found is not None, error
    used = int(found[1])
    assert used < 40 if name == "at once" else LIMIT * 0.75 < used < LIMIT * 1.2


@pytest.mark.parametrize("name", FITS)
async def test_what_is_not_used_takes_nothing_of_the_limit(shared: Worker, name: str) -> None:
    assert (await shared.run(FITS[name], timeout_ms=50_000)).end == "completed"


async def test_a_small_limit_has_room_for_threads() -> None:
    async with worker(memory_bytes=64 * MIB) as target:
        assert (await target.run(FITS["as many threads as pids allow"])).end == "completed"


async def test_a_process_that_uses_too_much_is_stopped_whatever_it_sets() -> None:
    code = """
import ctypes, mmap, resource, time
resource.setrlimit(resource.RLIMIT_DATA, (resource.getrlimit(resource.RLIMIT_DATA)[1],) * 2)
m = mmap.mmap(-1, 300 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, 250 << 20, 4096): m[at] = 1
time.sleep(20)
"""
    # As much disk as lets the kernel's own limit be none.
    async with worker(memory_bytes=128 * MIB, disk_bytes=512 * MIB) as target:
        ended = await target.run(code)
    assert ended.end == "out_of_memory", ended
    assert re.fullmatch(
        r"The script was stopped for lack of memory: one of its processes used 2\d\d MB, and each may use 128 MB "
        r"\(memory_mb in the project's limits\)\.",
        ended.error or "",
    ), ended.error


MANY = """
import os, time
for _ in range(8):
    if os.fork() == 0:
        x = bytearray(48 << 20); time.sleep(20); os._exit(0)
time.sleep(20)
"""


SHARED = """
import os, time
x = bytearray(50 << 20)
for _ in range(8):
    if os.fork() == 0: time.sleep(0.5); os._exit(0)
"""


MAPS_SHARED = """
import mmap, os, time
m = mmap.mmap(-1, {size} << 20)
for at in range(0, {size} << 20, 4096): m[at] = 1
time.sleep({then_s})
for _ in range(4):
    if os.fork() == 0:
        for at in range(0, {size} << 20, 4096): m[at]
        time.sleep(0.5); os._exit(0)
for _ in range(4): os.wait()
set_result(1)
"""


# The first thread ends, and with it what /proc/PID says of the process's memory.
IN_A_THREAD = """
import ctypes, mmap, os, threading, time
def work():
    m = mmap.mmap(-1, 300 << 20)
    for at in range(0, 300 << 20, 4096): m[at] = 1
    time.sleep(20)
threading.Thread(target=work).start()
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[os.uname().machine], 0)
"""


# As if the script had ended; it lives on until it is ended.
WRITES_LAST_WORDS = """
import json, os
words = json.dumps({"end": "completed", "error": ""}).encode()
os.write(3, b"D" + len(words).to_bytes(4, "big") + words)
"""


STARTS_PROGRAMS = """
import subprocess
table = bytearray(b"x") * (115 << 20)
for _ in range(400): subprocess.run(["true"], check=True)
set_result(1)
"""


async def test_a_process_that_starts_programs_is_counted_once() -> None:
    async with worker(memory_bytes=128 * MIB, disk_bytes=16 * MIB) as target:
        ended = await target.run(STARTS_PROGRAMS, timeout_ms=60_000)
        assert ended.end == "completed", ended


async def test_without_cgroups_all_processes_of_a_run_are_counted_together() -> None:
    script = 'grep -E " cgroup2? " /proc/mounts | cut -d" " -f2 | xargs -n 1 mount -t tmpfs tmpfs; exec "$@"'
    wrapper = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", script, "sh")
    async with worker(wrapper=wrapper, memory_bytes=64 * MIB, disk_bytes=32 * MIB) as target:
        ended = await target.run(MANY)
        assert ended.end == "out_of_memory", ended
        words = "all processes of a run together may have 64 MB, and its files 32 MB"
        assert words in (ended.error or "") and re.search(r"They used \d+ MB\.$", ended.error or "")
        # Memory that a process maps shared is memory of the run's, once for all that map it.
        ended = await target.run(MAPS_SHARED.format(size=300, then_s=20))
        assert ended.end == "out_of_memory" and words in (ended.error or ""), ended
        assert (await target.run(MAPS_SHARED.format(size=50, then_s=0))).value == 1
        ended = await target.run(IN_A_THREAD, timeout_ms=10_000)
        assert ended.end == "out_of_memory", ended
        # It is ended for its memory, before it would be ended for living on.
        lives_on = MAPS_SHARED.format(size=300, then_s=0).replace("for _ in", "print('there')\nfor _ in", 1)
        assert (await target.run(WRITES_LAST_WORDS + lives_on)).stdout == b""
        # What they share counts once.
        assert (await target.run(f"{SHARED}for _ in range(8): os.wait()\nset_result(1)")).value == 1
