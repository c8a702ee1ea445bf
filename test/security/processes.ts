import { attempts, type HostileCase, hostile } from "./cases.ts";

const LIBC = "import ctypes, os, errno\nlibc = ctypes.CDLL(None, use_errno=True)\n";

/** System calls that must fail with an OSError and not end the script, by name: number on x86_64 and on aarch64. */
const REFUSED: Readonly<Record<string, readonly [number, number]>> = {
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  kcmp: [312, 272],
  pidfd_getfd: [438, 438],
  bpf: [321, 280],
  io_uring_setup: [425, 425],
  userfaultfd: [323, 282],
  keyctl: [250, 219],
  add_key: [248, 217],
  request_key: [249, 218],
  perf_event_open: [298, 241],
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  move_mount: [429, 429],
  open_tree: [428, 428],
  fsopen: [430, 430],
  setns: [308, 268],
  clone3: [435, 435],
  kexec_load: [246, 104],
  init_module: [175, 105],
  finit_module: [313, 273],
  reboot: [169, 142],
  swapon: [167, 224],
  quotactl: [179, 60],
  acct: [163, 89],
  settimeofday: [164, 170],
  open_by_handle_at: [304, 265],
  chroot: [161, 51],
  "a call newer than the filter": [500, 500],
};

function refused(name: string, [x86, arm]: readonly [number, number]): HostileCase {
  return hostile(
    `the system call ${name}`,
    "completed",
    `${LIBC}number = ${arm} if os.uname().machine == 'aarch64' else ${x86}
answer = libc.syscall(number, 0, 0, 0, 0, 0, 0)
set_result([answer, ctypes.get_errno() in (errno.EPERM, errno.ENOSYS)])`,
    [-1, true],
  );
}

const NAMESPACES = {
  mount: 0x20000,
  uts: 0x4000000,
  ipc: 0x8000000,
  user: 0x10000000,
  pid: 0x20000000,
  net: 0x40000000,
};

/** Scripts that turn on the processes around them, or on their own. */
export const PROCESSES: readonly HostileCase[] = [
  ...Object.entries(REFUSED).map(([name, numbers]) => refused(name, numbers)),
  ...Object.entries(NAMESPACES).map(([name, flag]) =>
    hostile(
      `a new ${name} namespace`,
      "completed",
      `${LIBC}
clone = 220 if os.uname().machine == 'aarch64' else 56
child = libc.syscall(clone, ${flag} | 17, 0, 0, 0, 0)
if child == 0: os._exit(0)
set_result([libc.unshare(${flag}), child])`,
      [-1, -1],
    ),
  ),
  hostile("a signal to the parent", ["completed", "script_error"], "import os; os.kill(os.getppid(), 9)"),
  hostile("SIGSTOP to the parent", ["completed", "script_error"], "import os; os.kill(os.getppid(), 19)"),
  hostile("a signal to everybody", ["completed", "script_error"], "import os; os.kill(-1, 9)"),
  hostile("a signal to its group", "killed", "import os; os.killpg(0, 9)"),
  hostile(
    "signals to the low process numbers",
    "completed",
    `
import os
for pid in range(3, 5000):
    try: os.kill(pid, 9)
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
  hostile("os._exit", "exit_nonzero", "import os; os._exit(7)"),
  hostile("a hanging atexit", "timeout", "import atexit, time; atexit.register(time.sleep, 99)"),
  hostile(
    "a thread that does not end",
    "timeout",
    "import threading, time; threading.Thread(target=time.sleep, args=(99,)).start()",
  ),
  hostile(
    "a daemon that holds standard output",
    "completed",
    `
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: time.sleep(1000)
    os._exit(0)`,
  ),
  hostile("two that finish", "completed", "import os\nif os.fork() == 0: os._exit(0)\nset_result(1)", 1),
  hostile("every descriptor closed", "script_error", "import os; os.closerange(0, 65536)"),
  hostile(
    "a forged end",
    "script_error",
    `
import os, struct
os.write(3, b'D' + struct.pack('>I', 31) + b'{"end":"cancelled","error":""}')
os._exit(0)`,
  ),
  hostile(
    "32-bit entry",
    ["killed", "completed"],
    `
import ctypes, mmap, os
if os.uname().machine == 'x86_64':
    code = mmap.mmap(-1, 4096, prot=7); code.write(b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3')
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
    print('entered')`,
  ),
  hostile(
    "x32 entry",
    ["killed", "completed"],
    `${LIBC}
if os.uname().machine == 'x86_64': libc.syscall(0x40000000 | 39); print('entered')`,
  ),
  hostile(
    "the processes of others",
    "completed",
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
    },
    "import os",
  ),
  attempts(
    "sockets of any kind",
    Object.fromEntries(
      [
        "AF_INET",
        "AF_INET6",
        "AF_UNIX",
        "AF_NETLINK",
        "AF_PACKET",
        "AF_VSOCK",
        "AF_ALG",
        "AF_BLUETOOTH",
        "AF_CAN",
        "AF_KEY",
      ].map((family) => [family, `socket.socket(getattr(socket, '${family}', 99), socket.SOCK_DGRAM)`]),
    ),
    "import socket",
  ),
];
