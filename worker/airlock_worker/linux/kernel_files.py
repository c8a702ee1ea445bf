"""Files that are the kernel's ear and mouth: each write is one order, which it takes or refuses as a whole."""

from __future__ import annotations

import os


def words(path: str) -> list[str]:
    with open(path) as file:
        return file.read().split()


def field(text: str, name: str) -> int:
    """Of a file with a name and a number in each line; 0 when the name is not there."""
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def write(path: str, text: str) -> None:
    """In one system call, and with nothing of a stream's around it: every run child does it."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
