"""The directory tree that the zygote and its runs live in: the interpreter, its packages, the system's libraries, and
the programs that the project lists.

Everything else of the machine does not exist in it: home directories, data, sockets, /sys, /run, all other programs.
Each run gets a copy of these mounts and puts its private places on top, so there are few of them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..linux import kernel
from . import programs
from .private_view import PrivateViews

# Paths of the project's environment and of the worker's modules in a run's tree. They are the same in every tree,
# whatever the paths outside are.
ENVIRONMENT = "/opt/airlock/project"
WORKER = "/opt/airlock/lib"

# Directories of the machine of which a run sees only libraries and their data (`_OF_LIBRARIES`).
_SPLIT = ("/usr", "/usr/local")
_OF_LIBRARIES = ("lib", "lib32", "lib64", "libx32", "share")
_OTHER_SYSTEM = ("/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
_CONFIGURATION = (
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "mime.types", "protocols", "services"),
    *("ssl/certs", "ssl/openssl.cnf", "ssl/cert.pem", "ca-certificates", "pki/tls/certs", "pki/ca-trust"),
    *("fonts", "magic"),
)
# Devices by name: major and minor number.
_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9)}
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
_WRITTEN = {
    "passwd": "root:x:0:0:root:/:/usr/sbin/nologin\nscript:x:1000:1000:script:/tmp/airlock:/usr/sbin/nologin\n",
    "group": "root:x:0:\nscript:x:1000:\n",
    "hosts": "127.0.0.1 localhost\n",
    "hostname": "airlock\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
# Largest file in an environment's `bin` that is taken for a script; larger files are programs.
_MAX_SCRIPT_BYTES = 64 * 1024


@dataclass(frozen=True)
class Contents:
    """The contents of a tree that is to be made, as paths outside of it."""

    # Path of the project's Python interpreter, which may be a link.
    interpreter: str
    # Directory of the project's virtual environment; None if it has none.
    environment: str | None
    # The directory of the worker's package.
    worker: str
    # Further directories that the interpreter needs.
    keep: Iterable[str]
    # Names of programs and sets, as in programs.py.
    programs: Sequence[str]


@dataclass(frozen=True)
class Built:
    programs: tuple[str, ...]
    # Names by which a script can start the Python interpreter.
    interpreters: tuple[str, ...]
    # Why some files of the tree are the machine's own inodes and not the tree's; None: all are the tree's.
    shared: str | None


def build(site: str, contents: Contents) -> Built:
    """Makes the tree on top of the directory `site` and makes it the root, in a mount namespace of the process's own.

    Raises ProgramsMissing, and OSError when the kernel refuses.
    """
    kernel.mount("tmpfs", site, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=512m,nr_inodes=65536,mode=0755")
    for place in ("/tmp", "/var/tmp", "/proc", "/etc", "/dev"):
        os.makedirs(site + place)
    # A small /tmp for packages while they are imported; each run mounts its own over it.
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("tmpfs", f"{site}/tmp", "tmpfs", flags, "size=16m,nr_inodes=4096,mode=1777")
    views = PrivateViews(site)
    shown = [*_show_system(site, views)]
    if contents.environment is not None:
        environment = contents.environment
        views.show(environment, ENVIRONMENT, lambda top: _move_environment(environment, top))
    views.show(contents.worker, WORKER)
    moved = [path for path in (contents.environment, contents.worker) if path is not None]
    moved += [os.path.realpath(path) for path in moved]
    never = {"/", *_SPLIT, *programs.DIRECTORIES, *map(os.path.realpath, programs.DIRECTORIES)}
    for path in sorted(contents.keep, key=len):
        if path not in never and not _is_in(path, [*shown, *moved]):
            views.show(path, path)
            shown.append(path)
    interpreters = _show_interpreter(contents, site, views, [*shown, *moved])
    placed = programs.place_all(contents.programs, site, shown)
    _fill_etc(site)
    _fill_dev(site)
    kernel.mount("/proc", f"{site}/proc", None, kernel.MS_BIND | kernel.MS_REC)
    views.close()
    kernel.make_tree_read_only(site)
    for place in ("/tmp", "/dev/shm", "/proc"):
        kernel.make_mount_writable(site + place)
    kernel.change_root(site)
    return Built(placed, interpreters, views.problem)


def inside(path: str, contents: Contents) -> str:
    """The path inside the tree. Only files of the environment move; any other path stays the same."""
    environment = contents.environment
    return path if environment is None or not _is_in(path, [environment]) else ENVIRONMENT + path[len(environment) :]


def _is_in(path: str, directories: Iterable[str]) -> bool:
    return any(f"{path}/".startswith(f"{directory}/") for directory in directories)


def _show_system(site: str, views: PrivateViews) -> Iterable[str]:
    """Shows the system's directories, and yields their paths."""
    for directory in _SPLIT:
        os.makedirs(site + directory, exist_ok=True)
    for path in (*programs.DIRECTORIES, *(f"{top}/{name}" for top in _SPLIT for name in _OF_LIBRARIES), *_OTHER_SYSTEM):
        if os.path.islink(path):
            os.symlink(os.readlink(path), site + path)
        elif os.path.isdir(path) and path in programs.DIRECTORIES:
            os.makedirs(site + path, exist_ok=True)
        elif os.path.isdir(path):
            views.show(path, path)
            yield path


