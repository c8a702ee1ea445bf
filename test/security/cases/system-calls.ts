import { expect } from "vitest";
import { attempts, type HostileCase, hostile, yields } from "./cases.ts";

export const LIBC = "import ctypes, os, errno\nlibc = ctypes.CDLL(None, use_errno=True)\n";
const IS_X86 = process.arch === "x64";

/** System calls that must fail with an OSError and not end the script, by name: number on x86_64 and on aarch64. */
const REFUSED: Readonly<Record<string, readonly [number, number]>> = {
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  process_madvise: [440, 440],
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
  mount_setattr: [442, 442],
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
  inotify_init1: [294, 26],
  mincore: [27, 232],
  cachestat: [451, 451],
  "a call newer than the filter": [500, 500],
};

function refused(name: string, [x86, arm]: readonly [number, number]): HostileCase {
  return yields(
    `the system call ${name}`,
    `${LIBC}answer = libc.syscall(${IS_X86 ? x86 : arm}, 0, 0, 0, 0, 0, 0)
set_result([answer, ctypes.get_errno() in (errno.EPERM, errno.ENOSYS)])`,
    [-1, true],
  );
}

const NAMESPACES = {
  mount: 0x20000,
  cgroup: 0x2000000,
  uts: 0x4000000,
  ipc: 0x8000000,
  user: 0x10000000,
  pid: 0x20000000,
  net: 0x40000000,
};

function machineCode(bytes: string): string {
  return `
import ctypes, mmap
MAP_32BIT = 0x40
code = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_32BIT, prot=7); code.write(b'${bytes}')
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
print('entered')`;
}

// Other processors have no such entry to the kernel; the script does nothing there.
const otherEntry = (name: string, code: string): HostileCase =>
  IS_X86
    ? hostile(name, "killed", code, { shows: { stdout: "", error: expect.stringContaining("SIGSYS") } })
    : hostile(name, "completed", "pass");

/** Scripts that make system calls directly, past Python. */
export const SYSTEM_CALLS: readonly HostileCase[] = [
  ...Object.entries(REFUSED).map(([name, numbers]) => refused(name, numbers)),
  ...Object.entries(NAMESPACES).map(([name, flag]) =>
    yields(
      `a new ${name} namespace`,
      `${LIBC}
child = libc.syscall(${IS_X86 ? 56 : 220}, ${flag} | 17, 0, 0, 0, 0)
if child == 0: os._exit(0)
set_result([libc.unshare(${flag}), child])`,
      [-1, -1],
    ),
  ),
  yields(
    "a process that lets itself be traced",
    `${LIBC}
child = os.fork()
if child == 0: os._exit(libc.ptrace(0, 0, None, None) + 1)
set_result([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), libc.ptrace(16, os.getppid(), None, None)])`,
    [0, -1],
  ),
  attempts(
    "watching or holding a file through its descriptor",
    {
      lease: "fcntl.fcntl(own, 1024, fcntl.F_WRLCK)",
      "lease on a shared file": "fcntl.fcntl(shared, 1024, fcntl.F_RDLCK)",
      delegation: "fcntl.fcntl(own, 1040, bytes(8))",
      "directory notification": "fcntl.fcntl(os.open(os.path.dirname(os.__file__), os.O_RDONLY), 1026, 0x3f)",
      "write hint": "fcntl.fcntl(shared, 1036, (2).to_bytes(8, 'little'))",
      "page cache": "os.preadv(shared, [bytearray(1)], 0, os.RWF_NOWAIT)",
    },
    "import fcntl, os\nown = os.open('own', os.O_RDWR | os.O_CREAT)\nshared = os.open(os.__file__, os.O_RDONLY)",
  ),
  yields(
    "locks on its own files, as databases need them",
    `
import fcntl, os, sqlite3
with sqlite3.connect('own.db') as database: database.execute('create table t (x)')
own = open('own', 'w'); fcntl.flock(own, fcntl.LOCK_EX); fcntl.lockf(own, fcntl.LOCK_EX)
os.sync()
set_result(os.path.getsize('own.db') > 0)`,
    true,
  ),
  // mov eax, 20 (getpid); int 0x80; ret
  otherEntry("32-bit entry", machineCode(String.raw`\xb8\x14\x00\x00\x00\xcd\x80\xc3`)),
  // The same in the 32-bit code segment: push 0x23; call next; next: add [rsp], 7; retf; mov eax, 20; int 0x80; hlt
  otherEntry(
    "32-bit entry by another code segment",
    machineCode(
      String.raw`\x6a\x23\xe8\x00\x00\x00\x00\x48\x83\x04\x24\x07\x48\xcb\xb8\x14\x00\x00\x00\xcd\x80\xf4`,
    ),
  ),
  otherEntry("x32 entry", `${LIBC}libc.syscall(0x40000000 | 39); print('entered')`),
];
