"""The layers around a run child, from the outside in.

`enter` happens in a spare, before it has a run; `confine` when the run's limits are known, just before its code.
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
    enter: Callable[[Room], None] | None = None
    confine: Callable[[Room, Limits], None] | None = None


def _of_room(measure: Callable[[Room], str | None]) -> Callable[[Room, Limits], str | None]:
    return lambda room, limits: measure(room)


def _not_built(room: Room, limits: Limits) -> str | None:
    return "not built into this version"


def _enter_mounts(room: Room) -> None:
    """The user, IPC and read-only layers come with it: one system call, one set of mounts."""
    mounts.enter_namespaces(room)
    mounts.enter_private_places(room)


LAYERS: tuple[Layer, ...] = (
    Layer("user_namespace", _of_room(mounts.measure_user)),
    Layer(
        "mount_namespace",
        _of_room(mounts.measure_private_places),
        enter=_enter_mounts,
        confine=mounts.confine_private_places,
    ),
    Layer("ipc_namespace", _of_room(mounts.measure_ipc)),
    Layer("read_only_root", _of_room(mounts.measure_read_only_root)),
    Layer("pid_namespace", _not_built),
    Layer("network_namespace", _not_built),
    Layer("cgroup", _not_built),
    Layer("scratch_directory", _of_room(mounts.measure_scratch), enter=mounts.enter_scratch),
    Layer("rlimits", privileges.measure_resources, confine=privileges.confine_resources),
    Layer(
        "capabilities_dropped",
        _of_room(privileges.measure_capabilities),
        confine=privileges.confine_capabilities,
    ),
    Layer(
        "no_new_privs",
        _of_room(privileges.measure_new_privileges),
        confine=privileges.confine_new_privileges,
    ),
    Layer("landlock", _not_built),
    Layer("seccomp", _not_built),
)


def enter(room: Room) -> None:
    for layer in LAYERS:
        if layer.enter is not None:
            try:
                layer.enter(room)
            except OSError as error:
                room.problems[layer.name] = str(error)


def confine(room: Room, limits: Limits) -> None:
    for layer in LAYERS:
        if layer.confine is not None:
            try:
                layer.confine(room, limits)
            except (OSError, ValueError) as error:
                room.problems[layer.name] = str(error)


def measure(room: Room, limits: Limits) -> dict[str, str | None]:
    return {layer.name: layer.measure(room, limits) for layer in LAYERS}