def _move_environment(environment: str, top: str) -> None:
    """Rewrites the environment's scripts, so that they name its path inside the tree."""
    old = environment.encode()
    with open(f"{environment}/pyvenv.cfg", encoding="utf-8") as file:
        # The line with the command that made the environment is left out, because it names paths of the machine.
        lines = [line for line in file if not line.startswith("command")]
    with open(f"{top}/pyvenv.cfg", "w", encoding="utf-8") as file:
        file.writelines(lines)
    os.mkdir(f"{top}/bin")
    for name in [f"bin/{name}" for name in os.listdir(f"{environment}/bin")]:
        source = f"{environment}/{name}"
        with contextlib.suppress(OSError):
            about = os.lstat(source)
            if stat.S_ISREG(about.st_mode) and about.st_size <= _MAX_SCRIPT_BYTES:
                with open(source, "rb") as file:
                    text = file.read()
                if old in text:
                    with open(f"{top}/{name}", "wb") as file:
                        file.write(text.replace(old, ENVIRONMENT.encode()))
                    os.chmod(f"{top}/{name}", about.st_mode & 0o777)


def _show_interpreter(contents: Contents, site: str, views: PrivateViews, shown: Iterable[str]) -> tuple[str, ...]:
    """Shows the interpreter's file and the links that lead to it. Returns their names in the directories of
    programs.
    """
    path = contents.interpreter
    names = []
    while True:
        path = f"{os.path.realpath(os.path.dirname(path))}/{os.path.basename(path)}"
        if not _is_in(path, shown):
            names.append(os.path.basename(path))
            if not os.path.islink(path):
                views.show_file(path, path)
                return tuple(names)
            os.makedirs(os.path.dirname(site + path), exist_ok=True)
            os.symlink(os.readlink(path), site + path)
        if not os.path.islink(path):
            return tuple(names)
        path = os.path.join(os.path.dirname(path), os.readlink(path))


def _fill_etc(site: str) -> None:
    """Copies configuration files, because a mount for each would be copied for each run."""
    for name in _CONFIGURATION:
        source, target = f"/etc/{name}", f"{site}/etc/{name}"
        os.makedirs(os.path.dirname(target), exist_ok=True)
        # A file that the worker may not read is left out.
        with contextlib.suppress(OSError, shutil.Error):
            if os.path.isdir(source):
                shutil.copytree(source, target, symlinks=True, copy_function=shutil.copy)
            elif os.path.isfile(source):
                shutil.copy(source, target)
    for name, text in _WRITTEN.items():
        with open(f"{site}/etc/{name}", "w") as file:
            file.write(text)


def _fill_dev(site: str) -> None:
    """Makes devices of the tree's own where the kernel allows it, because all runs would share the machine's."""
    kernel.mount(
        "tmpfs", f"{site}/dev", "tmpfs", kernel.MS_NOSUID | kernel.MS_NOEXEC, "size=64k,nr_inodes=64,mode=0755"
    )
    # A /dev/shm for packages that create semaphores while they are imported, as a test. Each run mounts its own over
    # it.
    os.mkdir(f"{site}/dev/shm")
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("tmpfs", f"{site}/dev/shm", "tmpfs", flags, "size=16m,nr_inodes=4096,mode=1777")
    for name, (major, minor) in _DEVICES.items():
        path = f"{site}/dev/{name}"
        try:
            os.mknod(path, stat.S_IFCHR, os.makedev(major, minor))
            os.chmod(path, 0o666)
            # The device is opened once, because the kernel may let it be made and still not be used.
            os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            if os.path.exists(f"/dev/{name}"):
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
                kernel.mount(f"/dev/{name}", path, None, kernel.MS_BIND)
    for name, target in _LINKS.items():
        os.symlink(target, f"{site}/dev/{name}")
