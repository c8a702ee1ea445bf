"""How the zygote enters the sandbox's directory tree: by a second exec inside it, without any data of the machine.

A script can read `/proc/self/cmdline`, `/proc/self/environ`, `sys.orig_argv` and `sys.path`. All of these are given to
the second start and are the same for every worker. The supervisor's orders, and what the first start found out, are
passed in a file in memory, whose descriptor is closed before anything else happens.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import json
import os
import re
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..cgroups.cgroup_limits import Place
from ..interpreter.heap import Heap, number_types
from ..linux import kernel
from ..sandbox import namespace_setup, tree
from ..sandbox.context import SandboxContext
from ..sandbox.mounts import PRIVATE_SCRATCH
from ..sandbox.programs import ProgramsMissing
from . import preload

# Descriptor of the file that holds the zygote's order (what to import, the sandbox) over the exec. The number is above
# all descriptors that the supervisor passes.
_ORDER_FD = 200
# All modules of the standard library that the zygote imports. They are imported before Airlock's modules, because
# Python compiles Airlock's modules unless there are .pyc files, and compiling would move the classes of these modules.
STANDARD_LIBRARY = (
    "__future__, _json, _socket, argparse, array, ast, atexit, collections.abc, contextlib, ctypes, dataclasses, "
    "datetime, decimal, difflib, enum, errno, fcntl, functools, gc, hashlib, importlib.machinery, importlib.metadata, "
    "importlib.util, inspect, io, json, linecache, math, mmap, pathlib, random, re, resource, select, shutil, signal, "
    "socket, stat, struct, tempfile, textwrap, threading, traceback, types, typing, weakref"
)
# The program that the zygote runs after its exec. It numbers the classes of the standard library before it imports
# Airlock's modules, because compiling these would change the numbers.
_PROGRAM = f"""import {STANDARD_LIBRARY}
{inspect.getsource(number_types)}
number_types()
from airlock_worker.zygote.zygote import main
main()
"""
_ARGUMENTS = ["-s", "-P", "-c", _PROGRAM]


@dataclass(frozen=True)
class Order:
    """The supervisor's order, as it reaches the zygote inside the tree."""

    link: socket.socket
    context: SandboxContext
    modules: list[str]
    distributions: list[str]
    cgroups: list[Place]
    # Why runs have no cgroups, or not in every tree; empty when they have all.
    cgroup_problem: str


def enter() -> Order:
    """Starts anew inside the tree, and returns the order there. Exits with status 1 when a listed program is
    missing.
    """
    if len(sys.argv) > 1:
        _start_anew(_parsed())
    # Up to here the heap is the same in every worker. Airlock's modules may have been compiled, and the next steps
    # depend on the machine, so a new heap begins. The cache of `re` is emptied first, because a script's `re.purge()`
    # must not free Airlock's objects.
    re.purge()
    Heap().begin_anew()
    if os.geteuid() != 0:
        with contextlib.suppress(OSError):
            kernel.keep_capabilities_to_oneself()
    with open(_ORDER_FD, encoding="utf-8") as file:
        order = json.load(file)
    link = socket.socket(fileno=order["link"])
    link.set_inheritable(False)
    context = SandboxContext(**order["context"])
    places = [Place(**place) for place in order["cgroups"]]
    for place in places:
        os.set_inheritable(place.directory, False)
    return Order(link, context, order["modules"], order["distributions"], places, order["cgroup_problem"])


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--link", type=int, required=True)
    parser.add_argument("--run-dir", required=True)
    parser.add_argument("--import", dest="modules", action="append", default=[])
    parser.add_argument("--import-of", dest="distributions", action="append", default=[])
    parser.add_argument("--programs", required=True, help="of the tree, with commas between")
    parser.add_argument("--cgroups", required=True, help="places for the cgroups of runs, as JSON")
    parser.add_argument("--cgroup-problem", required=True, help="why there are not all; empty when there are")
    return parser.parse_args()


def _start_anew(options: argparse.Namespace) -> None:
    # The kernel kills this process when the supervisor ends. The setting outlives the exec.
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    # The umask is 022 here and not 077 as in the supervisor, because the tree is read by runs, which are other users.
    os.umask(0o022)
    context = SandboxContext(options.run_dir)
    contents = tree.Contents(
        interpreter=sys.executable,
        environment=sys.prefix if sys.prefix != sys.base_prefix else None,
        worker=preload.PACKAGE_ROOT,
        keep=preload.paths_to_keep(),
        programs=[name for name in options.programs.split(",") if name],
    )
    try:
        namespace_setup.make_tree(context, contents)
    except ProgramsMissing as error:
        with socket.socket(fileno=options.link) as link:
            link.send(json.dumps({"failed": str(error)}).encode())
        sys.exit(1)
    python, environment = sys.executable, dict(os.environ)
    if context.minimal_tree:
        python = tree.inside(python, contents)
        # The working directory of the imports has the same path as that of a run, because packages may keep the path
        # that they find at import.
        os.mkdir(PRIVATE_SCRATCH, 0o700)
        os.chdir(PRIVATE_SCRATCH)
        environment.update(HOME=PRIVATE_SCRATCH, TMPDIR=PRIVATE_SCRATCH, PYTHONPATH=tree.WORKER)
    order = {
        "link": options.link,
        "context": asdict(context),
        "modules": options.modules,
        "distributions": options.distributions,
        "cgroups": json.loads(options.cgroups),
        "cgroup_problem": options.cgroup_problem,
    }
    _exec(python, environment, order)


def _exec(python: str, environment: Mapping[str, str], order: Mapping[str, Any]) -> None:
    text = os.memfd_create("order")
    os.write(text, json.dumps(order).encode())
    os.lseek(text, 0, os.SEEK_SET)
    os.dup2(text, _ORDER_FD)
    with contextlib.suppress(OSError):
        # Addresses are the same in each run from the exec on, because they decide the order of some sets.
        kernel.fix_addresses()
    if os.geteuid() != 0:
        # The capabilities in the zygote's own user namespace, if it has one, are kept here, because `execve` drops them
        # for a user that is not root there.
        with contextlib.suppress(OSError):
            kernel.keep_capabilities_over_exec()
    os.execve(python, [python, *_ARGUMENTS], environment)
