"""Where a process stands in the trees of cgroups, from the kernel's own words about many kinds of machines."""

from __future__ import annotations

import pytest

from airlock_worker.cgroups.cgroup_membership import Membership, parse

V1_MOUNTS = """\
30 25 0:26 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/pids rw,relatime shared:9 - cgroup cgroup rw,pids
34 30 0:30 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
V2_MOUNT = "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
ALL = ("memory", "pids", "cpu")

MACHINES = {
    "version 1": (
        "4:memory:/user/me\n3:pids:/\n2:cpu,cpuacct:/a/b\n1:name=systemd:/x\n0::/x\n",
        V1_MOUNTS,
        [
            Membership(1, ("memory",), "/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/user/me"),
            Membership(1, ("pids",), "/sys/fs/cgroup/pids", "/sys/fs/cgroup/pids"),
            Membership(1, ("cpu",), "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct/a/b"),
        ],
    ),
    "version 2": (
        "0::/system.slice/airlock.service\n",
        V2_MOUNT,
        [Membership(2, ALL, "/sys/fs/cgroup", "/sys/fs/cgroup/system.slice/airlock.service")],
    ),
    "version 2 in a container": ("0::/\n", V2_MOUNT, [Membership(2, ALL, "/sys/fs/cgroup", "/sys/fs/cgroup")]),
    "memory on version 1, the rest on version 2": (
        "4:memory:/m\n0::/u\n",
        V1_MOUNTS,
        [
            Membership(1, ("memory",), "/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/m"),
            Membership(2, ("pids", "cpu"), "/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified/u"),
        ],
    ),
    "a container that sees its part of version 1": (
        "4:memory:/docker/abc\n",
        "32 30 0:28 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
        [Membership(1, ("memory",), "/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory")],
    ),
    "a process outside of what its container sees": ("0::/../other\n", V2_MOUNT.replace(" / ", " /docker/abc "), []),
    "a name that begins like another": (
        "4:memory:/docker/abcdef\n",
        "32 30 0:28 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
        [],
    ),
    "a unit with a backslash in its name": (
        "0::/app\\x2dterminal.scope/leaf\n",
        "30 25 0:26 /app\\134x2dterminal.scope /run/my\\040cgroups rw - cgroup2 cgroup2 rw\n",
        [Membership(2, ALL, "/run/my cgroups", "/run/my cgroups/leaf")],
    ),
    "nothing mounted": ("4:memory:/\n0::/\n", "20 1 0:20 / / rw - ext4 /dev/root rw\n", []),
}


@pytest.mark.parametrize("name", MACHINES)
def test_the_standing_of_a_process_on(name: str) -> None:
    cgroup, mountinfo, expected = MACHINES[name]
    assert parse(cgroup, mountinfo) == expected
