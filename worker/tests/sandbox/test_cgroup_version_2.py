"""Version 2 of cgroups, on the machine's own tree of it. It may have no controllers here: then these tests say nothing
about limits, only about who is where, and about what belongs to whom."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from airlock_worker.cgroups.cgroup_delegation import delegated, enable, move_down
from airlock_worker.cgroups.cgroup_membership import Membership
from airlock_worker.cgroups.worker_cgroups import remove_orphans

from ..harness import WORKER_ROOT


def _mount() -> str:
    with open("/proc/self/mounts") as mounts:
        return next((line.split()[1] for line in mounts if line.split()[2] == "cgroup2"), "")


pytestmark = pytest.mark.skipif(
    os.getuid() != 0 or not os.access(_mount() or "/none", os.W_OK), reason="no tree of version 2 to make cgroups in"
)


@pytest.fixture
def ours() -> Iterator[Path]:
    directory = Path(_mount()) / f"airlock-test-{uuid.uuid4().hex[:8]}"
    directory.mkdir()
    yield directory
    for found, _, _ in sorted(os.walk(directory), reverse=True):
        os.rmdir(found)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def _standing(directory: Path) -> Membership:
    return Membership(2, (), _mount(), str(directory))


# In a process of one thread, which a worker's zygote is and a test's is not.
BIRTHS = """
import os, sys
from airlock_worker.linux import kernel
from airlock_worker.cgroups.run_cgroup import RunCgroups
from airlock_worker.cgroups.cgroup_limits import Place
from airlock_worker.wire.limits import Limits

def born(cgroup):
    told, tell = os.pipe()
    pid = kernel.clone(0, cgroup.clone_fd)
    if pid == 0:
        os.write(tell, open("/proc/self/cgroup", "rb").read())
        os._exit(0)
    os.waitpid(pid, 0)
    return os.read(told, 4096).decode().strip().rpartition("/")[2]

limits = Limits(1, 1, memory_bytes=1, disk_bytes=1, pids=1, cpus=1.0)
cgroups = RunCgroups([Place(2, (), os.open(sys.argv[1], os.O_RDONLY))], clone_into=True)
print(cgroups.try_out())
first, second = cgroups.take(limits), cgroups.take(limits)
print(born(first), born(second), first.entry_fds)
first.close()
cgroups.give_back(first)
print(born(cgroups.take(limits)))
"""


def test_children_are_born_in_their_cgroups_and_a_free_one_is_taken_again(ours: Path) -> None:
    environment = {"PYTHONPATH": str(WORKER_ROOT)}
    told = subprocess.run(
        [sys.executable, "-c", BIRTHS, str(ours)], env=environment, check=True, capture_output=True, text=True
    )
    assert told.stdout == "None\nrun-1 run-2 []\nrun-1\n"
    assert sorted(path.name for path in ours.iterdir() if path.is_dir()) == ["run-1", "run-2"]


def test_what_nobody_delegated_is_not_divided(ours: Path) -> None:
    leaf = ours / "leaf"
    leaf.mkdir()
    for directory in (ours, leaf):
        with pytest.raises(PermissionError, match="Delegate=yes"):
            delegated(_standing(directory))


def test_what_is_delegated_is_divided_from_inside_and_from_a_leaf_of_it(ours: Path) -> None:
    leaf = ours / "leaf"
    leaf.mkdir()
    os.setxattr(ours, "user.delegate", b"1")
    assert delegated(_standing(ours)) == delegated(_standing(leaf)) == str(ours)


def test_the_top_of_what_a_process_sees_is_its_own(ours: Path) -> None:
    assert delegated(Membership(2, (), str(ours), str(ours))) == str(ours)


def test_processes_make_room_for_children_with_controllers(ours: Path, sleeper: subprocess.Popen[bytes]) -> None:
    (ours / "cgroup.procs").write_text(str(sleeper.pid))
    enable(str(ours), ())
    assert (ours / "cgroup.procs").read_text().split() == [str(sleeper.pid)]
    move_down(str(ours))
    assert (ours / "cgroup.procs").read_text() == ""
    assert (ours / "airlock-services" / "cgroup.procs").read_text().split() == [str(sleeper.pid)]
    assert delegated(_standing(ours / "airlock-services")) == str(ours)
    sleeper.kill()
    sleeper.wait()


def test_what_still_runs_in_an_orphan_is_killed(ours: Path, sleeper: subprocess.Popen[bytes]) -> None:
    run = ours / "airlock-worker-0" / "run-1"
    run.mkdir(parents=True)
    (run / "cgroup.procs").write_text(str(sleeper.pid))
    remove_orphans(str(ours))
    assert sleeper.wait(5) == -9
    remove_orphans(str(ours))
    assert not run.parent.exists()
