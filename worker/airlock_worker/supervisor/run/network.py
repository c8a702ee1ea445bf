"""The network of a run: proxy settings, placeholders for brokered secrets, and certificates to trust.

The supervisor computes these, and the child applies them (`child/network.py`). Neither holds a brokered secret.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True)
class Placeholder:
    name: str
    value: str
    host: str
    header: str

    def description(self) -> str:
        return (
            f"a placeholder for a secret that no script holds: sent in the header {self.header} "
            f"to https://{self.host}, it is replaced by the secret; anywhere else it is refused"
        )


@dataclass(frozen=True)
class Network:
    """A run's route through the egress service."""

    username: str
    password: str
    placeholders: tuple[Placeholder, ...]
    authority_pem: str

    def for_child(self, port: int) -> dict[str, Any]:
        """The network part of the GIVEN frame. `port`: where the run's proxy listens on the run's own 127.0.0.1."""
        return {
            "proxy": f"http://{_user_info(self.username, self.password)}@127.0.0.1:{port}",
            "placeholders": {each.name: each.value for each in self.placeholders},
            "descriptions": {each.name: each.description() for each in self.placeholders},
            "authority_pem": self.authority_pem,
            "system_authorities": _system_authorities(),
        }


def _user_info(*parts: str) -> str:
    # All characters are percent-encoded but those that RFC 3986 calls unreserved, because user and password stand in a
    # URL.
    return ":".join(quote(part, safe="") for part in parts)


def _system_authorities() -> str:
    return ssl.get_default_verify_paths().cafile or ""


def network_of(message: Any) -> Network:
    """The network from the RunNetwork message of a RunStart."""
    placeholders = tuple(Placeholder(each.name, each.value, each.host, each.header) for each in message.placeholders)
    return Network(message.username, message.password, placeholders, message.authority_pem)
