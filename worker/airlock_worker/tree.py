"""The directory tree that the zygote and its runs live in: the interpreter, its packages, the system's libraries.

Everything else of the machine is not hidden in it but absent: homes, data, sockets, /sys, /run. Each run has its own
copy of these mounts and puts its private places on top.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from . import kernel

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store")
_CONFIGURATION = (
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "mime.types", "protocols", "services"),
    *("ssl/certs", "ssl/openssl.cnf", "ssl/cert.pem", "ca-certificates", "pki/tls/certs", "pki/ca-trust"),
    *("fonts", "magic"),
)
_DEVICES = ("null", "zero", "full", "random", "urandom")
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
_WRITTEN = {
    "passwd": "root:x:0:0:root:/:/usr/sbin/nologin\nscript:x:1000:1000:script:/tmp/airlock:/usr/sbin/nologin\n",
    "group": "root:x:0:\nscript:x:1000:\n",
    "hosts": "127.0.0.1 localhost\n",
    "hostname": "airlock\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


def build(site: str, keep_paths: Iterable[str]) -> None:
    """In a mount namespace of one's own: makes the tree, on top of the directory `site`, and makes it the root."""
    kernel.mount("tmpfs", site, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=1m,mode=0755")
    for place in ("/tmp", "/var/tmp", "/dev/shm", "/proc", "/etc"):
        os.makedirs(site + place)
    # For what packages do when they are imported; each run has its own above it.
    kernel.mount("tmpfs", f"{site}/tmp", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=16m,mode=1777")
    for path in _SYSTEM:
        if os.path.islink(path):
            os.symlink(os.readlink(path), site + path)
        else:
            _show(site, path)
    _fill_etc(site)
    _fill_dev(site)
    shown = [path for path in _SYSTEM if not os.path.islink(path)]
    for path in sorted(keep_paths, key=len):
        if path != "/" and not any(f"{path}/".startswith(f"{above}/") for above in shown):
            _show(site, path)
            shown.append(path)
    _show(site, "/proc")
    kernel.make_tree_read_only(site)
    for place in ("/tmp", "/proc"):
        kernel.make_mount_writable(site + place)
    kernel.change_root(site)
    os.environ.update(HOME="/tmp", TMPDIR="/tmp")


def _show(site: str, path: str) -> None:
    if os.path.isdir(path):
        os.makedirs(site + path, exist_ok=True)
    elif os.path.exists(path):
        os.makedirs(os.path.dirname(site + path), exist_ok=True)
        os.close(os.open(site + path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    else:
        return
    # With what is mounted below: a user namespace may not show a directory without it.
    kernel.mount(path, site + path, None, kernel.MS_BIND | kernel.MS_REC)


def _fill_etc(site: str) -> None:
    for name in _CONFIGURATION:
        _show(site, f"/etc/{name}")
    for name, text in _WRITTEN.items():
        with open(f"{site}/etc/{name}", "w") as file:
            file.write(text)


def _fill_dev(site: str) -> None:
    for name in _DEVICES:
        _show(site, f"/dev/{name}")
    for name, target in _LINKS.items():
        os.symlink(target, f"{site}/dev/{name}")
