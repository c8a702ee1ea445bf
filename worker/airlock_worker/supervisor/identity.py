"""Decides who may call this worker over a network, and makes the TLS credentials by which both ends identify
themselves.

On a Unix socket no check is needed: the socket has mode 0600, so the kernel refuses every other user.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import grpc

from .callers import CALLERS
from .log import log
from .refusals import refuse

_TRUST_DOMAIN = "spiffe://airlock/"


def may_call(auth_context: dict[str, list[bytes]], rpc: str) -> bool:
    """Whether the caller may make the call `rpc`. `auth_context` holds the caller's certificate, which TLS has
    verified.
    """
    # A certificate with several URIs is refused, because gRPC reports a SPIFFE id only for one with exactly one URI.
    uris = auth_context.get("peer_spiffe_id") or []
    if len(uris) != 1:
        return False
    uri = uris[0].decode("utf-8", "replace")
    return uri.startswith(_TRUST_DOMAIN) and uri.removeprefix(_TRUST_DOMAIN) in CALLERS.get(rpc, frozenset())


def for_callers_only(rpc: str, behaviour: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Wraps an RPC handler: a caller whose certificate does not allow this RPC is refused with permission_denied."""

    async def guarded(request: Any, context: Any) -> Any:
        if not may_call(context.auth_context(), rpc):
            await refuse(context, "permission_denied", "The caller's identity may not make this call.")
        return await behaviour(request, context)

    return guarded


class BadCertificates(Exception):
    """The certificates of this worker cannot be used; the text says why."""


class Certificates(NamedTuple):
    """Certificates as PEM: the authority that signs callers' certificates, and this worker's own certificate with its
    key.
    """

    ca: bytes
    cert: bytes
    key: bytes


def server_credentials(read: Callable[[], Certificates]) -> grpc.ServerCredentials:
    """TLS credentials that demand a client certificate.

    `read` is called for each connection, so that new certificates need no restart. Raises BadCertificates when the
    first read fails.
    """
    latest = read()

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        """The new certificates for TLS, or None when nothing changed. Unchanged ones must not be set again, because
        replacing them frees memory that connections which are being made still use, and the process crashes (grpc/grpc
        issue 36693). At a renewal the risk is accepted, because renewals are rare.
        """
        nonlocal latest
        try:
            found = read()
        except BadCertificates as error:
            log("error", "new certificates are not used", reason=str(error))
            return None
        if found == latest:
            return None
        latest = found
        return _configuration(found)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(latest),
        fetch,  # type: ignore[arg-type]  # None is documented for "no change", the types forget it
        require_client_authentication=True,
    )


def in_directory(directory: Path) -> Callable[[], Certificates]:
    """A function that reads `ca.pem`, `cert.pem` and `key.pem` anew each time. It raises BadCertificates."""

    def read() -> Certificates:
        try:
            return Certificates(*((directory / f"{name}.pem").read_bytes() for name in Certificates._fields))
        except OSError as error:
            raise BadCertificates(f"{error.filename}: {error.strerror}") from error

    return read


def _configuration(certificates: Certificates) -> grpc.ServerCertificateConfiguration:
    pair = (certificates.key, certificates.cert)
    return grpc.ssl_server_certificate_configuration([pair], root_certificates=certificates.ca)
