"""The namespaces of a run child: made by its fork, except for the user namespace, which it enters at the end.

The mounts belong to the namespace outside, so that even all capabilities of the inner one change nothing about them.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct

from . import ground, kernel
from .limits import Limits
from .proc import namespaces
from .room import HOST_NAME, Room

USER_INSIDE = 1000
# The same in every run: it has this network for itself.
PROXY_PORT = 3128
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def fork(room: Room, cgroup_fd: int | None) -> int:
    """Like os.fork, into the namespaces that can be had, and into the cgroup whose directory this is; None: the parent's."""
    pid = kernel.clone(room.clone_flags, cgroup_fd) if room.own_pids else os.fork()
    if pid == 0:
        # The /proc is still that of the zygote's pid namespace.
        room.host_pid = int(os.readlink("/proc/self"))
        if room.clone_flags and not room.own_pids:
            kernel.unshare(room.clone_flags)
        if room.user_per_run:
            room.script_uid = ground.new_user()
    return pid


def enter_host_name(room: Room, limits: Limits) -> None:
    if room.clone_flags & kernel.CLONE_NEWUTS:
        socket.sethostname(HOST_NAME)


def listener(room: Room) -> socket.socket:
    """Where the egress proxy is reached from this run. Without a namespace of its own the port is any free one."""
    own = bool(room.clone_flags & kernel.CLONE_NEWNET)
    with socket.socket() as any_socket:
        if own:
            request = struct.pack("16sh14x", b"lo", 0)
            flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))[1]
            # gVisor's is up from its beginning, and no flag can be set there.
            if not flags & _IFF_UP:
                fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))
    listening = socket.socket()
    listening.bind(("127.0.0.1", PROXY_PORT if own else 0))
    listening.listen(128)
    return listening


def enter_user(room: Room, limits: Limits) -> None:
    """Root first becomes somebody else outside: inside is only a name for that."""
    if room.script_uid is not None:
        ground.become(room.script_uid)
        # The files of /proc/self are root's since then.
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    if room.user_namespace:
        uid, gid = os.getuid(), os.getgid()
        kernel.unshare(kernel.CLONE_NEWUSER)
        ground.map_user(USER_INSIDE, USER_INSIDE, uid, gid)


def measure_namespace(kind: str, layer: str, room: Room) -> str | None:
    if namespaces()[kind] == room.outside[kind]:
        return room.problems.get(layer) or f"the {kind} namespace is the worker's own"
    return None


def measure_network(room: Room, limits: Limits) -> str | None:
    problem = measure_namespace("net", "network_namespace", room)
    if problem is None:
        with open("/proc/self/net/dev") as file:
            devices = [line.partition(":")[0].strip() for line in file.readlines()[2:]]
        others = [device for device in devices if device != "lo"]
        problem = f"there are other interfaces than lo: {', '.join(others)}" if others else None
    return problem


def measure_unprivileged(room: Room) -> str | None:
    if room.script_uid is None and room.worker_is_root:
        return room.problems.get("unprivileged_user") or "the user outside is the worker's, root"
    return None if os.getuid() != 0 else "the user inside is root"
