"""Adds to errors of sockets and name lookups that the project has no network.

The kernel's own messages, "Name or service not known" and "Operation not permitted", would make a script's author look
for another mistake. Type, number and text of each error stay; the reason is appended.
"""

from __future__ import annotations

import _socket
import functools
import socket
from collections.abc import Callable
from typing import Any

NO_NETWORK = "this project has no network; its operator can list hosts under network_allowlist in the project's file"
NO_NETWORK_SENTENCE = f"T{NO_NETWORK.removeprefix('t')}."
_RESOLVERS = ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo")

_is_so = False


def install() -> None:
    """Wraps the functions in the template, because a run should make as few objects as possible before its script."""
    for name in _RESOLVERS:
        setattr(socket, name, _explained(getattr(socket, name)))
    make: Any = socket.socket.__init__
    socket.socket.__init__ = _explained(make)  # type: ignore[method-assign]


def explain(*, is_so: bool) -> None:
    """Sets whether the project has no network, in a run before its script."""
    global _is_so
    _is_so = is_so


def _explained(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def explained(*arguments: Any, **options: Any) -> Any:
        try:
            return call(*arguments, **options)
        except (_socket.gaierror, _socket.herror, PermissionError) as error:
            if _is_so and len(error.args) == 2:
                error.args = (error.args[0], f"{error.args[1]}: {NO_NETWORK}")
                error.strerror = error.args[1]
            raise

    return explained
