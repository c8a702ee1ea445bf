import { attempts, type HostileCase, hostile } from "./cases.ts";

const ABSENT = [
  "/sys",
  "/home",
  "/root",
  "/run",
  "/var/run",
  "/var/lib",
  "/boot",
  "/etc/shadow",
  "/etc/ssh",
  "/dev/kmsg",
  "/dev/mem",
  "/dev/sda",
  "/dev/tty",
  "/dev/ptmx",
  "/proc/kcore",
  "/proc/sys",
  "/proc/kallsyms",
];

/** Scripts that look for files that are not theirs, or leave some for the next run. */
export const FILES: readonly HostileCase[] = [
  ...ABSENT.map((path) =>
    // A directory may be there as the way to the interpreter, and holds nothing else then.
    hostile(
      `reading ${path}`,
      "completed",
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
        "/x",
        "/etc/x",
        "/etc/passwd",
        "/usr/x",
        "/var/x",
        "/dev/x",
        "/proc/self/comm",
        "/proc/self/oom_score_adj",
        "/proc/self/uid_map",
      ].map((path) => [path, `open('${path}', 'w')`]),
    ),
  ),
  attempts(
    "the interpreter and its packages",
    {
      sitecustomize: "open(os.path.dirname(os.__file__) + '/sitecustomize.py', 'w')",
      package: "open(sysconfig.get_path('purelib') + '/x.pth', 'w')",
      executable: "open(sys.executable, 'r+b')",
      mode: "os.chmod(os.__file__, 0o777)",
      removal: "os.unlink(os.__file__)",
    },
    "import os, sys, sysconfig",
  ),
  attempts(
    "devices",
    {
      character: "os.mknod('c', stat.S_IFCHR | 0o600, os.makedev(1, 1))",
      block: "os.mknod('b', stat.S_IFBLK | 0o600, os.makedev(8, 0))",
    },
    "import os, stat",
  ),
  attempts(
    "rights",
    {
      uid: "os.setuid(0)",
      gid: "os.setgid(0)",
      groups: "os.setgroups([0])",
      owner: "open('f', 'w').close(); os.chown('f', 0, 0)",
      chroot: "os.chroot('.')",
    },
    "import os",
  ),
  hostile(
    "a set-user-ID program gives nothing",
    "completed",
    `
import glob, os, stat, subprocess
found = [p for p in glob.glob('/usr/bin/*') if os.path.isfile(p) and os.stat(p).st_mode & stat.S_ISUID]
uids = {subprocess.run(['/bin/sh', '-c', 'id -u'], capture_output=True, text=True).stdout.strip()}
set_result('0' in uids)`,
    false,
  ),
  hostile(
    "the way out by /proc/self/root",
    "completed",
    "import os; set_result(os.path.exists('/proc/self/root/sys'))",
    false,
  ),
  hostile(
    "the way out by ..",
    "completed",
    "import os; os.chdir('/' + '../' * 50); set_result(os.path.exists('sys'))",
    false,
  ),
  hostile(
    "the way out by the working directory's link",
    "completed",
    "import os; set_result(os.path.exists('/proc/self/cwd/../../sys'))",
    false,
  ),
  attempts(
    "links to what is not there",
    {
      symbolic: "os.symlink('/etc/shadow', 's'); open('s')",
      hard: "os.link(os.__file__, 'h')",
    },
    "import os",
  ),
  ...["/tmp/left", "/var/tmp/left", "/dev/shm/left", "left"].map((path) =>
    hostile(
      `a leftover at ${path}`,
      "completed",
      `
import os
seen = os.path.exists('${path}'); open('${path}', 'w').write('x'); os.chmod('${path}', 0)
set_result(seen)`,
      false,
    ),
  ),
  hostile("another host name", "completed", "import os; set_result(os.uname().nodename)", "airlock"),
];
