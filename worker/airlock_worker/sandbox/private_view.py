"""Shows directories and files of the machine in the sandbox's tree, with inodes of the tree's own.

Locks, leases and watches belong to an inode. A bind mount has the machine's inodes, so a script that locks a file there
would stop all users of the file, in every project. An overlay of the same directory has inodes of its own and shares
only the page cache. Its top layer is in memory, so that `statvfs` describes that, and holds the files that differ.

Where the kernel refuses an overlay, a bind mount is made, and `problem` says why.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from ..linux import kernel

# The overlay's directories are named by descriptor, because the mount table shows these options, and must not name
# paths of the machine.
_LOWER = "lowerdir=/proc/self/fd/{top}:/proc/self/fd/{source}"
_FLAGS = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV


class PrivateViews:
    """The overlays of one tree, which is built on top of the directory `site`."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._layers = f"{site}/.layers"
        self._made = 0
        self._mount_points = kernel.mount_points()
        # Why the kernel refused the last overlay that it refused; None: it refused none.
        self.problem: str | None = None
        os.mkdir(self._layers)
        # The tmpfs has fixed sizes, because the default size would reveal the size of the machine's memory.
        kernel.mount("tmpfs", self._layers, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=16m,nr_inodes=16384")

    def show(self, source: str, place: str, change: Callable[[str], None] | None = None) -> None:
        """Shows the directory `source` at `place`. `change` fills a directory whose files replace the source's own."""
        target = self._site + place
        os.makedirs(target, exist_ok=True)
        try:
            self._overlay(source, target, change)
        except OSError as error:
            self.problem = f"{place}: {error.strerror}"
            # A plain bind mount replaces the overlay. It includes the mounts below `source`, because a user namespace
            # may not show a directory without them.
            kernel.mount(source, target, None, kernel.MS_BIND | kernel.MS_REC)
            return
        for below in self._mount_points:
            if below.startswith(f"{source}/") and os.path.lexists(target + below.removeprefix(source)):
                self._show_mounted(below, place + below.removeprefix(source))

    def show_file(self, source: str, place: str) -> None:
        target = self._site + place
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        directory = f"{self._layers}/of-file"
        os.makedirs(directory, exist_ok=True)
        try:
            self._overlay(os.path.dirname(source), directory, None)
        except OSError as error:
            self.problem = f"{place}: {error.strerror}"
            kernel.mount(source, target, None, kernel.MS_BIND)
            return
        # Only the file is mounted, and the overlay of its directory is removed, so that nothing else of the directory
        # can be reached.
        kernel.mount(f"{directory}/{os.path.basename(source)}", target, None, kernel.MS_BIND)
        kernel.unmount(directory)

    def close(self) -> None:
        """Removes the directory of layers; the overlays keep their layers."""
        kernel.unmount(self._layers)
        os.rmdir(self._layers)

    def _show_mounted(self, source: str, place: str) -> None:
        """Shows a mount below an overlay's source, because the overlay leaves it out."""
        if os.path.isdir(source):
            try:
                self._overlay(source, self._site + place, None)
                return
            except OSError as error:
                self.problem = f"{place}: {error.strerror}"
        kernel.mount(source, self._site + place, None, kernel.MS_BIND)

    def _overlay(self, source: str, target: str, change: Callable[[str], None] | None) -> None:
        self._made += 1
        top = f"{self._layers}/{self._made}"
        os.mkdir(top)
        if change is not None:
            change(top)
        handles = [os.open(path, os.O_PATH | os.O_CLOEXEC) for path in (top, source)]
        try:
            options = _LOWER.format(top=handles[0], source=handles[1])
            kernel.mount("overlay", target, "overlay", _FLAGS, options)
        finally:
            for handle in handles:
                os.close(handle)


def measure(problem: str | None) -> str | None:
    """None when a run shares no inode with the machine, except for devices. `problem`: from building the tree, because
    mounts do not show it where the machine's own directories are overlays.
    """
    if problem is not None:
        return problem
    shared = [place for place, kind in kernel.mounts() if kind not in ("overlay", "tmpfs", "proc")]
    shared = [place for place in shared if not place.startswith("/dev/")]
    return f"files of the machine itself are shown: {', '.join(shared)}" if shared else None
