import { expect } from "vitest";
import { attempts, type HostileCase, hostile } from "./cases.ts";

// The output limit of the harness's project demo, for each of stdout and stderr.
const MAX_OUTPUT_BYTES = 10 * 2 ** 20;
const FULL = { shows: { error: expect.stringContaining("No space left") } };
// A full flush ends each block, so that one block can be repeated any number of times.
const BOMB = `
import zlib
c = zlib.compressobj(9, zlib.DEFLATED, -15)
block = c.compress(bytes(2**20)) + c.flush(zlib.Z_FULL_FLUSH)
bomb = block * 4000 + b'\\x03\\x00'
`;

/**
 * Scripts that use more of the machine than their project allows. The limits are those of the harness's project demo.
 */
export const RESOURCES: readonly HostileCase[] = [
  hostile("a fork bomb", "timeout", "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"),
  hostile("a fork bomb that gives up", "script_error", "import os\nwhile True: os.fork()"),
  hostile(
    "a fork bomb of daemons",
    "timeout",
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
    "a process that forks and ends, on and on",
    "timeout",
    `
import os, time
if os.fork(): time.sleep(99)
while True:
    try:
        if os.fork(): os._exit(0)
    except OSError: pass`,
  ),
  hostile(
    "a bomb of programs",
    "script_error",
    "import subprocess\nwhile True: subprocess.Popen(['sleep', '99'])",
  ),
  hostile(
    "a thread bomb",
    "script_error",
    "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
  ),
  hostile("a memory bomb in one object", "out_of_memory", "x = bytearray(2**31)"),
  hostile("a memory bomb by and by", "out_of_memory", "x = []\nwhile True: x.append(bytearray(2**20))"),
  hostile(
    "a memory bomb in a thread",
    "completed",
    "import threading\nthreading.Thread(target=bytearray, args=(2**31,)).start()",
    { shows: { stderr: expect.stringContaining("MemoryError") } },
  ),
  hostile("an integer that grows", "timeout", "x = 7\nwhile True: x = x * x"),
  hostile("a memory map", "script_error", "import mmap; mmap.mmap(-1, 2**34)"),
  hostile(
    "a full disk",
    "script_error",
    "f = open('big', 'wb')\nwhile True: f.write(b'x' * 2**20); f.flush()",
  ),
  hostile(
    "a file that is reserved",
    "script_error",
    "import os; os.posix_fallocate(os.open('f', os.O_RDWR | os.O_CREAT), 0, 2**34)",
  ),
  ...["/tmp", "/var/tmp", "/dev/shm", "."].map((place) =>
    hostile(
      `many files that fill ${place}`,
      "script_error",
      `for n in range(100): open(f'${place}/{n}', 'wb').write(b'x' * 2**20)`,
      FULL,
    ),
  ),
  hostile("inodes", "script_error", "import os\nfor n in range(300_000): os.mkdir(f'd{n}')", FULL),
  hostile("deep directories", "completed", "import os\nfor n in range(2000): os.mkdir('d'); os.chdir('d')"),
  hostile("a sparse file beyond the limit", "script_error", "f = open('s', 'wb'); f.truncate(2**40)"),
  hostile(
    "many sparse files, filled later",
    "script_error",
    `
files = [open(f'{n}', 'w+b') for n in range(64)]
for f in files: f.truncate(2**23)
for f in files: f.write(b'x' * 2**23)`,
    FULL,
  ),
  hostile("descriptors", "script_error", "import os\nwhile True: os.dup(0)"),
  hostile("pipes", "script_error", "import os\nwhile True: os.pipe()"),
  hostile(
    "descriptors that are on their way",
    "script_error",
    `
import os, socket
kept = []
while True:
    a, b = socket.socketpair(); kept += [a, b]
    socket.send_fds(a, [b'x'], [0] * 200)`,
  ),
  hostile("endless output", "timeout", "while True: print('x' * 10000)"),
  hostile("endless errors", "timeout", "import sys\nwhile True: sys.stderr.write('x' * 10000)"),
  hostile(
    "endless output of many processes",
    "timeout",
    "import os\nfor _ in range(4): os.fork()\nwhile True: os.write(1, b'x' * 65536); os.write(2, b'y' * 65536)",
  ),
  hostile(
    "one line of 500 MB",
    "completed",
    "import sys\nfor _ in range(500): sys.stdout.write('x' * 10**6)",
    { shows: { truncated: { stdout: 500_000_000 - MAX_OUTPUT_BYTES, stderr: 0 } } },
  ),
  hostile("an exception of 100 MB", "script_error", "raise ValueError('x' * 100_000_000)"),
  hostile("a question of 2 MB", "script_error", "llm.complete('x' * 2_000_000)"),
  hostile(
    "memory updates without end",
    "script_error",
    "for n in range(10**6): memory.set('c', str(n), 'x' * 1000)",
    { shows: { error: expect.stringContaining("the limit is 1048576"), memory_updates: {} } },
  ),
  hostile("a zip bomb", "out_of_memory", `${BOMB}zlib.decompress(bomb, -15)`),
  hostile(
    "a zip bomb on disk",
    "script_error",
    `${BOMB}
import zipfile
with zipfile.ZipFile('bomb.zip', 'w', zipfile.ZIP_DEFLATED) as z:
    for n in range(20): z.writestr(f'{n}', bytes(2**20))
zipfile.ZipFile('bomb.zip').extractall('.')`,
    FULL,
  ),
  hostile("a regular expression that never ends", "timeout", "import re; re.match('(a+)+$', 'a' * 40 + 'b')"),
  hostile(
    "a recursion without limit",
    ["out_of_memory", "timeout"],
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
      // Setting it is no error and changes nothing.
      core: "was = r.getrlimit(r.RLIMIT_CORE); r.setrlimit(r.RLIMIT_CORE, (-1, -1)); r.getrlimit(r.RLIMIT_CORE) != was or int('unchanged')",
      priority: "import os; os.nice(-5)",
    },
    "import resource as r",
  ),
];
