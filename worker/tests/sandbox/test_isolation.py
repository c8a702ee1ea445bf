"""One run leaves nothing to the next, and what is said about the layers is true."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from ..conftest import SECRETS, SETTINGS
from ..harness import Worker, worker
from ..posture import EXPECTED, kind

# What one run does, and what the next one looks at: it must see nothing of it.
TRACES = {
    "builtins": ("import builtins; builtins.print = builtins.mark = 5", "import builtins; set_result(hasattr(builtins, 'mark') or print == 5)"),
    "modules": ("import json, sys; json.mark = 1; sys.modules['mark'] = json", "import json, sys; set_result('mark' in sys.modules or hasattr(json, 'mark'))"),
    "environment": ("import os; os.environ['MARK'] = '1'", "import os; set_result('MARK' in os.environ)"),
    "the import path": ("import sys; sys.path.append('/mark')", "import sys; set_result('/mark' in sys.path)"),
    "globals": ("mark = 1", "set_result('mark' in globals())"),
    "files where it stands": ("open('mark', 'w').write('x')", "import os; set_result(os.listdir('.'))"),
    "files in /tmp": ("open('/tmp/mark', 'w').write('x')", "import os; set_result(os.path.exists('/tmp/mark'))"),
    "files in /var/tmp": ("open('/var/tmp/mark', 'w').write('x')", "import os; set_result(os.path.exists('/var/tmp/mark'))"),
    "files of tempfile": ("import tempfile; tempfile.mkdtemp('mark')", "import glob, tempfile; set_result(glob.glob(tempfile.gettempdir() + '/*mark'))"),
    "POSIX shared memory": (
        "from multiprocessing import shared_memory as s; s.SharedMemory('mark', create=True, size=10)",
        "import os; set_result(os.path.exists('/dev/shm/mark'))",
    ),
    "System V shared memory": (
        "import ctypes; assert ctypes.CDLL(None).shmget(4711, 4096, 0o1666) >= 0",
        "import ctypes; set_result(ctypes.CDLL(None).shmget(4711, 4096, 0o666) >= 0)",
    ),
    "the working directory": ("import os; os.chdir('/')", "import os; set_result(os.getcwd() == '/')"),
    "random's state": ("import random; random.seed(1)", "import random; random.seed(1); a = random.random(); set_result(a != 0.13436424411240122)"),
    "signal handlers": ("import signal; signal.signal(15, signal.SIG_IGN)", "import signal; set_result(signal.getsignal(15) != signal.SIG_DFL)"),
    "the umask": ("import os; os.umask(0)", "import os; set_result(os.umask(0) != 0o022)"),
    "resource limits": ("import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))", "import resource; set_result(resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 100)"),
}  # fmt: skip


@pytest.mark.parametrize("name", TRACES)
async def test_a_run_leaves_no_trace_in(shared: Worker, name: str) -> None:
    leave, look = TRACES[name]
    # Twice, because the spares are forked ahead of the run that leaves the trace.
    for _ in range(4):
        assert (await shared.run(leave)).end == "completed"
    ended = await shared.run(look)
    assert ended.end == "completed", ended
    assert ended.value in (False, [])


async def test_runs_at_the_same_time_do_not_see_each_others_files(shared: Worker) -> None:
    code = (
        "import os\nopen('/tmp/mine', 'x'); open('/dev/shm/mine', 'x')\nllm.complete('')\nset_result(os.listdir('.'))"
    )
    calls = [await shared.start(code) for _ in range(3)]
    questions = await asyncio.gather(*(call.until_question() for call in calls))
    for call, question in zip(calls, questions, strict=True):
        await call.answer(question.id, "")
    assert [(await call.finish()).value for call in calls] == [[], [], []]


async def test_a_run_has_no_descriptor_but_its_own(shared: Worker) -> None:
    code = """
import os
found = {}
for fd in range(1024):
    try: found[fd] = os.readlink(f'/proc/self/fd/{fd}').split(':')[0]
    except OSError: pass
set_result(found)
"""
    ended = await shared.run(code)
    assert ended.value == {"0": "/dev/null", "1": "pipe", "2": "pipe", "3": "pipe", "4": "pipe"}


async def test_nothing_outside_its_own_places_can_be_written(shared: Worker) -> None:
    code = """
import os
def tries(path):
    try: open(path, 'w').close(); return path
    except OSError: return None
