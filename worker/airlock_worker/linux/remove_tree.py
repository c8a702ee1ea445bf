"""Removes a directory that a hostile script may have filled: no recursion, no links followed, modes corrected."""

from __future__ import annotations

import contextlib
import os
import secrets


def remove_tree(root: str) -> None:
    """Removes the directory. Each subdirectory is first moved up to the root, so that no path gets long. Raises
    nothing.
    """
    # The names of moved directories begin with random digits, so that a script cannot have a directory of that name
    # already.
    prefix = secrets.token_hex(8)
    moved = 0
    pending = [root]
    while pending:
        directory = pending.pop()
        with contextlib.suppress(OSError):
            os.chmod(directory, 0o700)
        with (
            contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError),
            os.scandir(directory) as found,
        ):
            entries = list(found)
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    with contextlib.suppress(OSError):
                        os.unlink(entry.path)
                    continue
                moved += 1
                target = f"{root}/{prefix}{moved}"
                with contextlib.suppress(OSError):
                    os.chmod(entry.path, 0o700)
                    os.rename(entry.path, target)
                    pending.append(target)
        if directory != root:
            with contextlib.suppress(OSError):
                os.rmdir(directory)
    with contextlib.suppress(OSError):
        os.rmdir(root)
