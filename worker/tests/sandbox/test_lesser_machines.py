"""Where the kernel gives less, the worker works with what there is, and says what is missing."""

from __future__ import annotations

import asyncio
import errno
import os

import pytest

from airlock_worker.linux import processes

from ..harness import Worker, worker

# A user like any other, in a user namespace as a container engine would make it.
PLAIN_USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
# The same, where the kernel allows no mount namespaces.
NO_NAMESPACES = (
    *("unshare", "--user", "--map-root-user", "sh", "-c"),
    'echo 0 > /proc/sys/user/max_mnt_namespaces; exec "$@"',
    "sh",
)
# The same, where it allows no pid namespaces.
NO_PID_NAMESPACES = (
    *("unshare", "--user", "--map-root-user", "sh", "-c"),
    'echo 0 > /proc/sys/user/max_pid_namespaces; exec "$@"',
    "sh",
)
TRACE = "import os; open('trace', 'w').write('x'); os.mkdir('d'); os.chmod('d', 0); set_result(os.getcwd())"


async def _layers(target: Worker) -> dict[str, str]:
    """What is missing, and why."""
    status = await target.until_state("READY")
    return {layer.name: layer.detail for layer in status.isolation_layers if not layer.in_force}


async def _allow(target: Worker, kind: str, namespaces: int) -> None:
    """Sets how many namespaces of a kind the user namespace around the worker may have."""
    told = f"echo {namespaces} > /proc/sys/user/max_{kind}_namespaces"
    within = ("nsenter", "-t", str(target.process.pid), "-U", "--preserve-credentials", "sh", "-c", told)
    assert await (await asyncio.create_subprocess_exec(*within)).wait() == 0


async def test_a_plain_user_gets_its_namespaces_from_a_user_namespace() -> None:
    async with worker(wrapper=PLAIN_USER, pids=20) as target:
        missing = await _layers(target)
        assert not {"user_namespace", "mount_namespace", "ipc_namespace", "scratch_directory"} & set(missing), missing
        assert (await target.run(TRACE)).value == "/tmp/airlock"
        assert (await target.run("import os; set_result(os.listdir('.'))")).value == []
        bomb = "import os, time\nfor _ in range(30):\n if os.fork() == 0: time.sleep(60)"
        ended = await target.run(bomb)
        # The kernel exempts root from its limit for users, also as somebody else in a namespace; not from a cgroup's.
        exempt = os.getuid() == 0 and "pids" in missing.get("cgroup", "")
        assert ended.end == ("completed" if exempt else "script_error")


async def test_without_namespaces_runs_still_have_a_directory_of_their_own() -> None:
    async with worker(wrapper=NO_NAMESPACES) as target:
        missing = await _layers(target)
        assert {"mount_namespace", "minimal_tree", "own_proc", "read_only_root"} <= set(missing)
        assert "No space left on device" in missing["mount_namespace"]
        there = {"scratch_directory", "descendants_killed", "no_new_privs", "pid_namespace", "landlock", "seccomp"}
        assert not there & set(missing), missing
        run_dir = target.log_path.parent / "run"
        path = (await target.run(TRACE)).value
        assert path.startswith(str(run_dir))
        ended = await target.run("import os; set_result([os.listdir('.'), os.getcwd() == os.environ['HOME']])")
        assert ended.value == [[], True]
        async with asyncio.timeout(10):
            while os.path.exists(path):
                await asyncio.sleep(0.02)


# It asks the kernel for a child that is its parent's, and for its orphans to be somebody else's.
LEAVES_THE_RUN = """
import ctypes, os, time
libc = ctypes.CDLL(None, use_errno=True)
PR_SET_CHILD_SUBREAPER, CLONE_PARENT, SIGCHLD = 36, 0x8000, 17
refused = [libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) and ctypes.get_errno()]
sibling = libc.syscall({"x86_64": 56, "aarch64": 220}[os.uname().machine], CLONE_PARENT | SIGCHLD, 0, 0, 0, 0)
if sibling == 0:
    libc.prctl(15, b"left-a-run", 0, 0, 0)
    while True: libc.sleep(1)
refused.append(sibling < 0 and ctypes.get_errno())
if os.fork() == 0:
    if os.fork() == 0:
        libc.prctl(15, b"left-a-run", 0, 0, 0)
        while True: time.sleep(1)
    os._exit(0)
os.wait()
print("there", flush=True)
time.sleep(%s)
set_result(refused)
"""


