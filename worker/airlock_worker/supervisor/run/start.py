"""The input of a run: its request and the worker's provision, both checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ...wire import frames
from ...wire.limits import Limits
from .json_check import is_memory, problem_of
from .network import Network, network_of
from .secret import Secret

# Bytes of the longest memory text that is checked here, because the check would hold up the event loop for other runs.
# The router has checked the bytes of a longer one, and the child refuses a text of another form.
_CHECKED_BYTES = 64 * 1024


class BadStart(ValueError):
    """The caller's request cannot be run. The text may be shown to the caller."""


@dataclass(frozen=True)
class Provision:
    project: str
    # Version of the project's secrets and settings, as the pool-manager named it. A run for another version is refused.
    version: str
    secrets: tuple[Secret, ...]
    settings: dict[str, str]
    limits: Limits
    # Whether the project's runs get a route to the network, through the egress service.
    network: bool = False


@dataclass(frozen=True)
class Start:
    """Everything that one run starts with. `repr` leaves out code, settings, memory and network, so that no log
    shows them.
    """

    execution_id: str
    code: str = field(repr=False)
    timeout_ms: int
    settings: dict[str, str] = field(repr=False)
    memory_json: str = field(repr=False)
    secrets: tuple[Secret, ...]
    project_settings: dict[str, str]
    limits: Limits
    probe: bool = False
    network: Network | None = field(default=None, repr=False)
    # Milliseconds that an llm request of the run may stay open; 0: the router has not said.
    llm_timeout_ms: int = 0

    def without_script(self) -> Start:
        """A copy without code, settings and memory, for after they were sent: they may be megabytes, and a pause may
        last days.
        """
        return replace(self, code="", settings={}, memory_json="")

    def frames(self, proxy_port: int | None = None) -> bytes:
        """GIVEN and START frames for the child. `proxy_port`: port of the run's own proxy, None without a network.

        Secrets are sent in a frame of their own (GIVEN), so that a changed secret changes neither the seed of the
        script's random numbers, which is computed from START (code, settings and memory), nor the addresses of its
        objects.
        """
        given = {
            "probe": self.probe,
            "secrets": {secret.name: secret.reveal() for secret in self.secrets},
            "network": None if self.network is None or proxy_port is None else self.network.for_child(proxy_port),
        }
        start = {
            "code": self.code,
            "settings": self.settings,
            "memory_json": self.memory_json,
            "project_settings": self.project_settings,
        }
        kinds = ((frames.GIVEN, given), (frames.START, start))
        return b"".join(frames.pack(kind, json.dumps(text, ensure_ascii=False).encode()) for kind, text in kinds)


def provision_of(request: Any) -> Provision:
    """The provision from a ProvisionRequest. Raises BadStart when a limit is missing or 0, because 0 would stop every
    run.
    """
    limits = Limits(
        max_output_bytes=request.limits.max_output_bytes,
        max_result_bytes=request.limits.max_result_bytes,
        memory_bytes=request.limits.memory_bytes,
        disk_bytes=request.limits.disk_bytes,
        pids=request.limits.pids,
        cpus=request.limits.cpus,
        network=request.network,
    )
    wrong = [f"{name}={value}" for name, value in asdict(limits).items() if value is not False and not value > 0]
    if wrong:
        raise BadStart(f"every limit must be above 0; got {', '.join(wrong)}")
    secrets = tuple(Secret(secret.name, secret.value) for secret in request.secrets)
    return Provision(
        request.project, request.secrets_version, secrets, _sorted(request.settings), limits, request.network
    )


def _sorted(settings: Mapping[str, str]) -> dict[str, str]:
    """The settings sorted by name, because a protobuf map has another order in each process, and a script's
    objects would then be at other addresses from run to run.
    """
    return dict(sorted(settings.items()))


def start_of(request: Any, provision: Provision) -> Start:
    if request.timeout_ms <= 0:
        raise BadStart(f"timeout_ms must be above 0; got {request.timeout_ms}")
    if provision.network != request.HasField("network"):
        # The run is refused, because it would have another network than its project's file says.
        has = "one" if provision.network else "none"
        raise BadStart(f"network must be given exactly when the project has one; this project has {has}")
    memory_json: str = request.memory_json
    text = memory_json.encode()
    if text not in (b"", b"{}") and len(text) <= _CHECKED_BYTES:
        problem = problem_of(text) or (None if is_memory(text) else "it is not of the form {category: {key: value}}")
        if problem is not None:
            raise BadStart(f"memory_json cannot be used: {problem}")
    return Start(
        execution_id=request.execution_id,
        code=request.code,
        timeout_ms=request.timeout_ms,
        settings=_sorted(request.settings),
        memory_json=memory_json,
        secrets=provision.secrets,
        project_settings=provision.settings,
        limits=provision.limits,
        network=network_of(request.network) if provision.network else None,
        llm_timeout_ms=request.llm_timeout_ms,
    )
