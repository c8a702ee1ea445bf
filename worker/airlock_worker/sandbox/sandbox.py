"""The layers of the sandbox around a run child, in the order in which they are entered.

A child enters them while it is a spare, so that no run waits for it. If the kernel refuses a layer to the probe run,
that is recorded and runs go on without it. The pool-manager decides whether the rest is enough for a project, from the
results of `measure`, which the probe run takes in a real child at start. Every later child must enter the layers that
the probe run entered, or it ends before it gets a run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from ..linux import kernel
from ..wire.limits import Limits
from . import landlock, mounts, namespaces, privileges, seccomp
from .context import SandboxContext


@dataclass(frozen=True)
class Layer:
    name: str
    # Returns None when the layer is in force, else why it is not.
    measure: Callable[[SandboxContext, Limits], str | None]
    # Puts the layer in force in a run child; None: the layer is in force without a step of its own.
    enter: Callable[[SandboxContext, Limits], None] | None = None


def _of_room(measure: Callable[[SandboxContext], str | None]) -> Callable[[SandboxContext, Limits], str | None]:
    return lambda context, limits: measure(context)


def _namespace(kind: str, layer: str) -> Callable[[SandboxContext, Limits], str | None]:
    return lambda context, limits: namespaces.measure_namespace(kind, layer, context)


def _enter_mounts(context: SandboxContext, limits: Limits) -> None:
    if not context.clone_flags & kernel.CLONE_NEWNS:
        raise OSError("there is no mount namespace")
    mounts.enter_private_places(context, limits.disk_bytes)


# In the order of entering: layers that need rights come before the rights are given up.
LAYERS: tuple[Layer, ...] = (
    Layer("minimal_tree", _of_room(mounts.measure_tree)),
    Layer("private_files", _of_room(mounts.measure_private_files)),
    Layer("mount_namespace", _of_room(mounts.measure_private_places), enter=_enter_mounts),
    Layer("read_only_root", _of_room(mounts.measure_read_only_root)),
    Layer("pid_namespace", _namespace("pid", "pid_namespace")),
    Layer("own_proc", _of_room(mounts.measure_proc), enter=lambda context, limits: mounts.enter_proc(context)),
    Layer("ipc_namespace", _namespace("ipc", "ipc_namespace")),
    Layer("uts_namespace", _namespace("uts", "uts_namespace"), enter=namespaces.enter_host_name),
    Layer("network_namespace", namespaces.measure_network),
    Layer("user_namespace", _namespace("user", "user_namespace"), enter=namespaces.enter_user),
    Layer("unprivileged_user", _of_room(namespaces.measure_unprivileged)),
    Layer(
        "scratch_directory",
        _of_room(mounts.measure_scratch),
        enter=lambda context, limits: mounts.enter_scratch(context),
    ),
    Layer("rlimits", privileges.measure_resources, enter=privileges.enter_resources),
    # The child enters its cgroup before all layers, and the supervisor measures it, because a run cannot see its
    # cgroup.
    Layer("cgroup", _of_room(lambda context: context.problems.get("cgroup"))),
    Layer("capabilities_dropped", _of_room(privileges.measure_capabilities), enter=privileges.enter_capabilities),
    Layer("no_new_privs", _of_room(privileges.measure_new_privileges), enter=privileges.enter_new_privileges),
    Layer("landlock", landlock.measure, enter=landlock.enter),
    # seccomp comes last, because it refuses system calls that the other layers need.
    Layer("seccomp", seccomp.measure, enter=seccomp.enter),
)


class LayerRefused(Exception):
    """The kernel refuses a layer that it gave to the probe run."""


def mask_of(names: Collection[str]) -> int:
    """These layers as bits of one number, because names in the template's orders would move pages of every run."""
    return sum(1 << at for at, layer in enumerate(LAYERS) if layer.name in names)


def enter(context: SandboxContext, limits: Limits, required: int) -> None:
    """`required`: the layers without which no run may start, as `mask_of` makes it."""
    for at, layer in enumerate(LAYERS):
        if layer.enter is not None:
            try:
                layer.enter(context, limits)
            except (OSError, ValueError) as error:
                context.problems.setdefault(layer.name, str(error))
            if required >> at & 1 and layer.name in context.problems:
                raise LayerRefused(
                    f"the kernel refuses {layer.name}, a layer of the sandbox, which it gave to this worker before: "
                    f"{context.problems[layer.name]}"
                )


def measure(context: SandboxContext, limits: Limits) -> dict[str, str | None]:
    return {layer.name: layer.measure(context, limits) for layer in LAYERS}
