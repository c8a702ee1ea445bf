"""The layers around a run child, from the outside in.

A child enters them while it is a spare, so that no run waits for it.
A layer that the kernel refuses is noted and the run goes on without it: whether that is enough for a project is the
pool-manager's decision, which it takes from `measure`, made in a real child by the probe run at start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import mounts, privileges
from .room import Limits, Room


@dataclass(frozen=True)
class Layer:
    name: str
    # None when the layer is in force, else why it is not.
    measure: Callable[[Room, Limits], str | None]
    enter: Callable[[Room, Limits], None] | None = None


def _of_room(measure: Callable[[Room], str | None]) -> Callable[[Room, Limits], str | None]:
    return lambda room, limits: measure(room)


def _not_built(room: Room, limits: Limits) -> str | None:
    return "not built into this version"


def _enter_mounts(room: Room, limits: Limits) -> None:
    """The user, IPC and read-only layers come with it: one system call, one set of mounts."""
    mounts.enter_namespaces(room)
    mounts.enter_private_places(room, limits.disk_bytes)


LAYERS: tuple[Layer, ...] = (
    Layer("user_namespace", _of_room(mounts.measure_user)),
    Layer(
        "mount_namespace",
        _of_room(mounts.measure_private_places),
        enter=_enter_mounts,
    ),
    Layer("ipc_namespace", _of_room(mounts.measure_ipc)),
    Layer("read_only_root", _of_room(mounts.measure_read_only_root)),
    Layer("pid_namespace", _not_built),
    Layer("network_namespace", _not_built),
    Layer("cgroup", _not_built),
    Layer("scratch_directory", _of_room(mounts.measure_scratch), enter=lambda room, limits: mounts.enter_scratch(room)),
    Layer("rlimits", privileges.measure_resources, enter=privileges.enter_resources),
    Layer(
        "capabilities_dropped",
        _of_room(privileges.measure_capabilities),
        enter=privileges.enter_capabilities,
    ),
    Layer(
        "no_new_privs",
        _of_room(privileges.measure_new_privileges),
        enter=privileges.enter_new_privileges,
    ),
    Layer("landlock", _not_built),
    Layer("seccomp", _not_built),
)


def enter(room: Room, limits: Limits) -> None:
    for layer in LAYERS:
        if layer.enter is not None:
            try:
                layer.enter(room, limits)
            except (OSError, ValueError) as error:
                room.problems[layer.name] = str(error)


def measure(room: Room, limits: Limits) -> dict[str, str | None]:
    return {layer.name: layer.measure(room, limits) for layer in LAYERS}
