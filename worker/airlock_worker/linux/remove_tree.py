"""Removes a directory whose contents a hostile script arranged: no recursion, no links followed, modes put right."""

from __future__ import annotations

import contextlib
import os
import secrets


def remove_tree(root: str) -> None:
    """Deep trees are taken apart from below: a directory found is moved up to the root, so that no path gets long."""
    # A script must not have a directory of the name already.
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
