import { attempts, type HostileCase, hostile } from "./cases.ts";

/** Scripts that want more of the machine than their project allows. Limits: see the suite's project. */
export const RESOURCES: readonly HostileCase[] = [
  hostile(
    "a fork bomb",
    ["timeout", "killed"],
    "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
  ),
  hostile("a fork bomb that gives up", "script_error", "import os\nwhile True: os.fork()"),
  hostile(
    "a fork bomb of daemons",
    ["timeout", "killed"],
    `
import os
while True:
    try:
        if os.fork() == 0:
            os.setsid()
            if os.fork(): os._exit(0)
    except OSError: pass`,
  ),
  hostile(
    "a thread bomb",
    ["script_error", "timeout", "out_of_memory"],
    `
import threading, time
while True: threading.Thread(target=time.sleep, args=(99,), daemon=True).start()`,
  ),
  hostile("a memory bomb in one object", "out_of_memory", "x = bytearray(2**31)"),
  hostile("a memory bomb by and by", "out_of_memory", "x = []\nwhile True: x.append(bytearray(2**20))"),
  hostile("a huge integer", ["timeout", "out_of_memory"], "x = 7\nwhile True: x = x * x"),
  hostile("a memory map", "script_error", "import mmap; mmap.mmap(-1, 2**34)"),
  hostile(
    "a full disk",
    "script_error",
    "f = open('big', 'wb')\nwhile True: f.write(b'x' * 2**20); f.flush()",
  ),
  hostile(
    "many full files",
    "script_error",
    "for n in range(100): open(f'/tmp/{n}', 'wb').write(b'x' * 2**20)",
  ),
  hostile(
    "shared memory as a disk",
    "script_error",
    "for n in range(100): open(f'/dev/shm/{n}', 'wb').write(b'x' * 2**20)",
  ),
  hostile("inodes", ["script_error", "timeout"], "import os\nfor n in range(300_000): os.mkdir(f'd{n}')"),
  hostile(
    "deep directories",
    ["script_error", "completed", "timeout"],
    "import os\nfor n in range(5000): os.mkdir('d'); os.chdir('d')",
  ),
  hostile("a sparse file beyond the limit", "script_error", "f = open('s', 'wb'); f.truncate(2**40)"),
  hostile("descriptors", "script_error", "import os\nwhile True: os.dup(0)"),
  hostile("pipes", "script_error", "import os\nwhile True: os.pipe()"),
  hostile("endless output", "timeout", "while True: print('x' * 10000)"),
  hostile("endless errors", "timeout", "import sys\nwhile True: sys.stderr.write('x' * 10000)"),
  hostile(
    "one line of 500 MB",
    ["completed", "timeout"],
    "import sys\nfor _ in range(500): sys.stdout.write('x' * 10**6)",
  ),
  hostile(
    "a zip bomb",
    ["out_of_memory", "timeout"],
    `
import zlib
c = zlib.compressobj(9); b = b''.join(c.compress(bytes(2**20)) for _ in range(1024)) + c.flush()
zlib.decompress(b)`,
  ),
  hostile("a regular expression that never ends", "timeout", "import re; re.match('(a+)+$', 'a' * 40 + 'b')"),
  hostile(
    "a recursion without limit",
    ["killed", "script_error", "out_of_memory", "timeout"],
    "import sys; sys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
  ),
  hostile(
    "a busy loop that catches everything",
    "timeout",
    "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
  ),
  attempts(
    "limits cannot be raised",
    {
      files: "r.setrlimit(r.RLIMIT_NOFILE, (99999, 99999))",
      memory: "r.setrlimit(r.RLIMIT_AS, (-1, -1))",
      processes: "r.setrlimit(r.RLIMIT_NPROC, (-1, -1))",
      core: "r.setrlimit(r.RLIMIT_CORE, (-1, -1))",
      priority: "import os; os.nice(-5)",
    },
    "import resource as r",
  ),
];
