import { attempts, type HostileCase, hostile, yields } from "./cases.ts";
import { LIBC } from "./system-calls.ts";

const ABSENT = [
  "/sys",
  "/home",
  "/root",
  "/run",
  "/var/run",
  "/var/lib",
  "/var/log",
  "/srv",
  "/opt",
  "/mnt",
  "/boot",
  "/etc/shadow",
  "/etc/ssh",
  "/etc/resolv.conf",
  "/dev/kmsg",
  "/dev/mem",
  "/dev/sda",
  "/dev/kvm",
  "/dev/fuse",
  "/dev/net/tun",
  "/dev/tty",
  "/dev/ptmx",
  "/dev/mqueue",
  "/proc/kcore",
  "/proc/sys",
  "/proc/kallsyms",
  "/proc/cmdline",
  "/proc/mounts/../../sys",
];

const LEAVINGS = `
import os
MARK = 'hostile-left'
mounts = [line.split()[4:6] for line in open('/proc/self/mountinfo')]
writable = [place for place, options in mounts if options.startswith('rw') and place != '/proc']
def places():
    """Every directory that can be written to."""
    for mount in writable:
        for directory, _, _ in os.walk(mount):
            if os.access(directory, os.W_OK): yield directory
`;

/**
 * A script that leaves a file in each writable directory with `leave`, and lists the directories where one was
 * before.
 */
const leftover = (what: string, leave: string): HostileCase =>
  yields(
    `leftovers in every writable place: ${what}`,
    `${LEAVINGS}
everywhere = sorted(set(places()))
found = [place for place in everywhere if os.path.lexists(f'{place}/{MARK}')]
for place in everywhere:
    path = f'{place}/{MARK}'
    ${leave}
set_result([found, sorted(set(writable)), '/tmp/airlock' in everywhere])`,
    [[], ["/dev/shm", "/tmp", "/var/tmp"], true],
  );

