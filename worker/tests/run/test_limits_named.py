"""An error that comes from a limit or a rule of the project says which one, and keeps its type, number and words."""

from __future__ import annotations

import pytest

from airlock_worker.child.no_network import NO_NETWORK

from ..egress import egress
from ..harness import Worker, worker

DISK = "The files of a run may take 64 MB together (disk_mb in the project's limits)."
PIDS = "A run may have 64 processes and threads together (pids in the project's limits)."
MEMORY = "A process of a run may use 512 MB of memory (memory_mb in the project's limits)."
FILES = "A process of a run may have 1024 files and sockets open at once."
# Script, words of the exception, hint.
NAMED = {
    "a name": ("import socket\nsocket.getaddrinfo('example.com', 80)", f"gaierror: [Errno -2] Name or service not known: {NO_NETWORK}"),
    "a name, as before": ("import socket\nsocket.gethostbyname('example.com')", f"known: {NO_NETWORK}"),
    "an address": ("import socket\nsocket.create_connection(('93.184.215.14', 80))", f"PermissionError: [Errno 1] Operation not permitted: {NO_NETWORK}"),
    "urllib by name": ("import urllib.request\nurllib.request.urlopen('https://example.com')", f"urlopen error [Errno -2] Name or service not known: {NO_NETWORK}>"),
    "urllib by address": ("import urllib.request\nurllib.request.urlopen('http://93.184.215.14')", f"urlopen error [Errno 1] Operation not permitted: {NO_NETWORK}>"),
    "http.client": ("import http.client\nhttp.client.HTTPSConnection('example.com').request('GET', '/')", NO_NETWORK),
    "asyncio": ("import asyncio\nasyncio.run(asyncio.open_connection('example.com', 80))", NO_NETWORK),
    "a library in C": ("raise RuntimeError('could not translate host name \"db\" to address')", f"({NO_NETWORK[0].upper()}{NO_NETWORK[1:]}.)"),
    "a Manager": ("import multiprocessing\nmultiprocessing.Manager()", f"(multiprocessing.Manager needs sockets: {NO_NETWORK}."),
    "a full disk": ("for n in range(9): open(f'{n}', 'wb').write(bytes(8 << 20))", f"No space left on device\n({DISK})"),
    "a large file": ("open('f', 'wb').write(bytes(65 << 20))", f"File too large\n({DISK})"),
    "a file that is cut": ("open('f', 'wb').truncate(1 << 40)", f"File too large\n({DISK})"),
    "processes": ("import os\nwhile os.fork(): pass\nimport time; time.sleep(9)", f"[Errno 11] Resource temporarily unavailable\n({PIDS})"),
    "programs": ("import subprocess\nwhile True: subprocess.Popen(['sleep', '9'])", f"({PIDS})"),
    "threads": ("import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(9,), daemon=True).start()", f"RuntimeError: can't start new thread\n({PIDS})"),
    "memory": ("x = bytearray(1 << 40)", f"MemoryError\n({MEMORY} This one used "),
    "memory that is there": ("exec('x=' + '-' * 20000 + '1')", f"({MEMORY} This one used 1 MB: either it asked for more than the rest at once, or the error has another reason, such as code that is nested too deeply for Python's parser.)"),
    "memory of a map": ("import mmap\nmmap.mmap(-1, 1 << 40)", f"Cannot allocate memory\n({MEMORY} This one used "),
    "memory, then another error": ("try: x = bytearray(1 << 40)\nexcept MemoryError: y = {}['k']", f"KeyError: 'k'\n({MEMORY}"),
    "files": ("import os\nwhile True: os.dup(0)", f"Too many open files\n({FILES})"),
    "in a group": ("try: open('f', 'wb').truncate(1 << 40)\nexcept OSError as e: raise ExceptionGroup('g', [e])", f"({DISK})"),
    "the machine": ("open('/proc/meminfo')", "(A run sees its own processes in /proc, and nothing else of the machine. It may use "),
}  # fmt: skip
SAYS = {
    "import airlock": ("import airlock", "(settings, memory, llm and set_result are there without an import.)"),
    "from airlock": ("from airlock import settings", "(settings, memory, llm and set_result are there without an import.)"),
    "a package that is not there": ("import seaborn", "No module named 'seaborn'\n(A script can import the standard library and the packages of its project, which its operator lists in the project's file.)"),
    "a fence": ("```python\nprint(1)\n```", "(The script begins with a fence of Markdown (```). Send only the code between the fences.)"),
    "two results": ("set_result(1, 2)", "TypeError: set_result() takes 1 positional argument but 2 were given"),
    "no result": ("set_result()", "TypeError: set_result() missing 1 required positional argument: 'data'"),
}  # fmt: skip
PLAIN = {
    "no file": "open('nothing')",
    "a pipe that would block": "import os\nr, w = os.pipe(); os.set_blocking(r, False); os.read(r, 1)",
    "another permission": "open('/etc/nothing', 'w')",
    "a runtime error": "raise RuntimeError('no thread')",
    "an end of file": "input()",
    "a part of a module": "import json.nothing",
    "another syntax error": "def f(:",
}


