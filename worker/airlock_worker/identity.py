"""Who may call this worker over a network, and the certificates by which both sides know each other.

On a Unix socket the identity is the user of this process: mode 0600, the kernel refuses everybody else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from .log import log

_TRUST_DOMAIN = "spiffe://airlock/"

# These are the worker's rows of the table in services/common/authorization.ts.
CALLERS = {
    "Provision": frozenset({"pool-manager"}),
    "WatchStatus": frozenset({"pool-manager"}),
    "Run": frozenset({"router"}),
    "Tunnel": frozenset({"egress"}),
}


def may_call(auth_context: dict[str, list[bytes]], rpc: str) -> bool:
    """Whether the owner of the certificate that TLS has verified may make this call."""
    # gRPC tells it only of a certificate with exactly one URI.
    uris = auth_context.get("peer_spiffe_id") or []
    if len(uris) != 1:
        return False
    uri = uris[0].decode("utf-8", "replace")
    return uri.startswith(_TRUST_DOMAIN) and uri.removeprefix(_TRUST_DOMAIN) in CALLERS.get(rpc, frozenset())


def for_callers_only(rpc: str, behaviour: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The same behaviour, for those who may call it."""

    async def guarded(request: Any, context: Any) -> Any:
        if not may_call(context.auth_context(), rpc):
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "This identity may not make this call.")
        return await behaviour(request, context)

    return guarded


class BadCertificates(Exception):
    """The certificates of this worker cannot be used; the text says why."""


def server_credentials(read: Callable[[], grpc.ServerCertificateConfiguration]) -> grpc.ServerCredentials:
    """TLS that demands a certificate of ours from callers.

    `read` is asked for each connection, so that new certificates need no restart. Raises BadCertificates when there are
    none at first.
    """
    latest = read()

    def fetch() -> grpc.ServerCertificateConfiguration:
        nonlocal latest
        try:
            latest = read()
        except BadCertificates as error:
            log("error", "new certificates are not used", reason=str(error))
        return latest

    return grpc.dynamic_ssl_server_credentials(latest, fetch, require_client_authentication=True)


def in_directory(directory: Path) -> Callable[[], grpc.ServerCertificateConfiguration]:
    """`ca.pem`, `cert.pem` and `key.pem` as they are when they are asked for."""

    def read() -> grpc.ServerCertificateConfiguration:
        try:
            ca, cert, key = ((directory / name).read_bytes() for name in ("ca.pem", "cert.pem", "key.pem"))
        except OSError as error:
            raise BadCertificates(f"{error.filename}: {error.strerror}") from error
        return configuration(ca, cert, key)

    return read


def configuration(ca: bytes, cert: bytes, key: bytes) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(key, cert)], root_certificates=ca)
