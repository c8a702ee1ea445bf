"""Process 1 of a run is a small program, and the script's process is as if `fork` had made it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from airlock_worker.linux import processes

from ..harness import Worker, named, worker
from ..project_environment import project_python

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="its code is for x86-64")

SIGNALS_BETWEEN_THREADS = """
import signal, threading, time
got = []
signal.signal(signal.SIGUSR1, lambda number, frame: got.append(number))
main = threading.main_thread()
thread = threading.Thread(target=lambda: signal.pthread_kill(main.ident, signal.SIGUSR1))
thread.start()
thread.join()
set_result(got)
"""
# A package with handlers in libc, as generators of random numbers in C have them that must not repeat themselves.
FORKS = """
import ctypes
seen = []
handlers = [ctypes.PYFUNCTYPE(None)(handler) for handler in (seen.clear, lambda: None, lambda: seen.append("child"))]
ctypes.CDLL(None)["__register_atfork"](*handlers, None)
"""
WHICH_CPU = """
import ctypes, os
libc, found = ctypes.CDLL(None), []
for cpu in sorted(os.sched_getaffinity(0)):
    os.sched_setaffinity(0, {cpu})
    found.append([cpu, libc.sched_getcpu()])
set_result(found)
"""


async def test_process_1_has_no_memory_of_the_template_and_no_rights(shared: Worker) -> None:
    # A paused run's process 1, because one that was just made may still have the template's memory.
    call = await shared.start(named("paused") + "llm.complete('q')")
    await call.until_question()
    [script] = shared.pids_named("paused")
    first = processes.parent_of(script)
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{first}/status").read_text().splitlines())
    assert int(status["VmRSS"].split()[0]) <= 64
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert os.listdir(f"/proc/{first}/fd") == ["0"]
    await call.stop()


async def test_orphans_of_a_run_become_children_of_process_1_which_reaps_them(shared: Worker) -> None:
    code = """
import os, time
read, write = os.pipe()
for _ in range(3):
    if os.fork() == 0:
        if os.fork() == 0:
            while os.getppid() != 1: time.sleep(0.001)
            os.write(write, b"1")
        os._exit(0)
    os.wait()
os.close(write)
orphans = len(b"".join(iter(lambda: os.read(read, 1), b"")))
while [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) > 2]: time.sleep(0.001)
set_result([orphans, os.getpid(), os.getppid()])
"""
    assert (await shared.run(code)).value == [3, 2, 1]


async def test_a_thread_can_signal_the_main_thread_whose_number_libc_keeps(shared: Worker) -> None:
    assert (await shared.run(SIGNALS_BETWEEN_THREADS)).value == [10]


async def test_libc_knows_the_cpu_of_the_script(shared: Worker) -> None:
    assert all(cpu == told for cpu, told in (await shared.run(WHICH_CPU)).value)


async def test_handlers_that_libraries_have_for_forks_run_in_the_script_s_process(tmp_path: Path) -> None:
    python = project_python(tmp_path, {"forks": {"forks": FORKS}})
    async with worker("--import=forks", python=python) as target:
        assert (await target.run("import forks; set_result(forks.seen)")).value == ["child"]
