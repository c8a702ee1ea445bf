"""Who may call a worker on a network. That TLS refuses the rest is tested over every service in test/integration."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from airlock_worker.supervisor.identity import BadCertificates, in_directory, may_call, server_credentials


@pytest.mark.parametrize(
    ("uri", "rpc", "allowed"),
    [
        ("spiffe://airlock/router", "Run", True),
        ("spiffe://airlock/pool-manager", "Provision", True),
        ("spiffe://airlock/pool-manager", "WatchStatus", True),
        ("spiffe://airlock/pool-manager", "Run", False),
        ("spiffe://airlock/router", "Provision", False),
        ("spiffe://airlock/egress", "Tunnel", True),
        ("spiffe://airlock/egress", "Run", False),
        ("spiffe://airlock/router", "Tunnel", False),
        ("spiffe://airlock/worker", "Run", False),
        ("spiffe://airlock/client/router", "Run", False),
        ("spiffe://airlock/router/", "Run", False),
        ("spiffe://elsewhere/router", "Run", False),
        ("router", "Run", False),
        ("spiffe://airlock/router", "Unknown", False),
    ],
)
def test_only_the_rows_of_the_table_are_allowed(uri: str, rpc: str, allowed: bool) -> None:
    assert may_call({"peer_spiffe_id": [uri.encode()]}, rpc) is allowed


@pytest.mark.parametrize(
    "auth_context",
    [
        {},
        {"peer_spiffe_id": []},
        {"peer_spiffe_id": [b"spiffe://airlock/router", b"spiffe://airlock/router"]},
        {"peer_spiffe_id": [b"\xff"]},
        {"x509_subject_alternative_name": [b"spiffe://airlock/router"]},
        {"x509_common_name": [b"router"]},
    ],
)
def test_nobody_without_exactly_one_identity_is_allowed(auth_context: dict[str, list[bytes]]) -> None:
    assert not may_call(auth_context, "Run")


def test_a_worker_does_not_start_without_its_certificates(tmp_path: Path) -> None:
    with pytest.raises(BadCertificates, match=r"ca\.pem"):
        server_credentials(in_directory(tmp_path))


def test_a_network_address_needs_certificates(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "airlock_worker", "--worker-id", "w", "--listen", "127.0.0.1:0"]
    options = ["--run-dir", str(tmp_path), "--python", sys.executable]
    ended = subprocess.run([*command, *options], capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert "--tls-dir" in ended.stderr


@pytest.mark.parametrize("handed", ["", "no certificates\n", '{"ca": "x"}\n', '{"ca": 1, "cert": 2, "key": 3}\n'])
def test_a_worker_that_is_handed_no_certificates_serves_nobody(tmp_path: Path, handed: str) -> None:
    command = [sys.executable, "-m", "airlock_worker", "--worker-id", "w", "--listen", "127.0.0.1:0", "--tls-stdin"]
    options = ["--run-dir", str(tmp_path / "run"), "--python", sys.executable]
    ended = subprocess.run([*command, *options], input=handed, capture_output=True, text=True, timeout=20)
    assert ended.returncode == 1
    assert "no caller can be served" in ended.stderr
    assert '"listening"' not in ended.stderr
