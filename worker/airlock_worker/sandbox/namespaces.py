"""The namespaces of a run child: its fork makes them, except for the user namespace, which it enters last.

Mounts belong to the namespace outside, so that even all capabilities of the inner user namespace cannot change them.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct

from ..linux import kernel
from ..linux.proc import namespaces
from ..wire.limits import Limits
from . import namespace_setup
from .context import HOST_NAME, SandboxContext

USER_INSIDE = 1000
# Port of the egress proxy, the same in every run, because each run has a network namespace of its own.
PROXY_PORT = 3128
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def fork(context: SandboxContext, cgroup_fd: int | None) -> int:
    """Like os.fork. `cgroup_fd`: directory of the child's cgroup, None for the parent's. Raises OSError in the parent
    only; the child then calls `enter_new`.
    """
    return kernel.clone(context.clone_flags, cgroup_fd) if context.own_pids else os.fork()


def enter_new(context: SandboxContext) -> None:
    """The child's part of the fork: namespaces that the fork itself did not make, and its user. Raises OSError."""
    # The child's pid as the supervisor sees it: /proc still shows the zygote's pid namespace.
    context.host_pid = int(os.readlink("/proc/self"))
    if context.clone_flags and not context.own_pids:
        try:
            kernel.unshare(context.clone_flags)
        except OSError as error:
            raise OSError(error.errno, f"the run gets no namespaces of its own, {error.strerror}") from None
    if context.user_per_run:
        context.script_uid = namespace_setup.new_user()


def enter_host_name(context: SandboxContext, limits: Limits) -> None:
    if context.clone_flags & kernel.CLONE_NEWUTS:
        socket.sethostname(HOST_NAME)


def listener(context: SandboxContext) -> socket.socket:
    """The socket on which a run reaches its egress proxy. Without a network namespace of its own it gets any free
    port.
    """
    own = bool(context.clone_flags & kernel.CLONE_NEWNET)
    with socket.socket() as any_socket:
        if own:
            request = struct.pack("16sh14x", b"lo", 0)
            flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))[1]
            # gVisor's loopback is up from the beginning, and its flags cannot be set.
            if not flags & _IFF_UP:
                fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))
    listening = socket.socket()
    listening.bind(("127.0.0.1", PROXY_PORT if own else 0))
    listening.listen(128)
    return listening


def enter_user(context: SandboxContext, limits: Limits) -> None:
    """Enters the user namespace. Root first becomes another user outside, because the user inside is only a name for
    that.
    """
    if context.script_uid is not None:
        for output in (1, 2):
            # The script's user becomes the owner of the output pipes, because root made them, and a script may open its
            # own outputs by name (/dev/stdout, /dev/stderr).
            os.fchown(output, context.script_uid, context.script_uid)
        namespace_setup.become(context.script_uid)
        # The change of user made root the owner of the files in this process's /proc/self. This call undoes that.
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    if context.user_namespace:
        uid, gid = os.getuid(), os.getgid()
        kernel.unshare(kernel.CLONE_NEWUSER)
        namespace_setup.map_user(USER_INSIDE, USER_INSIDE, uid, gid)


def measure_namespace(kind: str, layer: str, context: SandboxContext) -> str | None:
    if namespaces()[kind] == context.outside[kind]:
        return context.problems.get(layer) or f"the {kind} namespace is the worker's own"
    return None


def measure_network(context: SandboxContext, limits: Limits) -> str | None:
    problem = measure_namespace("net", "network_namespace", context)
    if problem is None:
        with open("/proc/self/net/dev") as file:
            devices = [line.partition(":")[0].strip() for line in file.readlines()[2:]]
        others = [device for device in devices if device != "lo"]
        problem = f"there are other interfaces than lo: {', '.join(others)}" if others else None
    return problem


def measure_unprivileged(context: SandboxContext) -> str | None:
    if context.script_uid is None and context.worker_is_root:
        return context.problems.get("unprivileged_user") or "the user outside is the worker's, root"
    return None if os.getuid() != 0 else "the user inside is root"
