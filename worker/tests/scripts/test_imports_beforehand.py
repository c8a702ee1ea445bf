"""Packages are imported before any run: what they find then is what a run has, and what cannot be imported is not."""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from airlock_worker.linux import processes

from ..egress import Egress
from ..harness import Worker, worker
from ..project_environment import project_python

# As libraries look around when they are imported.
LOOKS_AROUND = """
import getpass, locale, os, pathlib, platform, socket, sys, tempfile, time
from _multiprocessing import SemLock
def look():
    with tempfile.NamedTemporaryFile() as file: where = os.path.dirname(file.name)
    SemLock(0, 0, 1, name="/looks-around", unlink=True)
    (pathlib.Path.home() / ".cache" / "looks").mkdir(parents=True, exist_ok=True)
    return [tempfile.gettempdir(), where, str(pathlib.Path.home()), os.path.expanduser("~"), os.getcwd(),
            platform.node(), socket.gethostname(), os.cpu_count(), sorted(os.sched_getaffinity(0)), locale.getlocale(),
            time.tzname, sys.stdout.isatty(), sys.executable, sys.prefix, os.environ["PATH"], os.environ["HOME"]]
FOUND = look()
"""
MAKES_CONTEXTS = """
import ssl
VERIFIED = ssl.create_default_context()
OWN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
OWN.set_default_verify_paths()
BARE = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
def names(context): return [dict(pair[0] for pair in ca["subject"]).get("commonName") for ca in context.get_ca_certs()]
"""
STARTS_A_DAEMON = """
import os
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: os.execlp("sleep", "sleep", "61")
    os._exit(0)
os.wait()
"""
STARTS_LATER = """
import subprocess, threading
timer = threading.Timer(0.5, subprocess.Popen, [["sleep", "0.5"]])
timer.daemon = True
timer.start()
"""
SHARES = """
import mmap, multiprocessing
LOCK = multiprocessing.Lock()
CALLS = multiprocessing.Value("i", 7)
PLAIN = mmap.mmap(-1, 64 << 20)
PLAIN[5000] = 5
READ_ONLY = mmap.mmap(-1, 4096, prot=mmap.PROT_READ)
def count():
    with LOCK, CALLS.get_lock():
        CALLS.value += 1
        return CALLS.value
"""
DISTRIBUTIONS = {
    "half": {"half": "WHOLE = 7", "half_extra": "import not_in_this_project", "half_quits": "raise SystemExit('no')"},
    "ends": {
        "ends": "VALUE = 8",
        "ends_by_itself": "import os; os._exit(3)",
        "ends_in_c": "import ctypes; ctypes.string_at(0)",
    },
    "starts": {
        "starts": "import subprocess\nHELPER = subprocess.Popen(['sleep', '2'])\nsubprocess.run(['true'])",
        "starts_none": "import subprocess\nEND = subprocess.run(['true']).returncode",
        "starts_daemon": STARTS_A_DAEMON,
        "starts_later": STARTS_LATER,
    },
    "shares": {"shares": SHARES},
    "looks": {"looks": LOOKS_AROUND},
    "contexts": {"contexts": MAKES_CONTEXTS},
}


@pytest.fixture(scope="module")
def python() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="airlock-test-") as directory:
        yield project_python(Path(directory) / "env", DISTRIBUTIONS)


def _logged(target: Worker, message: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in target.log_path.read_text().splitlines()]
    return [line for line in lines if line["msg"] == message]


async def test_what_cannot_be_imported_beforehand_is_left_out_and_named(python: str) -> None:
    async with worker("--import-of", "half", python=python) as target:
        ended = await target.run("import half, sys; set_result([half.WHOLE, 'half_extra' in sys.modules])")
        assert ended.value == [7, False]
        ended = await target.run("import half_extra")
        assert ended.error is not None and "No module named 'not_in_this_project'" in ended.error
        expected = [
            "half_extra: ModuleNotFoundError: No module named 'not_in_this_project'",
            "half_quits: SystemExit: no",
        ]
        [line] = _logged(target, "modules are not imported beforehand")
        assert (line["level"], line["modules"]) == ("warn", "; ".join(expected))
        status = await target.until_state("READY")
        facts = {fact.name: list(fact.values) for fact in status.isolation_facts}
        assert facts["not_imported_beforehand"] == expected


