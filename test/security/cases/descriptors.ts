import { expect } from "vitest";
import { type HostileCase, hostile, yields } from "./cases.ts";

const FRAMES = `
import os, socket, struct
def frame(kind, text): return kind + struct.pack('>I', len(text)) + text
END = frame(b'D', b'{"end":"completed","error":""}')
`;
const TAMPERED = {
  replacesWorker: true,
  shows: { result: null, error: expect.stringContaining("Airlock's own descriptor") },
} as const;

function everywhere(what: string, bytes: string): HostileCase {
  return hostile(
    `on every descriptor: ${what}`,
    "script_error",
    `${FRAMES}
for fd in range(1024):
    try: os.write(fd, ${bytes})
    except OSError: pass
set_result('forged')`,
    TAMPERED,
  );
}

/** Scripts that close, replace and misuse the descriptors of their process. */
export const DESCRIPTORS: readonly HostileCase[] = [
  hostile("every descriptor closed", "script_error", "import os; os.closerange(0, 65536); set_result(1)", {
    shows: { result: null },
  }),
  yields("its output closed", "import os; os.close(1); os.close(2); set_result(1)", 1),
  yields("no streams", "import sys; sys.stdout = sys.stderr = None; set_result(1)", 1),
  yields(
    "every descriptor copied",
    "import os\nfor n in range(4, 1000): os.dup2(n % 4, n)\nset_result(1)",
    1,
  ),
  hostile(
    "nothing where the control pipe was",
    "script_error",
    "import os; os.dup2(os.open('/dev/null', os.O_RDWR), 3); set_result(1)",
    { shows: { result: null } },
  ),
  hostile("the control pipe closed", "script_error", "import os; os.close(3); set_result(1)", {
    shows: { result: null },
  }),
  hostile(
    "the control pipe that does not block",
    "completed",
    `
import fcntl, os
fcntl.fcntl(3, fcntl.F_SETPIPE_SZ, 1)
os.set_blocking(3, False); set_result('x' * 1_000_000)`,
    { value: "x".repeat(1_000_000) },
  ),
  hostile("the orders pipe read by the script", "timeout", "import os; os.read(4, 1)"),
  hostile("the orders pipe closed", "script_error", "import os; os.close(4); llm.complete('?')"),
  hostile(
    "an end that scripts may not claim",
    "script_error",
    `${FRAMES}os.write(3, frame(b'D', b'{"end":"cancelled","error":""}')); os._exit(0)`,
    TAMPERED,
  ),
  ...["start_failed", "worker_lost", "output_withheld", "timeout"].map((end) =>
    hostile(
      `an end that others see from outside: ${end}`,
      "script_error",
      `${FRAMES}os.write(3, frame(b'D', b'{"end":"${end}","error":"nothing ran"}')); os._exit(0)`,
      TAMPERED,
    ),
  ),
  hostile(
    "a second beginning",
    "script_error",
    `${FRAMES}os.write(3, frame(b'B', b'')); set_result(1)`,
    TAMPERED,
  ),
  everywhere("garbage", "b'garbage' * 100"),
  everywhere("an empty end", "frame(b'R', b'{}') + frame(b'D', b'{}')"),
  everywhere("an end that is no JSON", "frame(b'D', b'x' * 32)"),
  everywhere("two ends", "END + END"),
  everywhere("a malformed llm request", "frame(b'Q', b'{}')"),
  everywhere("a question of 4 GB", String.raw`b'Q\xff\xff\xff\xff'`),
  everywhere("what only the probe says", "frame(b'P', b'{}')"),
  everywhere("what only the supervisor says", "frame(b'S', b'{}')"),
  hostile(
    "an end that is never written to its end",
    "script_error",
    `${FRAMES}os.write(3, END[:-1]); os._exit(0)`,
    { shows: { result: null } },
  ),
  hostile(
    "an end a little at a time",
    "timeout",
    `${FRAMES}import time; os.write(3, END[:9]); time.sleep(99)`,
  ),
  yields("two that finish", "import os\npid = os.fork()\nset_result(pid > 0)\nif pid: os.wait()", true, {
    shows: { stderr: expect.stringContaining("works only in the script's first process") },
  }),
  hostile(
    "two that finish, one by a forged end",
    "script_error",
    `${FRAMES}
if os.fork() == 0: os.write(3, frame(b'R', b'"forged"') + END); os._exit(0)
os.wait(); set_result('own')`,
    TAMPERED,
  ),
];
