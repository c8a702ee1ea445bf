import { expect } from "vitest";
import type { Execution } from "#sdk/execution.ts";
import { attempts, type HostileCase, hostile, yields } from "./cases.ts";

const DAEMON_ENDS_MS = 5_000;

/** A script that leaves a daemon running; the execution ends without waiting for it. */
function daemon(what: string, code: string): HostileCase {
  return hostile(
    `a daemon ${what}`,
    "completed",
    `
import os, signal, subprocess, sys, time
def leave(work):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            work()
        os._exit(0)
    os.wait()
${code}`,
    {
      timeout: 20,
      afterwards: (_, { execution_time_ms }: Execution) =>
        expect(execution_time_ms).toBeLessThan(DAEMON_ENDS_MS),
    },
  );
}

/** Scripts that attack the processes around them, or disturb their own ending. */
export const PROCESSES: readonly HostileCase[] = [
  ...["kill(os.getppid(), 9)", "kill(os.getppid(), 19)", "kill(1, 9)", "kill(-1, 9)"].map((call) =>
    hostile(`os.${call}`, "script_error", `import os; os.${call}`),
  ),
  hostile("SIGKILL to its group", "killed", "import os; os.killpg(0, 9)"),
  hostile(
    "SIGTERM to its group, which it ignores",
    "completed",
    "import os, signal; signal.signal(15, signal.SIG_IGN); os.killpg(0, 15)",
  ),
  hostile(
    "signals to all process numbers",
    "completed",
    `
import os
for pid in range(1, 70_000):
    for kill in (os.kill, os.killpg):
        try: pid not in (os.getpid(), os.getpgrp()) and kill(pid, 9)
        except OSError: pass`,
  ),
  hostile(
    "ignored signals",
    "timeout",
    "import signal, time\nfor s in (1, 2, 3, 15): signal.signal(s, signal.SIG_IGN)\ntime.sleep(100)",
  ),
  hostile("SIGSTOP to itself", "timeout", "import os; os.kill(os.getpid(), 19)"),
  hostile("SIGKILL to itself", "killed", "import os; os.kill(os.getpid(), 9)"),
  hostile("abort", "killed", "import os; os.abort()"),
  hostile("a segmentation fault", "killed", "import ctypes; ctypes.string_at(0)"),
  yields(
    "a core dump, which some machines write whatever the limit",
    `
import resource, subprocess
def shown(): return open('/proc/self/coredump_filter').read().strip()
before = shown()
try: open('/proc/self/coredump_filter', 'w').write('7f')
except OSError: pass
other = subprocess.run(['cat', '/proc/self/coredump_filter'], capture_output=True, text=True).stdout.strip()
set_result([before, shown(), other, max(resource.getrlimit(resource.RLIMIT_CORE)) <= 1])`,
    // With a limit of 1 the kernel writes no dump and starts no crash handler.
    ["00000000", "00000000", "00000000", true],
  ),
  hostile("os._exit", "exit_nonzero", "import os; os._exit(7)"),
  hostile("os._exit(0) after a result", "script_error", "import os; set_result(1); os._exit(0)", {
    shows: { result: null },
  }),
  hostile(
    "another program in its place",
    "exit_nonzero",
    "import os; os.execv('/bin/sh', ['sh', '-c', 'exit 3'])",
  ),
  hostile("a hanging atexit", "timeout", "import atexit, time; atexit.register(time.sleep, 99)"),
  hostile(
    "an atexit that ends it otherwise",
    "exit_nonzero",
    "import atexit, os; atexit.register(os._exit, 5); set_result(1)",
    { shows: { result: null } },
  ),
  hostile(
    "a thread that does not end",
    "timeout",
    "import threading, time; threading.Thread(target=time.sleep, args=(99,)).start()",
  ),
  hostile(
    "a destructor that hangs",
    "timeout",
    "import time\nclass E:\n    def __del__(self): time.sleep(99)\ne = E()",
  ),
  daemon("that holds standard output", "leave(signal.pause)"),
  daemon("that writes on and on", "leave(lambda: [os.write(1, b'x') for _ in iter(int, 1)])"),
  daemon(
    "that no signal moves",
    "leave(lambda: [*(signal.signal(n, signal.SIG_IGN) for n in range(1, 32) if n not in (9, 19)), time.sleep(999)])",
  ),
  daemon(
    "that never has the same number",
    "leave(lambda: [os._exit(0) if os.fork() else time.sleep(0.001) for _ in iter(int, 1)])",
  ),
  daemon("of another program", "subprocess.Popen(['sleep', '999'], start_new_session=True)"),
  daemon(
    "that leaves its guardian",
    "import ctypes; ctypes.CDLL(None).prctl(36, 0, 0, 0, 0); leave(lambda: time.sleep(999))",
  ),
  yields(
    "a process that goes on while the script waits",
    `
import mmap, os, time
shared = mmap.mmap(-1, 16)
TICKS, GAP_MS = slice(0, 8), slice(8, 16)
def read(what): return int.from_bytes(shared[what], 'big')
if os.fork() == 0:
    last = time.monotonic()
    while True:
        time.sleep(0.001)
        now = time.monotonic()
        shared[GAP_MS] = max(read(GAP_MS), round((now - last) * 1000)).to_bytes(8, 'big')
        shared[TICKS] = (read(TICKS) + 1).to_bytes(8, 'big')
        last = now
while read(TICKS) < 10: time.sleep(0.001)
llm.complete('wait')
seen = read(TICKS)
while read(TICKS) < seen + 2: time.sleep(0.001)
set_result(read(GAP_MS) >= 1400)`,
    true,
    { meanwhile: () => new Promise((resolve) => setTimeout(resolve, 1_500, "go on")) },
  ),
  yields(
    "the processes of others",
    "import os; set_result([p for p in os.listdir('/proc') if p.isdigit() and int(p) not in (1, os.getpid())])",
    [],
  ),
  attempts(
    "the memory of process 1",
    {
      memory: "open('/proc/1/mem', 'rb').read(1)",
      environment: "open('/proc/1/environ', 'rb').read()",
      descriptors: "os.listdir('/proc/1/fd')",
      root: "os.listdir('/proc/1/root/')",
      directory: "os.listdir('/proc/1/cwd/')",
      program: "os.readlink('/proc/1/exe')",
      maps: "open('/proc/1/maps').read(1)",
      stack: "open('/proc/1/syscall').read()",
      namespaces: "os.readlink('/proc/1/ns/net')",
      score: "open('/proc/1/oom_score_adj', 'w').write('1000')",
    },
    "import os",
  ),
  ...["spawn", "forkserver"].map((method) =>
    yields(
      `processes made by ${method}, which run the script anew`,
      `
import multiprocessing
def square(number): return number * number
if __name__ == "__main__":
    with multiprocessing.get_context("${method}").Pool(2) as pool: set_result(pool.map(square, range(4)))`,
      [0, 1, 4, 9],
      { shows: { stderr: "" } },
    ),
  ),
  hostile(
    "processes that start processes without end",
    "script_error",
    "import multiprocessing\nset_result(multiprocessing.get_context('spawn').Pool(2).map(abs, range(4)))",
    { timeout: 30, shows: { error: expect.stringContaining('under if __name__ == "__main__":') } },
  ),
  yields(
    "functions that Airlock uses, replaced",
    `
import builtins, json, os, threading, time
put = setattr
for module in (json, json.encoder, json.decoder, threading, time, os, builtins):
    for name in [name for name in vars(module) if name[:2] != "__" and name != "vars"]: put(module, name, None)
set_result({"kept": [1, "é"]})`,
    { kept: [1, "é"] },
  ),
  yields(
    "output in buffers of its own",
    `
import ctypes, io, os, sys
def rows():
    try: yield
    finally: print("from a generator")
ctypes.CDLL(None).printf(b"from C\\n")
sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")
begun = rows(); next(begun)
other = os.fdopen(2, "w", closefd=False); other.write("on stderr")
set_result(1)`,
    1,
    {
      shows: {
        stderr: "on stderr",
        stdout: expect.stringMatching(/^(from C\nfrom a generator\n|from a generator\nfrom C\n)$/),
      },
    },
  ),
];