@pytest.mark.parametrize("name", NAMED)
async def test_the_error_names_the_limit(shared: Worker, name: str) -> None:
    code, words = NAMED[name]
    ended = await shared.run(code)
    assert ended.end in ("script_error", "out_of_memory"), ended
    error = ended.error or ""
    assert words in error
    assert error.startswith("Traceback") and "airlock_worker" not in error
    # Said once.
    assert error.count(NO_NETWORK) <= error.count("Error: ") + 1 and error.count("limits).") <= 1


async def test_code_that_is_nested_too_deeply_is_not_told_that_memory_was_missing(shared: Worker) -> None:
    ended = await shared.run("x=" + "-" * 20000 + "1")
    words = "This one used 1 MB: either it asked for more than the rest at once, or the error has another reason"
    assert ended.end == "out_of_memory" and words in (ended.error or ""), ended


@pytest.mark.parametrize("name", SAYS)
async def test_a_mistake_of_habit_is_told_what_is_right(shared: Worker, name: str) -> None:
    code, words = SAYS[name]
    ended = await shared.run(code)
    assert ended.end == "script_error"
    assert words in (ended.error or "")


@pytest.mark.parametrize("name", PLAIN)
async def test_other_errors_are_as_they_were(shared: Worker, name: str) -> None:
    ended = await shared.run(PLAIN[name])
    assert ended.end == "script_error" and ended.error
    assert "project" not in ended.error and "(A " not in ended.error


async def test_a_script_that_catches_the_error_reads_the_reason_in_it(shared: Worker) -> None:
    code = """
import socket
seen = []
for call in (lambda: socket.getaddrinfo("example.com", 80), lambda: socket.socket(), lambda: socket.gethostbyname("x.y")):
    try: call()
    except OSError as e: seen.append([type(e).__name__, e.errno, str(e), e.strerror in str(e)])
a, b = socket.socketpair()
a.send(b"x")
set_result([seen, b.recv(1).decode(), socket.getaddrinfo("127.0.0.1", 80)[0][4]])
"""
    seen, received, address = (await shared.run(code)).value
    unknown = f"[Errno -2] Name or service not known: {NO_NETWORK}"
    refused = f"[Errno 1] Operation not permitted: {NO_NETWORK}"
    assert seen[:2] == [["gaierror", -2, unknown, True], ["PermissionError", 1, refused, True]]
    assert seen[2][0] == "gaierror" and seen[2][2].endswith(NO_NETWORK)
    assert (received, address) == ("x", ["127.0.0.1", 80])


async def test_a_project_with_a_network_is_told_nothing_of_having_none() -> None:
    async with worker(network=True) as client, egress(client.tunnel) as service:
        code = "import socket\nsocket.getaddrinfo('nothing.example', 80)"
        error = (await client.run(code, network=service.route())).error or ""
    assert "gaierror" in error and NO_NETWORK not in error
