"""The floor of the benchmark: a bare fork that runs a script and is reaped.

The forking process has imported the same modules as a worker's zygote. It answers each line {"code": text, "count": n}
with {"ms": [n times], "bytes": length of the last script's output}. There is no sandbox, no RPC and no store, so no
service that forks a fresh interpreter for each script can be faster.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from typing import NoReturn

# All modules of a zygote are imported, so that a fork copies as much memory as a worker's.
from airlock_worker.zygote import preload, zygote  # noqa: F401


def run(code: str) -> int:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        os.dup2(write, 1)
        sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
        exec(compile(code, "script.py", "exec"), {"__name__": "__main__"})
        sys.stdout.flush()
        os._exit(0)
    os.close(write)
    size = 0
    while piece := os.read(read, 1 << 16):
        size += len(piece)
    os.close(read)
    _, status = os.waitpid(pid, 0)
    if status != 0:
        raise SystemExit(f"the script ended with wait status {status}")
    return size


def _refuse(module: str) -> NoReturn:
    raise SystemExit(f"{module} starts a process when it is imported")


def main() -> None:
    imported = preload.import_all([], sys.argv[1:], {}, lambda _: None, _refuse)
    if imported.problem is not None or imported.left_out:
        raise SystemExit(imported.problem or "; ".join(imported.left_out))
    gc.collect()
    gc.freeze()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        times: list[float] = []
        size = 0
        for _ in range(order["count"]):
            start = time.perf_counter()
            size = run(order["code"])
            times.append((time.perf_counter() - start) * 1000)
        print(json.dumps({"ms": times, "bytes": size}), flush=True)


if __name__ == "__main__":
    main()
