"""What a run with a network is given: proxy settings, placeholders for brokered secrets, certificates to trust.

The supervisor works it out, the child takes it over. Neither sees a secret of it: the egress service holds those.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any

from ..interpreter import tls_contexts

_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
# Of OpenSSL, requests, curl, and of what has a list of authorities of its own: boto3, gRPC, httplib2, git and pip.
_CA_VARIABLES = (
    *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE", "HTTPLIB2_CA_CERTS"),
    *("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "GIT_SSL_CAINFO", "PIP_CERT"),
)
# Where systems keep the public authorities in one file.
_PUBLIC_AUTHORITIES = (
    *("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"),
    *("/etc/ssl/ca-bundle.pem", "/etc/pki/tls/cert.pem"),
)
_BUNDLE_NAME = ".airlock-authorities.pem"


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
        """For the GIVEN frame; the proxy is at this port of the run's own 127.0.0.1."""
        return {
            "proxy": f"http://{_user_info(self.username, self.password)}@127.0.0.1:{port}",
            "placeholders": {each.name: each.value for each in self.placeholders},
            "descriptions": {each.name: each.description() for each in self.placeholders},
            "authority_pem": self.authority_pem,
            "system_authorities": _system_authorities(),
        }


def _user_info(*parts: str) -> str:
    # Here, as below: in every run it would be memory.
    from urllib.parse import quote

    # All but what RFC 3986 calls unreserved.
    return ":".join(quote(part, safe="") for part in parts)


def _system_authorities() -> str:
    # Here, since the zygote imports this module too, and every run would carry OpenSSL.
    import ssl

    return ssl.get_default_verify_paths().cafile or ""


def network_of(message: Any) -> Network:
    """From the RunNetwork of a RunStart."""
    placeholders = tuple(Placeholder(each.name, each.value, each.host, each.header) for each in message.placeholders)
    return Network(message.username, message.password, placeholders, message.authority_pem)


def enter(network: dict[str, Any], scratch: str) -> None:
    """In the child: lets everything that reads the usual variables find the proxy."""
    environment = {"NO_PROXY": "", **dict.fromkeys(_PROXY_VARIABLES, network["proxy"])}
    environment |= {name.lower(): value for name, value in environment.items()}
    if network["authority_pem"]:
        bundle = f"{scratch}/{_BUNDLE_NAME}"
        _write_bundle(bundle, network["system_authorities"], network["authority_pem"])
        environment |= dict.fromkeys(_CA_VARIABLES, bundle)
        tls_contexts.trust(network["authority_pem"])
    os.environ.update(environment)
    os.environ.update(network["placeholders"])


def _write_bundle(path: str, system_authorities: str, authority_pem: str) -> None:
    """Takes the place of the lists that clients bring along, so the public authorities are in it as well."""
    public = b""
    for source in (system_authorities, *_PUBLIC_AUTHORITIES, *(f"{entry}/certifi/cacert.pem" for entry in sys.path)):
        # Of those outside of the tree there is only the name.
        if os.path.isfile(source):
            with open(source, "rb") as file:
                public = file.read()
            break
    with open(path, "wb") as file:
        file.write(public + b"\n" + authority_pem.encode())
