"""Files that a run shares with others tell it nothing about them, and give it no hold on them."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

import pytest

from ..harness import Worker, worker

_WATCHES = """
import ctypes, errno, fcntl, os
libc = ctypes.CDLL(None, use_errno=True)
failed = []
if libc.inotify_init1(0) == -1: failed.append(errno.errorcode[ctypes.get_errno()])
directory, file = os.open("/usr/lib", os.O_RDONLY), os.open(os.__file__, os.O_RDONLY)
for descriptor, command, value in ((directory, 1026, 0x3F), (file, 1024, fcntl.F_RDLCK), (file, 1024, fcntl.F_WRLCK)):
    try: fcntl.fcntl(descriptor, command, value)
    except OSError as error: failed.append(errno.errorcode[error.errno])
set_result(failed)
"""
_LOCKS = """
import fcntl, os, sys
files = [open(path) for path in (os.__file__, sys.prefix + "/pyvenv.cfg", "/etc/services") if os.path.exists(path)]
for file in files:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
llm.complete("locked")
set_result(len(files))
"""
# One overlay over another is as many as the kernel puts on top of each other.
_NO_MORE_OVERLAYS = (
    *("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"),
    """mount -t tmpfs tmpfs /mnt; mkdir /mnt/empty
    for _ in 1 2; do mount -t overlay overlay -o lowerdir=/mnt/empty:/usr/share /usr/share; done; exec "$@" """,
    "sh",
)


async def test_no_run_watches_or_leases_a_file(shared: Worker) -> None:
    # A library that finds no inotify looks at times, as on a kernel without it.
    assert (await shared.run(_WATCHES)).value == ["ENOSYS", "EPERM", "EPERM", "EPERM"]


async def test_what_a_run_locks_is_locked_for_nobody_outside(shared: Worker) -> None:
    call = await shared.start(_LOCKS)
    question = await call.until_question()
    outside = [path for path in (os.__file__, f"{sys.prefix}/pyvenv.cfg", "/etc/services") if os.path.exists(path)]
    for path in outside:
        with open(path) as file:  # noqa: ASYNC230
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Type, whence, start, length, process: the kernel says who stands in the way.
            answer = fcntl.fcntl(file, fcntl.F_GETLK, fcntl.F_WRLCK.to_bytes(32, sys.byteorder))
            assert int.from_bytes(answer[:2], sys.byteorder) == fcntl.F_UNLCK
    await call.answer(question.id, "")
    assert (await call.finish()).value == len(outside)


async def test_a_process_knows_nothing_of_the_machine(shared: Worker) -> None:
    code = """
import os, sys
texts = [repr(sys.orig_argv), repr(sys.path), sys.executable, open(sys.prefix + "/pyvenv.cfg").read()]
names = ("mountinfo", "mounts", "mountstats", "cmdline", "environ", "maps")
texts += [open(f"/proc/self/{name}").read() for name in names]
print("\\n".join(texts))
set_result([sys.prefix, os.statvfs(os.__file__).f_blocks * os.statvfs(os.__file__).f_frsize])
"""
    ended = await shared.run(code)
    prefix, size = ended.value
    assert prefix == "/opt/airlock/project"
    # Of memory that the tree itself stands in.
    assert size <= 1 << 30
    for word in (str(shared.log_path.parent), sys.prefix, str(Path(__file__).parents[2])):
        assert word.encode() not in ended.stdout


async def test_where_no_overlay_can_be_had_the_worker_says_so_and_works() -> None:
    async with worker(wrapper=_NO_MORE_OVERLAYS) as target:
        status = await target.until_state("READY")
        [detail] = [layer.detail for layer in status.isolation_layers if layer.name == "private_files"]
        assert detail.startswith("/usr/share: ")
        in_force = {layer.name for layer in status.isolation_layers if layer.in_force}
        assert {"minimal_tree", "read_only_root"} <= in_force
        assert (await target.run(_WATCHES)).value[0] == "ENOSYS"
        assert (await target.run("import os; set_result(bool(os.listdir('/usr/share')))")).value is True


@pytest.mark.parametrize("place", ["/dev/null", "/dev/urandom"])
@pytest.mark.skipif(os.getuid() != 0, reason="only root can make devices")
async def test_devices_are_the_trees_own(shared: Worker, place: str) -> None:
    call = await shared.start(f"import fcntl; f = open({place!r}); fcntl.flock(f, fcntl.LOCK_EX); llm.complete('')")
    await call.until_question()
    with open(place) as file:  # noqa: ASYNC230
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    await call.stop()


async def test_what_the_whole_machine_shares_is_out_of_reach(shared: Worker) -> None:
    code = """
import ctypes, errno, fcntl, mmap, os, struct
libc = ctypes.CDLL(None, use_errno=True)
def failed(*call):
    ctypes.set_errno(0)
    return errno.errorcode.get(ctypes.get_errno()) if libc.syscall(*call) < 0 else "it works"
pointer = ctypes.byref(ctypes.create_string_buffer(64))
lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0)
def of(call):
    try:
        call()
        return "it works"
    except OSError as error:
        return errno.errorcode[error.errno]
set_result([
    failed(136, ctypes.c_ulong(os.stat("/").st_dev), pointer),
    failed(206, 16, pointer),
    *(of(lambda: fcntl.fcntl(1, command, lock)) for command in (36, 37, 38)),
    of(lambda: mmap.mmap(-1, 2 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)),
    of(lambda: os.memfd_create("x", 4)),
    len(mmap.mmap(-1, 4096)),
])
"""
    refused = ["EPERM", "ENOSYS", "EPERM", "EPERM", "EPERM", "ENOMEM", "ENOMEM"]
    assert (await shared.run(code)).value == [*refused, 4096]
