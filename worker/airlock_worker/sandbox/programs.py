"""Puts programs into the sandbox's tree: those that the project file lists by name, and no others of the machine."""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Iterable, Sequence

# Directories that are searched for programs, in this order.
DIRECTORIES = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin")
# Programs that scripts of a project can start when its file lists none. Those that the machine lacks are left out.
DEFAULT = ("sh", "coreutils")
# Names that a project can list for several programs at once. Programs that the machine lacks are left out.
SETS = {
    "coreutils": (
        *("[", "arch", "b2sum", "base32", "base64", "basename", "basenc", "cat", "chcon", "chgrp", "chmod"),
        *("chown", "chroot", "cksum", "comm", "cp", "csplit", "cut", "date", "dd", "df", "dir", "dircolors"),
        *("dirname", "du", "echo", "env", "expand", "expr", "factor", "false", "fmt", "fold", "groups", "head"),
        *("hostid", "id", "install", "join", "link", "ln", "logname", "ls", "md5sum", "mkdir", "mkfifo"),
        *("mknod", "mktemp", "mv", "nice", "nl", "nohup", "nproc", "numfmt", "od", "paste", "pathchk", "pinky"),
        *("pr", "printenv", "printf", "ptx", "pwd", "readlink", "realpath", "rm", "rmdir", "runcon", "seq"),
        *("sha1sum", "sha224sum", "sha256sum", "sha384sum", "sha512sum", "shred", "shuf", "sleep", "sort"),
        *("split", "stat", "stdbuf", "stty", "sum", "sync", "tac", "tail", "tee", "test", "timeout", "touch"),
        *("tr", "true", "truncate", "tsort", "tty", "uname", "unexpand", "uniq", "unlink", "users", "vdir"),
        *("wc", "who", "whoami", "yes"),
    ),
}
_SCRIPT_HEAD_BYTES = 256


class ProgramsMissing(Exception):
    """The text names the missing programs and the next step; it may be shown to any caller."""


def place_all(listed: Sequence[str], site: str, shown: Iterable[str]) -> tuple[str, ...]:
    """Puts the listed programs into the tree at `site`, at the same paths as outside. Returns their names.

    Programs are copied, because each mount would be copied again for every run. A program inside a directory that is
    `shown` stays there, with its own files around it, and gets a link. Raises ProgramsMissing.
    """
    is_default = tuple(listed) == DEFAULT
    problems: list[str] = []
    placed: dict[str, str] = {}
    # Copies made so far, by the program's real path, because one file may have many names.
    copies: dict[str, str] = {}
    for name in listed:
        members = [(member, path) for member in SETS.get(name, (name,)) if (path := _find(member)) is not None]
        if not members:
            problems.append(_missing(name))
        for member, path in members:
            try:
                _place(path, site, shown, copies)
            except OSError as error:
                problems.append(f'"{name}" cannot be copied for scripts ({error.strerror})')
            placed[member] = path
    problems += [problem for name, path in placed.items() if (problem := _without_interpreter(name, path, site))]
    if problems and not is_default:
        raise ProgramsMissing(f"programs: {'; '.join(problems)}.")
    return tuple(placed)


def _find(name: str) -> str | None:
    paths = [f"{directory}/{name}" for directory in DIRECTORIES]
    return next((path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)), None)


def _missing(name: str) -> str:
    every = {entry for directory in DIRECTORIES if os.path.isdir(directory) for entry in os.listdir(directory)}
    alike = difflib.get_close_matches(name, sorted({*every, *SETS}), n=3)
    hint = f" (there is {', '.join(alike)})" if alike else ""
    where = ", ".join(DIRECTORIES)
    remedy = f"install it in one of {where}, or remove it from programs"
    return f'"{name}" is not on the machine that the worker runs on{hint}: {remedy}'


def _place(path: str, site: str, shown: Iterable[str], copies: dict[str, str]) -> None:
    directory = os.path.realpath(os.path.dirname(path))
    target = f"{site}{directory}/{os.path.basename(path)}"
    if os.path.lexists(target):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    real = os.path.realpath(path)
    if any(real.startswith(f"{place}/") for place in shown):
        os.symlink(real, target)
    elif real in copies:
        os.link(copies[real], target)
    else:
        shutil.copyfile(real, target)
        # The copy gets the mode 0755: executable, and without the set-user-ID bit that the original may have.
        os.chmod(target, 0o755)
        copies[real] = target


def _without_interpreter(name: str, path: str, site: str) -> str | None:
    """Names the interpreter to list too, for a program that is a script and whose interpreter is not in the tree;
    else None.
    """
    with open(os.path.realpath(path), "rb") as file:
        head = file.read(_SCRIPT_HEAD_BYTES)
    if not head.startswith(b"#!"):
        return None
    words = head[2:].split(b"\n", 1)[0].decode(errors="replace").split()
    wanted = words[:1]
    if wanted and os.path.basename(wanted[0]) == "env":
        wanted += [found for word in words[1:2] if (found := _find(word)) is not None]
    for interpreter in wanted:
        directory, base = os.path.split(interpreter)
        if not os.path.lexists(f"{site}{os.path.realpath(directory)}/{base}"):
            return f'"{name}" is a script for {interpreter}: list "{base}" too'
    return None


def measure(names: Iterable[str], interpreters: Iterable[str]) -> str | None:
    """None when the directories of programs contain only these."""
    there = {entry for directory in DIRECTORIES if os.path.isdir(directory) for entry in os.listdir(directory)}
    others = sorted(there - {*names, *interpreters})
    return f"programs that the project does not list: {len(others)}, {others[0]} among them" if others else None
