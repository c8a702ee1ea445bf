import type { HostileHarness } from "../harness/hostile-harness.ts";
import { type HostileCase, yields } from "./cases.ts";

/** Python that opens files which the runs of all projects and the machine's own programs use. */
const SHARED = `
import fcntl, os, sys
wanted = [os.__file__, os.path.realpath(sys.executable), sys.prefix + '/pyvenv.cfg', '/etc/services', '/etc/ld.so.cache',
    '/usr/share/zoneinfo/UTC', '/usr/lib/os-release', '/bin/sh', os.path.dirname(os.__file__), '/usr/lib', '/usr/bin', '/']
shared = [open(os.open(path, os.O_RDONLY), 'rb', closefd=True, buffering=0) if os.path.isfile(path) else os.open(path, os.O_RDONLY)
    for path in wanted if os.path.exists(path)]
`;

/**
 * Runs an attempt in another project while the script waits; its result lists the refusals, none if both share no
 * inode.
 */
const neighbours =
  (attempt: string) =>
  async ({ rest }: HostileHarness): Promise<string> => {
    const code = `${SHARED}
refused = []
for path, file in zip([path for path in wanted if os.path.exists(path)], shared):
    try: ${attempt}
    except OSError as error: refused.append([path, str(error)])
set_result(refused)`;
    const { result, error } = await rest.run({ project: "neighbour", code });
    return JSON.stringify(result ?? error);
  };

const PROGRAMS = `
import os
places = ('/bin', '/sbin', '/usr/bin', '/usr/sbin', '/usr/local/bin', '/usr/local/sbin', '/usr/games', '/usr/libexec')
found = sorted({name for place in places if os.path.isdir(place) for name in os.listdir(place)})
`;

/** Scripts that lock or read files which other projects or the machine use, too. */
export const SHARED_FILES: readonly HostileCase[] = [
  yields(
    "a lock on everything that others use, held in a pause",
    `${SHARED}
held = 0
for file in shared:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB); held += 1
set_result([held > 6, llm.complete('locked')])`,
    [true, "[]"],
    { meanwhile: neighbours("fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)") },
  ),
  yields(
    "a record lock on everything that others use, held in a pause",
    `${SHARED}
held = 0
for file in shared:
    if not isinstance(file, int): fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB); held += 1
set_result([held > 4, llm.complete('locked')])`,
    [true, "[]"],
    // F_GETLK gives the kind of a conflicting lock; 2 means none.
    {
      meanwhile: neighbours(
        "assert isinstance(file, int) or fcntl.fcntl(file, fcntl.F_GETLK, bytes([1]) + bytes(31))[0] == 2",
      ),
    },
  ),
  yields(
    "where it runs, by what its own process shows",
    `
import os, sys
texts = {name: repr(value) for name, value in (('orig_argv', sys.orig_argv), ('path', sys.path), ('executable', sys.executable))}
for name in ('mountinfo', 'mounts', 'mountstats', 'cmdline', 'environ', 'maps', 'smaps', 'auxv'):
    texts[name] = open(f'/proc/self/{name}', 'rb').read().decode('latin1') if os.path.exists(f'/proc/self/{name}') else ''
for directory, _, names in os.walk(sys.prefix + '/bin'):
    texts.update((name, open(f'{directory}/{name}', 'rb').read(9999).decode('latin1')) for name in names if os.path.isfile(f'{directory}/{name}'))
texts['pyvenv.cfg'] = open(sys.prefix + '/pyvenv.cfg').read()
forbidden = [settings.get('DATA'), settings.get('CHECKOUT'), 'worker.sock', '/run/airlock']
set_result([name for name, text in texts.items() if any(word in text for word in forbidden)])`,
    [],
  ),
  yields(
    "the machine's disks, by their free space",
    `
import os, sys
mounts = {line.split()[4] for line in open('/proc/self/mountinfo')} | {'/', '/usr', '/etc', '/dev', sys.prefix, sys.base_prefix, os.__file__}
# Devices of the machine are in memory; all else that a run sees is smaller than any disk.
large = [place for place in mounts if (info := os.statvfs(place)).f_blocks * info.f_frsize > 1 << 30 or info.f_files > 1 << 20]
set_result(sorted(place for place in large if not place.startswith('/dev/')))`,
    [],
  ),
  yields(
    "programs of the machine that its project does not list",
    `${PROGRAMS}
listed = {'sh', 'ls', 'cat', 'env', 'sleep', 'sha256sum'}
unknown = [name for name in found if name in ('bash', 'perl', 'su', 'sudo', 'mount', 'apt', 'dpkg', 'grep', 'awk', 'sed', 'find', 'tar', 'gcc', 'login')]
set_result([sorted(listed - set(found)), unknown, len(found) < 130])`,
    [[], [], true],
  ),
  yields(
    "what is there instead goes on as on a machine with little",
    `
import ctypes.util, multiprocessing, os, platform, subprocess, sys, uuid
def outcome(command):
    try: return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError: return 'not there'
with multiprocessing.get_context('fork').Pool(2) as pool: squares = pool.map(abs, [-1, 2])
set_result([
    outcome([sys.executable, '-c', 'import sys; print(sys.prefix)']) == sys.prefix, outcome(['ls', '/usr/bin/ls']), outcome(['gcc']),
    os.waitstatus_to_exitcode(os.system('exit 3')), outcome(['sh', '-c', 'echo $0 | cat']), squares,
    bool(platform.platform()), bool(uuid.uuid1()), ctypes.util.find_library('no-such'), str(ctypes.CDLL(None)) != ''])`,
    [true, "/usr/bin/ls", "not there", 3, "sh", [1, 2], true, true, null, true],
  ),
  yields(
    "set-user-ID programs",
    `${PROGRAMS}
set_result([name for place in places if os.path.isdir(place) for name in os.listdir(place) if os.path.exists(f'{place}/{name}') and os.stat(f'{place}/{name}').st_mode & 0o6000])`,
    [],
  ),
];
