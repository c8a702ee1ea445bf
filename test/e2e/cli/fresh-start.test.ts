import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

let airlock: TestAirlock;
let rest: RestClient;

beforeAll(async () => {
  // One worker, so that the next run certainly follows the one before.
  airlock = await startAirlock({ projects: { demo: "replicas: 1\n" } });
  rest = restClient(airlock.url);
});
afterAll(async () => {
  await airlock.remove();
});

async function result(code: string): Promise<unknown> {
  const execution = await rest.run({ code });
  expect(execution).toMatchObject({ status: "completed", error: null });
  return execution.result;
}

describe("the state that one run could leave to the next", () => {
  it("one run leaves no builtins, modules and globals to the next", async () => {
    await result(
      "import builtins, json, sys\nbuiltins.sum = lambda _: 7\njson.left = 1\nsys.modules['left'] = sys\nleft = 1",
    );
    expect(
      await result(
        "import json, sys\nset_result([sum([1, 1]), hasattr(json, 'left'), 'left' in sys.modules, 'left' in globals()])",
      ),
    ).toEqual([2, false, false, false]);
  });

  it("one run leaves no environment, working directory and umask to the next", async () => {
    await result(
      "import os\nos.environ['LEFT'] = '1'\nos.putenv('LEFT2', '1')\nos.chdir('/')\nos.umask(0o777)",
    );
    expect(
      await result(
        "import os, subprocess\nset_result([os.environ.get('LEFT'), 'LEFT' in subprocess.getoutput('env'), os.getcwd() == '/', os.umask(0o22) == 0o777])",
      ),
    ).toEqual([null, false, false, false]);
  });

  it("one run leaves no files to the next, wherever a script may write", async () => {
    const places = "[os.getcwd(), os.environ['HOME'], tempfile.gettempdir(), '/tmp', '/var/tmp', '/dev/shm']";
    const code = (action: string) =>
      `import os, tempfile\nfor place in ${places}:\n    path = os.path.join(place, 'airlock-left-behind')\n    ${action}`;
    await result(code("open(path, 'w').write('left')"));
    expect(
      await result(`found = []\n${code("found.append(os.path.exists(path))")}\nset_result(found)`),
    ).toEqual(Array(6).fill(false));
  });

  it("one run leaves no child processes to the next, also double-forked ones", async () => {
    await result(`
import ctypes, os, subprocess, time
child = subprocess.Popen(["sleep", "1000.125"], stdout=subprocess.DEVNULL)
reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(15, b"left-behind", 0, 0, 0)
        os.write(writer, b"x")
        os.close(writer)
        for fd in (0, 1, 2):
            os.close(fd)
        time.sleep(1000)
    os._exit(0)
os.close(writer)
os.read(reader, 1)
set_result(1)
`);
    // No run begins on its worker before these are gone.
    await result("pass");
    // By name: the process numbers that a script sees are its own namespace's.
    const names = readdirSync("/proc").map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/comm`, "utf8") + readFileSync(`/proc/${pid}/cmdline`, "utf8");
      } catch {
        return "";
      }
    });
    expect(names.filter((name) => /left-behind|1000\.125/.test(name))).toEqual([]);
  });

  it("one run leaves no shared memory to the next", async () => {
    await result(`
from multiprocessing import shared_memory, resource_tracker
block = shared_memory.SharedMemory(name="airlock-left", create=True, size=16)
resource_tracker.unregister(block._name, "shared_memory")
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
set_result(libc.shmget(4711, 4096, 0o1666))
`);
    expect(
      await result(`
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
set_result([os.path.exists("/dev/shm/airlock-left"), libc.shmget(4711, 0, 0)])
`),
    ).toEqual([false, -1]);
  });

  it("one run leaves no result, memory and settings to the next", async () => {
    await rest.run({ code: "set_result(1); memory.set('a', 'b', 1)", settings: { LEFT: "1" } });
    expect(await result("set_result([settings.get('LEFT'), memory.get('a', 'b')])")).toEqual([null, null]);
    expect(await result("pass")).toBeNull();
  });
});
