"""In a project without a network: lets the errors of sockets and names say that it has none.

The kernel's own words, "Name or service not known" and "Operation not permitted", send a script's author looking for
another mistake. Type and number of each error stay, and so does the text, with the reason behind it.
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
    """In the template: a run makes as few objects as it can before its script."""
    for name in _RESOLVERS:
        setattr(socket, name, _explained(getattr(socket, name)))
    make: Any = socket.socket.__init__
    socket.socket.__init__ = _explained(make)  # type: ignore[method-assign]


def explain(*, is_so: bool) -> None:
    """In a run, before its script: whether the project has none."""
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