async def test_a_module_that_ends_the_process_is_left_out_too(python: str) -> None:
    async with worker("--import-of", "ends", "--import-of", "half", python=python) as target:
        ended = await target.run("import ends, half; set_result(ends.VALUE + half.WHOLE)")
        assert ended.value == 15
        assert (await target.run("import ends_in_c")).end == "killed"
        status = await target.until_state("READY")
        [left_out] = [fact.values for fact in status.isolation_facts if fact.name == "not_imported_beforehand"]
        assert left_out[0] == "ends_by_itself: the import ended the process with exit status 3"
        assert left_out[1].startswith("ends_in_c: the import was killed by SIG")
        assert len(left_out) == 4


async def test_processes_that_packages_start_are_each_runs_own(python: str) -> None:
    async with worker("--import-of", "starts", "--import", "starts_daemon", python=python) as target:
        status = await target.until_state("READY")
        [left_out] = [fact.values for fact in status.isolation_facts if fact.name == "not_imported_beforehand"]
        assert left_out == ["starts: the import starts a process, which each run has to do for itself"]
        # Only the children that wait for runs.
        await asyncio.sleep(0.2)
        below = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in processes.descendants_of(target.process.pid)]
        assert b"sleep\x0061\0" not in below
        for _ in range(3):
            ended = await target.run("import starts, starts_none; set_result([starts.HELPER.poll(), starts_none.END])")
            assert ended.value == [None, 0]
            await asyncio.sleep(0.7)


async def test_what_packages_share_is_shared_by_one_runs_processes_alone(python: str) -> None:
    code = """
import ctypes, multiprocessing, shares
address = ctypes.addressof(ctypes.c_char.from_buffer(shares.PLAIN))
found = [shares.count(), shares.PLAIN[5000], shares.PLAIN[9000], shares.PLAIN[5001]]
shares.PLAIN[5000] = shares.PLAIN[9000] = 9
lines = open("/proc/self/maps").read().splitlines()
read_only = [line.split("-")[0] for line in lines if " r--s " in line]
for each in read_only:
    # Those of files that are open for reading alone stay as they are.
    if ctypes.CDLL(None).mprotect(ctypes.c_void_p(int(each, 16)), 4096, 3) != 0: continue
    found.append(ctypes.string_at(int(each, 16), 1)[0])
    ctypes.memset(int(each, 16), 9, 1)
other = multiprocessing.get_context("fork").Process(target=shares.count)
other.start(); other.join()
set_result([*found, other.exitcode, shares.count()])
shares.LOCK.acquire(); shares.CALLS.get_lock().acquire()
"""
    async with worker("--import-of", "shares", python=python) as target:
        results = [(await target.run(code, timeout_ms=10_000)) for _ in range(3)]
        for ended in results:
            assert ended.end == "completed", ended
            assert ended.value == [8, 5, 0, 0, 0, 0, 10]
        assert len({ended.result for ended in results}) == 1


async def test_what_the_project_names_itself_must_be_there(python: str) -> None:
    async with worker("--import", "half_extra", python=python, ready=False) as target:
        watch = target.watch()
        while (status := await watch.read()).state == 1:
            pass
        assert status.state == 4
        assert "import of half_extra failed" in status.detail and "not_in_this_project" in status.detail


async def test_a_package_finds_what_a_run_finds(python: str) -> None:
    async with worker("--import-of", "looks", python=python) as target:
        ended = await target.run("import looks; set_result([looks.FOUND, looks.look()])")
        assert ended.end == "completed", ended
        before, within = ended.value
        assert before == within


def authority() -> str:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key", "-out", "cert"]
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([*command, "-subj", "/CN=of this run"], cwd=directory, check=True, capture_output=True)
        return (Path(directory) / "cert").read_text()


async def test_contexts_that_packages_made_trust_the_runs_authorities(python: str) -> None:
    pem = authority()
    code = """
import contexts, ssl
set_result([contexts.names(context).count("of this run") for context in
            (contexts.VERIFIED, contexts.OWN, contexts.BARE, ssl.create_default_context())])
"""
    async with worker("--import-of", "contexts", python=python, network=True) as target:
        route = Egress(target.tunnel).route(authority_pem=pem)
        assert (await target.run(code, network=route)).value == [1, 1, 0, 1]
        other = Egress(target.tunnel).route()
        assert (await target.run(code, network=other, execution_id="other")).value == [0, 0, 0, 0]