set_result([tries(p) for p in ('/mark', '/etc/mark', '/usr/mark', os.__file__ + '.mark', '/var/mark')])
"""
    assert (await shared.run(code)).value == [None] * 5


async def test_the_scratch_directory_is_home_and_private(shared: Worker) -> None:
    code = """
import os, tempfile
s = os.stat('.')
set_result([os.getcwd() == os.environ['HOME'] == os.environ['TMPDIR'] == tempfile.gettempdir(), oct(s.st_mode & 0o777)])
"""
    assert (await shared.run(code)).value == [True, "0o700"]


async def test_secrets_and_settings_are_in_no_memory_that_runs_start_with(shared: Worker) -> None:
    call = await shared.start("llm.complete('q')", settings={"K": "request-setting-value"})
    await call.until_question()
    for process in (shared.zygote(), shared.template()):
        text = b"".join(_memory_of(process))
        assert len(text) > 1_000_000
        for value in (SECRETS["API_KEY"], SETTINGS["REGION"] + "-none", "request-setting-value"):
            assert value.encode() not in text
    await call.stop()


def _memory_of(pid: int) -> list[bytes]:
    parts = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, mode, *_ = line.split()
            start, end = (int(text, 16) for text in span.split("-"))
            if mode.startswith("rw"):
                memory.seek(start)
                parts.append(memory.read(end - start))
    return parts


async def test_the_limits_of_disk_and_memory_hold() -> None:
    async with worker(disk_bytes=1 << 20, memory_bytes=64 << 20) as small:
        full = await small.run("for n in range(3): open(f'/tmp/{n}', 'wb').write(b'x' * 500_000)")
        assert full.end == "script_error" and "No space left" in (full.error or "")
        big = await small.run("open('big', 'wb').write(b'x' * 3_000_000)")
        assert big.end == "script_error"
        # What is asked for and not used does not count, and what is used is looked at some fifty times a second.
        assert (await small.run("x = b'x' * (160 << 20)\nimport time; time.sleep(1)")).end == "out_of_memory"
        assert (await small.run("x = b'x' * (40 << 20)")).end == "completed"


async def test_the_measured_layers_are_told_by_name(shared: Worker) -> None:
    status = await shared.until_state("READY")
    layers = {layer.name: layer for layer in status.isolation_layers}
    in_force = sorted(name for name, layer in layers.items() if layer.in_force)
    assert in_force == sorted(EXPECTED[kind()]["layers"]), {n: layer.detail for n, layer in layers.items()}
    assert all(bool(layer.detail) != layer.in_force for layer in layers.values())
    found = await shared.run(
        "import resource; s = open('/proc/self/status').read()\n"
        "core = resource.getrlimit(resource.RLIMIT_CORE)\n"
        "set_result(['NoNewPrivs:\\t1' in s, 'CapEff:\\t0000000000000000' in s, core])"
    )
    assert found.value == [layers["no_new_privs"].in_force, layers["capabilities_dropped"].in_force, [1, 1]]


async def test_the_socket_is_nobody_elses_and_the_log_holds_no_values(shared: Worker) -> None:
    await shared.run("print('printed-text'); 'code-text'", settings={"K": "request-value"})
    socket = shared.log_path.parent / "worker.sock"
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    log = shared.log_path.read_text()
    assert '"msg": "ready"' in log
    for text in ("s3cret-value", "eu-north", "printed-text", "code-text", "request-value"):
        assert text not in log


async def test_nothing_is_left_in_the_run_directory() -> None:
    async with worker() as target:
        await target.run("open('x', 'w').write('y')")
        assert os.listdir(target.log_path.parent / "run") == []


def test_a_hostile_directory_is_removed(tmp_path: Path) -> None:
    from airlock_worker.linux.remove_tree import remove_tree

    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(outside)
    here = os.getcwd()
    os.chdir(root)
    for _ in range(1500):
        os.mkdir("deep")
        os.chdir("deep")
    Path("file").write_text("x")
    os.chdir(here)
    (root / "closed").mkdir(mode=0)
    remove_tree(str(root))
    assert not root.exists()
    assert (outside / "kept").exists()


async def test_a_script_finds_nothing_of_the_machine_in_the_objects_of_airlock(shared: Worker) -> None:
    """Neither in the frames below its own nor in anything that these, or the garbage collector, know."""
    code = """
