"""Files that a run shares with others tell it nothing about them, and give it no hold on them."""

from __future__ import annotations

from .harness import Worker

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


async def test_no_run_watches_or_leases_a_file(shared: Worker) -> None:
    # A library that finds no inotify looks at times, as on a kernel without it.
    assert (await shared.run(_WATCHES)).value == ["ENOSYS", "EPERM", "EPERM", "EPERM"]