/** Scripts that look for files of other owners, or leave files for the next run. */
export const FILES: readonly HostileCase[] = [
  ...ABSENT.map((path) =>
    // A directory may exist as a part of the interpreter's path, and contains nothing else then.
    yields(
      `reading ${path}`,
      `
import os, sys
def shown(path):
    if any((place + '/').startswith(path + '/') for place in (sys.prefix, sys.base_prefix, *sys.path)): return []
    try: return os.listdir(path) if os.path.isdir(path) else [open(path, 'rb').read(1) and path]
    except OSError: return []
set_result(shown('${path}'))`,
      [],
    ),
  ),
  attempts(
    "writing outside its own places",
    Object.fromEntries(
      [
        "/hostile-x",
        "/etc/hostile-x",
        "/etc/passwd",
        "/etc/hosts",
        "/usr/hostile-x",
        "/var/hostile-x",
        "/dev/hostile-x",
        "/proc/self/comm",
        "/proc/self/oom_score_adj",
        "/proc/self/uid_map",
        "/proc/self/attr/current",
        "/proc/self/fd/hostile-x",
      ].map((path) => [path, `open('${path}', 'w')`]),
    ),
  ),
  attempts(
    "the interpreter and its packages",
    {
      sitecustomize: "open(os.path.dirname(os.__file__) + '/sitecustomize.py', 'w')",
      package: "open(sysconfig.get_path('purelib') + '/x.pth', 'w')",
      executable: "open(sys.executable, 'r+b')",
      library: "open('/proc/self/map_files', 'r+b')",
      mode: "os.chmod(os.__file__, 0o777)",
      time: "os.utime(os.__file__, (0, 0))",
      removal: "os.unlink(os.__file__)",
      renaming: "os.rename(os.__file__, os.__file__ + '.old')",
      cache: "open(os.path.dirname(os.__file__) + '/__pycache__/os.cpython-311.pyc', 'r+b')",
      bytecode: "open(__import__('importlib.util').util.cache_from_source(os.__file__), 'r+b')",
    },
    "import os, sys, sysconfig",
  ),
  yields(
    "modules for the next run",
    `
import os, sys
seen = [name for name in ('sitecustomize', 'usercustomize', 'json') if getattr(sys.modules.get(name), 'HOSTILE', False)]
for place in ('.', '/tmp', '/var/tmp', '/dev/shm'):
    for name in ('sitecustomize', 'usercustomize', 'json', '__main__', 'encodings'):
        open(f'{place}/{name}.py', 'w').write('HOSTILE = True')
    open(f'{place}/hostile.pth', 'w').write('import sys; sys.HOSTILE = True')
set_result([seen, hasattr(sys, 'HOSTILE')])`,
    [[], false],
  ),
  attempts(
    "devices",
    {
      character: "os.mknod('c', stat.S_IFCHR | 0o600, os.makedev(1, 1))",
      block: "os.mknod('b', stat.S_IFBLK | 0o600, os.makedev(8, 0))",
      "in shared memory": "os.mknod('/dev/shm/c', stat.S_IFCHR | 0o666, os.makedev(1, 3))",
    },
    "import os, stat",
  ),
  attempts(
    "rights",
    {
      uid: "os.setuid(0)",
      effective: "os.seteuid(0)",
      gid: "os.setgid(0)",
      groups: "os.setgroups([0])",
      owner: "open('f', 'w').close(); os.chown('f', 0, 0)",
      chroot: "os.chroot('.')",
      capability: "os.setxattr('f', 'security.capability', b'\\x01\\x00\\x00\\x02' + bytes(16))",
      trusted: "os.setxattr('f', 'trusted.x', b'x')",
    },
    "import os",
  ),
  yields(
    "a set-user-ID program of its own gives nothing",
    `
import os, shutil, stat, subprocess
shutil.copy('/bin/sh', 'sh'); os.chmod('sh', 0o6777)
status = subprocess.run(['./sh', '-pc', 'cat /proc/self/status'], capture_output=True, text=True).stdout
set_result([line.split() for line in status.splitlines() if line.startswith(('Uid', 'CapEff'))])`,
    [
      ["Uid:", "1000", "1000", "1000", "1000"],
      ["CapEff:", "0000000000000000"],
    ],
  ),
  yields(
    "the set-user-ID programs of the machine give nothing",
    "import os; set_result([p for p in ('/', '/usr/bin', '/tmp', '/dev/shm', '/var/tmp') if not os.statvfs(p).f_flag & os.ST_NOSUID])",
    [],
  ),
  yields(
    "mounts",
    `${LIBC}
MS_REMOUNT, MS_BIND, MS_MOVE, RW = 32, 4096, 8192, 0
tries = {
    'remount': (None, b'/', None, MS_REMOUNT | MS_BIND, None), 'proc': (b'proc', b'/tmp', b'proc', 0, None),
    'tmpfs': (b'x', b'/tmp', b'tmpfs', 0, None), 'bind': (b'/dev', b'/tmp', None, MS_BIND, None),
    'move': (b'/proc', b'/tmp', None, MS_MOVE, None), 'device': (b'/dev/vda', b'/tmp', b'ext4', 0, None),
}
set_result([name for name, arguments in tries.items() if libc.mount(*arguments) == 0] + [n for n in (b'/proc', b'/tmp', b'/') if libc.umount2(n, 2) == 0])`,
    [],
  ),
  ...[
    ["/proc/self/root", "/proc/self/root/sys"],
    ["/proc/1/root", "/proc/1/root/sys"],
    ["a descriptor's parent", "/proc/self/fd/0/../../sys"],
    ["the working directory's link", "/proc/self/cwd/../../sys"],
    ["a thread's root", "/proc/thread-self/root/../sys"],
  ].map(([what, path]) =>
    yields(`the way out by ${what}`, `import os; set_result(os.path.exists('${path}'))`, false),
  ),
  yields(
    "the way out by ..",
    "import os; os.chdir('/' + '../' * 50); set_result(os.path.exists('sys'))",
    false,
  ),
  attempts(
    "links to what is not there",
    {
      symbolic: "os.symlink('/etc/shadow', 's'); open('s')",
      hard: "os.link(os.__file__, 'h')",
      "hard, by descriptor":
        "os.link(f'/proc/self/fd/{os.open(os.__file__, os.O_RDONLY)}', 'h2', follow_symlinks=True)",
      "hard, of a device": "os.link('/dev/null', '/dev/shm/null')",
    },
    "import os",
  ),
  leftover("files", "open(path, 'w').write('x'); os.chmod(path, 0)"),
  leftover("directories without permissions", "os.mkdir(path); open(f'{path}/x', 'w'); os.chmod(path, 0)"),
  leftover("links out", "os.symlink('/', path)"),
  leftover("hard links", "open(path + '2', 'w').close(); os.link(path + '2', path)"),
  leftover("pipes", "os.mkfifo(path)"),
  yields(
    "leftovers in System V segments, queues and semaphores",
    `${LIBC}
seen = [libc.shmget(4711, 4096, 0o666), libc.msgget(4711, 0o666), libc.semget(4711, 1, 0o666)]
made = [libc.shmget(4711, 4096, 0o1666) >= 0, libc.msgget(4711, 0o1666) >= 0, libc.semget(4711, 1, 0o1666) >= 0]
set_result([seen, made])`,
    [
      [-1, -1, -1],
      [true, true, true],
    ],
  ),
  yields(
    "its own directory gone",
    "import os, shutil; shutil.rmtree('/tmp', ignore_errors=True); set_result(os.path.exists('/tmp/airlock'))",
    false,
  ),
  hostile(
    "names that no text holds",
    "completed",
    String.raw`import os; open(b'\xff\n\x1b[2J' + b'x' * 200, 'w')`,
  ),
  yields("another host name", "import os; set_result(os.uname().nodename)", "airlock"),
];
