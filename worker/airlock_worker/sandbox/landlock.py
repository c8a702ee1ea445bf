"""Landlock: limits what a run may do to files, independently of mounts and owners; also TCP, signals and other
processes.

A process in a Landlock domain cannot trace a process outside of it, which matters where the run has no /proc of its
own.
"""

from __future__ import annotations

import ctypes
import os
import struct

from ..linux import kernel
from ..wire.limits import Limits
from .context import SandboxContext

_VERSION_QUERY = 1
_RULE_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_READING = _EXECUTE | _READ_FILE | _READ_DIR
# Rights that exist for files that are no directories.
_OF_FILES = _EXECUTE | _READ_FILE | _WRITE_FILE | _TRUNCATE | _IOCTL_DEV
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
# File rights by ABI version: all up to MAKE_SYM, then also REFER, TRUNCATE, IOCTL_DEV.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_NET_RIGHTS, _NET_ABI = 0b11, 4
_SCOPES, _SCOPE_ABI = 0b11, 6
_WRITABLE_DEVICES = ("/dev/null", "/dev/zero", "/dev/full")


def enter(context: SandboxContext, limits: Limits) -> None:
    abi = kernel.call("landlock_create_ruleset", None, 0, _VERSION_QUERY)
    rights = _FILE_RIGHTS[max(version for version in _FILE_RIGHTS if version <= abi)]
    attributes = struct.pack(
        "=QQQ",
        rights,
        _NET_RIGHTS if abi >= _NET_ABI and not limits.network else 0,
        _SCOPES if abi >= _SCOPE_ABI else 0,
    )
    size = 24 if abi >= _SCOPE_ABI else 16 if abi >= _NET_ABI else 8
    ruleset = kernel.call("landlock_create_ruleset", ctypes.c_char_p(attributes), size, 0)
    try:
        _allow(ruleset, "/", _READING)
        writable = [*context.private_places] if context.private_mounts else [context.scratch]
        for place in writable:
            _allow(ruleset, place, rights & ~(_MAKE_CHAR | _MAKE_BLOCK))
        for device in _WRITABLE_DEVICES:
            if os.path.exists(device):
                _allow(ruleset, device, rights & (_READ_FILE | _WRITE_FILE | _TRUNCATE))
        kernel.call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", rights if os.path.isdir(path) else rights & _OF_FILES, handle)
        kernel.call("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, ctypes.c_char_p(rule), 0)
    finally:
        os.close(handle)


def measure(context: SandboxContext, limits: Limits) -> str | None:
    """Why the layer is not in force, else None. The kernel does not report Landlock domains, so a file is opened
    that every user may write to and that no rule names: the layer must refuse it.
    """
    if "landlock" in context.problems:
        return context.problems["landlock"]
    try:
        os.close(os.open("/proc/self/comm", os.O_WRONLY))
    except PermissionError:
        return None
    except OSError as error:
        return f"cannot be measured: {error}"
    return "a file outside the private places could be opened for writing"
