import { execFile } from "node:child_process";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";

// Files that `./airlock run` reads and writes: the script, the memory, and standard output.

let airlock: TestAirlock;

beforeAll(async () => {
  airlock = await startAirlock({ projects: { demo: "" } });
});
afterAll(async () => {
  await airlock.remove();
});

const shell = (line: string) =>
  promisify(execFile)("bash", ["-c", line], { env: { ...process.env, AIRLOCK_URL: airlock.url } });
const script = async (name: string, code: string) => {
  const file = join(airlock.directory, name);
  await writeFile(file, code);
  return file;
};

it.each([
  ["run", "set_result('r' * 2_000_000)"],
  ["run --json", "set_result('r' * 2_000_000)"],
  ["run", "print('x' * 2_000_000, end='')"],
])("./airlock %s fails when the disk takes only a part of what %s gives", async (command, code) => {
  const file = await script("large.py", code);
  const failed = shell(
    `ulimit -f 1024; trap '' XFSZ; ./airlock ${command} '${file}' --project demo > '${file}.out'`,
  );
  await expect(failed).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^Standard output cannot be written: file too large\.$/m),
  });
  expect((await stat(`${file}.out`)).size).toBe(1024 * 1024);
});

it.each(["run", "run --json", "projects", "help"])(
  "./airlock %s fails when its output cannot be written",
  async (command) => {
    const file = await script("small.py", "set_result(1)");
    const more = command.startsWith("run") ? `'${file}' --project demo` : "";
    await expect(shell(`./airlock ${command} ${more} > /dev/full`)).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^Standard output cannot be written: no space left on device\.$/m),
    });
  },
);

it("./airlock run gives another memory file a copy when the script updates nothing", async () => {
  const [from, to] = [join(airlock.directory, "from.json"), join(airlock.directory, "to.json")];
  await writeFile(from, '{"a": {"n": 18446744073709551616}}');
  const run = async (code: string, options: string) =>
    await shell(`./airlock run '${await script("chain.py", code)}' --project demo ${options}`);
  await expect(run("1/0", `--memory ${from} --save-memory ${to}`)).rejects.toMatchObject({ code: 1 });
  await expect(readFile(to)).rejects.toThrow("ENOENT");
  await run("pass", `--memory ${from} --save-memory ${to}`);
  const { stdout } = await run("set_result(memory.get('a', 'n'))", `--memory ${to}`);
  expect(stdout).toBe("18446744073709551616\n");
});

it.each([
  ["/dev/zero", "/dev/zero"],
  ["standard input", "-"],
  ["/dev/zero", "small.py --memory /dev/zero"],
])("./airlock run refuses %s without an end, in: run %s", async (name, options) => {
  await script("small.py", "pass");
  const line = `cd '${airlock.directory}' && "$OLDPWD/airlock" run ${options} --project demo < /dev/zero`;
  await expect(shell(line)).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining(`${name} is larger than 16777216 bytes (16 MiB)`),
  });
});
