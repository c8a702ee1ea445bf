"""A paused run that does not stand still is noticed, whatever its processes used before the pause."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from airlock_worker.supervisor.run.pause_watch import PauseWatch

# The child uses a second before the pause, and ends in it; its time is in no parent's sum. The parent uses less then.
TRADES_TIME = """
import os, signal, sys, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
child_reads, goes_on = os.pipe()
def work(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: pass
if os.fork() == 0:
    work(1)
    print("ready", flush=True)
    os.read(child_reads, 1)
    os._exit(0)
sys.stdin.readline()
os.write(goes_on, b"x")
work(0.5)
print("worked", flush=True)
sys.stdin.readline()
"""


# The first thread has ended, so that /proc calls the process a zombie.
GOES_ON_IN_A_THREAD = """
import ctypes, os, sys, threading, time
def work():
    print("ready", flush=True)
    sys.stdin.readline()
    end = time.process_time() + 0.5
    while time.process_time() < end: pass
    print("worked", flush=True)
    sys.stdin.readline()
    os._exit(0)
threading.Thread(target=work).start()
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[os.uname().machine], 0)
"""


async def _watched(pauses: bool, script: str = TRADES_TIME) -> bool:
    """Whether the watch rang within a few looks."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdin=pipe, stdout=pipe)
    assert process.stdin is not None and process.stdout is not None
    rang = asyncio.Event()
    watch = PauseWatch(process.pid, is_init=False, ring=rang.set)
    try:
        assert await process.stdout.readline() == b"ready\n"
        if pauses:
            os.kill(process.pid, signal.SIGSTOP)
        watch.start()
        process.stdin.write(b"\n")
        if not pauses:
            assert await process.stdout.readline() == b"worked\n"
        async with asyncio.timeout(5):
            await rang.wait()
    except TimeoutError:
        pass
    finally:
        watch.stop()
        os.kill(process.pid, signal.SIGCONT)
        process.stdin.write(b"\n\n")
        process.stdin.close()
        await process.wait()
    return rang.is_set()


async def test_what_a_process_used_that_has_ended_is_no_time_that_others_may_use() -> None:
    assert await _watched(pauses=False)


async def test_a_process_whose_first_thread_has_ended_is_watched_as_others() -> None:
    assert await _watched(pauses=False, script=GOES_ON_IN_A_THREAD)
    assert not await _watched(pauses=True, script=GOES_ON_IN_A_THREAD)


async def test_a_run_that_stands_still_is_left_alone() -> None:
    assert not await _watched(pauses=True)
