"""Reads and writes control files of the kernel, as in /proc and cgroups. The kernel accepts or refuses each write
whole.
"""

from __future__ import annotations

import os


def words(path: str) -> list[str]:
    with open(path) as file:
        return file.read().split()


def field(text: str, name: str) -> int:
    """The number after `name`, from a text with a name and a number in each line; 0 when the name is missing."""
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def write(path: str, text: str) -> None:
    """Writes `text` with one system call and without a Python stream, because every run child does this. Raises
    OSError.
    """
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
