"""Collects what a run can see of itself and its surroundings, without judging it. Operators read it, and tests compare
it.

Imports only the standard library, because the tests send this file as a script, to measure other kinds of runs.
"""

from __future__ import annotations

import errno
import os
import resource
import socket
import struct
import sys
from collections.abc import Iterable, Mapping

_LIMITS = ("AS", "CORE", "DATA", "FSIZE", "NOFILE", "NPROC")
_CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapAmb")
# Addresses that a run tries to reach, one of each kind: this machine, a private network, a cloud's metadata service,
# the Internet.
_ADDRESSES = ("127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "192.0.2.1", "2001:db8::1")
_MOST_SHOWN = 40


def measure(outside: Mapping[str, str]) -> dict[str, list[str]]:
    """The facts by name, each a list of texts. `outside`: the worker's namespaces, {"net": "net:[4026531840]"}, which
    tell the run's own namespaces from them.
    """
    status = _status()
    return {
        "python": [".".join(map(str, sys.version_info[:3]))],
        "namespaces": [name for name in sorted(outside) if _namespace(name) != outside[name]],
        "user": [f"uid {os.getuid()}", f"gid {os.getgid()}"],
        "processes": _few(sorted(filter(str.isdigit, os.listdir("/proc")), key=int)),
        "descriptors": _few(_descriptors()),
        "writable_directories": _few(sorted(filter(_can_write, _directories()))),
        "capabilities": [f"{name} {status.get(name, 'unknown')}" for name in _CAPABILITIES],
        "no_new_privs": [status.get("NoNewPrivs", "unknown")],
        "seccomp_mode": [status.get("Seccomp", "unknown")],
        "limits": [f"{name} {_limit(name)}" for name in _LIMITS],
        "reachable_addresses": [address for address in _ADDRESSES if _is_reachable(address)],
        "listeners": _few(_listeners("tcp", socket.AF_INET) + _listeners("tcp6", socket.AF_INET6)),
    }


def _few(values: Iterable[str]) -> list[str]:
    every = list(values)
    return every if len(every) <= _MOST_SHOWN else [*every[:_MOST_SHOWN], f"and {len(every) - _MOST_SHOWN} more"]


def _status() -> dict[str, str]:
    with open("/proc/self/status") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}


def _namespace(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/ns/{name}")
    except OSError:
        return ""


def _descriptors() -> list[str]:
    found = []
    for number in sorted(map(int, os.listdir("/proc/self/fd"))):
        try:
            found.append(f"{number} {os.readlink(f'/proc/self/fd/{number}').partition(':')[0]}")
        except OSError:
            # This is the descriptor with which the directory was listed. It is closed by now.
            continue
    return found


def _directories() -> set[str]:
    """Directories to test: mount points, two levels of the tree, and where modules come from. Whole trees would take
    too long.
    """
    with open("/proc/self/mountinfo") as file:
        found = {line.split()[4].encode().decode("unicode_escape") for line in file}
    found |= {"/", os.getcwd(), sys.prefix, sys.base_prefix, *sys.path}
    for top in os.scandir("/"):
        if top.name not in ("proc", "sys") and top.is_dir(follow_symlinks=False):
            found.add(top.path)
            found |= _below(top.path)
    return {path for path in found if os.path.isdir(path)}


def _below(path: str) -> set[str]:
    try:
        return {entry.path for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)}
    except OSError:
        return set()


def _can_write(path: str) -> bool:
    """Whether a file can be created, tried with a nameless one, because access() does not know Landlock's rules."""
    if not os.access(path, os.W_OK | os.X_OK):
        return False
    try:
        os.close(os.open(path, os.O_TMPFILE | os.O_WRONLY, 0o600))
    except (PermissionError, FileNotFoundError):
        return False
    except OSError:
        return _can_create(f"{path}/.airlock-probe")
    return True


def _can_create(path: str) -> bool:
    """Like `_can_write`, for file systems without nameless files."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError:
        return False
    os.unlink(path)
    return True


def _limit(name: str) -> str:
    soft = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[0]
    return "unlimited" if soft == resource.RLIM_INFINITY else str(soft)


def _is_reachable(address: str) -> bool:
    """Whether there is a route to the address: a connection to it begins, or is refused there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as any_socket:
            any_socket.setblocking(False)
            return any_socket.connect_ex((address, 9)) in (0, errno.EINPROGRESS, errno.ECONNREFUSED)
    except OSError:
        return False


def _listeners(table: str, family: socket.AddressFamily) -> list[str]:
    """Listening TCP sockets of this network namespace, as host:port."""
    try:
        with open(f"/proc/self/net/{table}") as file:
            rows = [line.split() for line in file.readlines()[1:]]
    except OSError:
        return []
    waiting = [row[1].split(":") for row in rows if row[3] == "0A"]
    return [f"{_address(family, host)}:{int(port, 16)}" for host, port in waiting]


def _address(family: socket.AddressFamily, words: str) -> str:
    """The address as text. The kernel prints its 32-bit parts as numbers in this machine's byte order."""
    numbers = [int(words[at : at + 8], 16) for at in range(0, len(words), 8)]
    return socket.inet_ntop(family, struct.pack(f"={len(numbers)}I", *numbers))
