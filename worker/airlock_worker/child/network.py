"""Sets up the network in a run child: environment variables and certificates, so that clients find and trust the
proxy.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from ..interpreter import tls_contexts

_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
# Environment variables with the file of trusted authorities: of OpenSSL, requests and curl, and of clients that have a
# list of their own (boto3, gRPC, httplib2, git, pip).
_CA_VARIABLES = (
    *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE", "HTTPLIB2_CA_CERTS"),
    *("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "GIT_SSL_CAINFO", "PIP_CERT"),
)
# Files in which Linux distributions keep the public certificate authorities. The first that exists is used.
_PUBLIC_AUTHORITIES = (
    *("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"),
    *("/etc/ssl/ca-bundle.pem", "/etc/pki/tls/cert.pem"),
)
_BUNDLE_NAME = ".airlock-authorities.pem"


def enter(network: dict[str, Any], scratch: str) -> None:
    """Sets the usual proxy and certificate variables, in the child before the script. `network`: from the GIVEN
    frame.
    """
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
    """Writes the file that replaces the clients' own lists of authorities; it therefore contains the public ones
    too.
    """
    public = b""
    for source in (system_authorities, *_PUBLIC_AUTHORITIES, *(f"{entry}/certifi/cacert.pem" for entry in sys.path)):
        # A path that is not in the sandbox's tree does not exist for the run.
        if os.path.isfile(source):
            with open(source, "rb") as file:
                public = file.read()
            break
    with open(path, "wb") as file:
        file.write(public + b"\n" + authority_pem.encode())