import gc, os, sys, types
halves = settings.get("MARKS").split("|")
marks = [halves[at] + halves[at + 1] for at in range(0, len(halves), 2)]
frame, frames = sys._getframe(), []
while frame := frame.f_back: frames.append(frame)
open_ends = [*(f.f_locals for f in frames), *gc.get_objects()]
seen, found = set(), set()
while open_ends:
    each = open_ends.pop()
    if id(each) in seen or each is marks or isinstance(each, (types.ModuleType, type)) and each.__name__ == "__main__":
        continue
    seen.add(id(each))
    if isinstance(each, (str, bytes)):
        text = each if isinstance(each, str) else each.decode("latin-1")
        found.update(mark for mark in marks if mark in text and text not in marks)
    elif isinstance(each, dict): open_ends += [*each.keys(), *each.values()]
    elif isinstance(each, (list, tuple, set, frozenset)): open_ends += each
    elif hasattr(each, "__dict__"): open_ends.append(vars(each))
contexts = [f.f_locals["context"] for f in frames if "context" in f.f_locals]
set_result([sorted(found), [[c.host_pid, c.script_uid, c.outside] for c in contexts][:1]])
"""
    marks = [shared.run_dir, *(os.readlink(f"/proc/self/ns/{name}") for name in ("mnt", "pid", "uts"))]
    split = "|".join(f"{mark[:9]}|{mark[9:]}" for mark in marks)
    ended = await shared.run(code, settings={"MARKS": split})
    assert ended.value == [[], [[0, None, {}]]]


async def test_the_kernel_takes_a_run_first_where_memory_is_short(shared: Worker) -> None:
    code = """
found = open("/proc/self/oom_score_adj").read()
try:
    open("/proc/self/oom_score_adj", "w").write("0")
except OSError: pass
set_result([found, open("/proc/self/oom_score_adj").read(), open("/proc/1/oom_score_adj").read()])
"""
    assert (await shared.run(code)).value == ["1000\n"] * 3
    async with asyncio.timeout(10):
        for pid in (shared.process.pid, shared.zygote(), shared.template()):
            # The template has it while it forks.
            while Path(f"/proc/{pid}/oom_score_adj").read_text() == "1000\n":
                await asyncio.sleep(0.01)


async def test_a_script_opens_its_output_by_name(shared: Worker) -> None:
    code = """
import subprocess
subprocess.run("echo shell > /dev/stdout; echo error > /dev/stderr; echo one > /dev/fd/1", shell=True, check=True)
print("python", file=open("/dev/stdout", "w"), flush=True)
"""
    ended = await shared.run(code)
    assert (ended.stdout, ended.stderr, ended.end) == (b"shell\none\npython\n", b"error\n", "completed")


async def test_a_script_loads_no_program_into_the_kernel(shared: Worker) -> None:
    code = """
import ctypes, errno, os, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
code = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
program = struct.pack("HxxxxxxP", 1, ctypes.addressof(code))
near, far = socket.socketpair()
found = []
for option in (26, 50, 51, 52):
    try: near.setsockopt(socket.SOL_SOCKET, option, program); found.append("set")
    except OSError as error: found.append(errno.errorcode[error.errno])
text = ctypes.create_string_buffer(program)
for number, *arguments in ((libc.prctl, 22, 2, text, 0, 0), (libc.syscall, {"x86_64": 317, "aarch64": 277}[os.uname().machine], 1, 0, text)):
    found.append(number(*arguments) and errno.errorcode[ctypes.get_errno()])
near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 9000)
set_result(found)
"""
    assert (await shared.run(code)).value == [*["EPERM"] * 4, "EINVAL", "ENOSYS"]


async def test_a_crash_starts_no_handler_of_the_machine(shared: Worker) -> None:
    """The kernel leaves it out for a limit of exactly 1, which a script cannot change."""
    code = """
import ctypes, errno, resource, subprocess
CORE = resource.RLIMIT_CORE
found = []
for attempt in (lambda: resource.setrlimit(CORE, (0, 0)), lambda: resource.prlimit(0, CORE, (0, 0))):
    try: found.append(attempt())
    except (OSError, ValueError) as error: found.append(type(error).__name__)
subprocess.run("ulimit -c 0", shell=True, check=True)
resource.setrlimit(resource.RLIMIT_STACK, (1 << 22, 1 << 22))
set_result([found, resource.getrlimit(CORE), resource.prlimit(0, CORE), resource.getrlimit(resource.RLIMIT_STACK)])
"""
    ended = await shared.run(code)
    assert ended.value == [[None, "PermissionError"], [1, 1], [1, 1], [1 << 22, 1 << 22]]
    for pid in (shared.process.pid, shared.zygote(), shared.template()):
        assert "Max core file size        1                    1 " in Path(f"/proc/{pid}/limits").read_text()