async def test_a_layer_that_the_kernel_refuses_later_keeps_scripts_from_starting() -> None:
    look = "import os; set_result(os.readlink('/proc/self/ns/user'))"
    plain = ("unshare", "--user", "--map-root-user", "sh", "-c", 'exec "$@"', "sh")
    async with worker(wrapper=plain) as target:
        assert "user_namespace" not in await _layers(target)
        outside = os.readlink(f"/proc/{target.process.pid}/ns/user")
        await _allow(target, "user", 0)
        # Spares that were made before have entered it.
        ends = [await target.run(look) for _ in range(8)]
        started = [ended for ended in ends if ended.end == "completed"]
        assert all(ended.value != outside for ended in started)
        refused = ends[len(started) :]
        assert {ended.end for ended in refused} == {"start_failed"}
        assert all("the kernel refuses user_namespace, a layer of the sandbox" in (e.error or "") for e in refused)
        await _allow(target, "user", 100)
        async with asyncio.timeout(20):
            while (ended := await target.run(look)).end != "completed":
                assert ended.end == "start_failed"
        assert ended.value != outside
        log = target.log_path.read_text()
        assert "a run child ended before it got a run" in log and "the kernel refuses user_namespace" in log


async def test_without_pid_namespaces_a_child_that_gets_no_namespaces_ends_and_says_so() -> None:
    async with worker(wrapper=NO_PID_NAMESPACES) as target:
        assert "pid_namespace" in await _layers(target)
        await _allow(target, "net", 0)
        # Spares that were made before have their namespaces.
        ends = [await target.run("set_result(1)") for _ in range(8)]
        refused = [ended for ended in ends if ended.end != "completed"]
        assert len(refused) >= 4 and {ended.end for ended in refused} == {"start_failed"}
        texts = {ended.error for ended in refused}
        assert all("no namespaces of its own, unshare: No space left on device" in (text or "") for text in texts)
        template = target.template()
        # Each child of the template is a run's process, and none a second template with children of its own.
        assert [child for child in processes.children_of(template) if processes.children_of(child)] == []
        await _allow(target, "net", 100)
        async with asyncio.timeout(20):
            while (ended := await target.run("r = llm.complete('?'); set_result(r)", ["a"])).end != "completed":
                assert ended.end == "start_failed"
        assert ended.value == "a" and target.template() == template


async def test_without_pid_namespaces_no_process_leaves_its_run() -> None:
    async with worker(wrapper=NO_PID_NAMESPACES) as target:
        assert {"pid_namespace"} <= set(missing := await _layers(target)) and "descendants_killed" not in missing
        ended = await target.run(LEAVES_THE_RUN % 0)
        assert ended.value == [errno.EPERM, errno.EPERM]
        assert target.pids_named("left-a-run") == []
        # While the run goes on its processes are below it: there it is timed, paused and counted.
        call = await target.start(LEAVES_THE_RUN % 20, timeout_ms=5_000)
        await call.next_event()
        async with asyncio.timeout(5):
            while not (found := target.pids_named("left-a-run")):
                await asyncio.sleep(0.02)
        [left] = found
        assert processes.parent_of(left) in processes.children_of(target.template())
        assert (await call.finish()).end == "timeout"
        assert target.pids_named("left-a-run") == []


async def test_without_pid_namespaces_a_sigkill_retires_the_worker_before_the_end_is_told() -> None:
    async with worker(wrapper=NO_PID_NAMESPACES) as target:
        assert "pid_namespace" in await _layers(target)
        watch = target.watch()
        await watch.read()
        ended = await target.run("import os; os.kill(os.getpid(), 9)")
        assert ended.end == "killed"
        retiring = await asyncio.wait_for(watch.read(), 1)
        assert retiring.state == 3 and "SIGKILL" in retiring.detail
        assert (await target.run("set_result(1)")).value == 1


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("mount -o remount,bind,ro", "Read-only file system"),
        ("mount -t tmpfs tmpfs", "No such file or directory"),
    ],
    ids=["read-only, as in a container", "hidden"],
)
async def test_without_cgroups_runs_are_limited_one_process_at_a_time(command: str, words: str) -> None:
    script = f'grep -E " cgroup2? " /proc/mounts | cut -d" " -f2 | xargs -n 1 {command}; exec "$@"'
    async with worker(wrapper=("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", script, "sh")) as target:
        missing = await _layers(target)
        assert set(missing) == {"cgroup"}
        for controller in ("memory", "pids", "cpu"):
            assert controller in missing["cgroup"]
        assert words in missing["cgroup"]
        assert (await target.run("x = bytearray(1 << 30)")).end == "out_of_memory"
        assert (await target.run("set_result(1)")).value == 1


async def test_a_script_that_may_open_the_other_ends_of_its_pipes_cannot_take_back_that_it_began() -> None:
    code = """
import json, os
opened = 0
for fd in os.listdir("/proc/self/fd"):
    try: end = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK)
    except OSError: continue
    opened += 1
    try: os.read(end, 1000)
    except OSError: pass
assert opened > 1
text = json.dumps({"end": "start_failed", "error": "Please run me again."}).encode()
os.write(3, b"D" + len(text).to_bytes(4, "big") + text)
"""
    async with worker(wrapper=PLAIN_USER) as target:
        for _ in range(5):
            assert (await target.run(code)).end == "script_error"
