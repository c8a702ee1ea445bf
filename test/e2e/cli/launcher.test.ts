import { execFile } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "..", "..", "..");

let home: string;
let stubs: string;

// A checkout whose Node is a stub that says what it was started with, and a Python that makes a stub of an environment.
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "airlock-launcher-"));
  stubs = join(home, "stubs");
  for (const name of ["airlock", "package-lock.json"]) await cp(join(ROOT, name), join(home, name));
  await mkdir(join(home, "worker"));
  for (const name of ["requirements.lock", "requirements-dev.lock"]) {
    await cp(join(ROOT, "worker", name), join(home, "worker", name));
  }
  await mkdir(join(home, "node_modules", ".bin"), { recursive: true });
  await cp(join(ROOT, "package-lock.json"), join(home, "node_modules", ".airlock-lock"));
  await executable(join(home, "node_modules", ".bin", "node"), 'echo "started: $*"');
  await mkdir(stubs);
  await executable(
    join(stubs, "python3"),
    'if [ "${2-}" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi',
  );
});
afterAll(async () => {
  await rm(home, { recursive: true, force: true });
});

async function executable(path: string, script: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
}

function launched(args: readonly string[], path = stubs): Promise<{ status: number; text: string }> {
  const env = { PATH: `${path}:/usr/bin:/bin`, TMPDIR: home };
  return new Promise((resolve) => {
    execFile(join(home, "airlock"), args, { env }, (error, stdout, stderr) =>
      resolve({ status: error ? Number(error.code) : 0, text: stdout + stderr }),
    );
  });
}

const made = "Making a Python environment";

describe("the launcher on a fresh checkout", () => {
  it.each([
    [["doctor"], true],
    [["up"], true],
    [["up", "--port", "1"], true],
    [["doctor", "--json"], true],
    [["doctor", "--driver", "docker"], false],
    [["doctor", "--help"], false],
    [["up", "demo"], false],
    [["up", "--mock"], false],
    [["projects"], false],
  ])("the launcher on a fresh checkout of %j makes the Python environment: %s", async (args, isMade) => {
    await rm(join(home, ".venv"), { recursive: true, force: true });
    const { status, text } = await launched(args);
    expect(text).toMatch(/started: .*cli\/main\.ts/);
    expect(text.includes(made)).toBe(isMade);
    expect(status).toBe(0);
  });

  it("the launcher says in one line that files of another user cannot be replaced", async () => {
    const refusing = join(home, "refusing");
    await mkdir(refusing);
    await symlink(join(stubs, "python3"), join(refusing, "python3"));
    // The message of rm for each file of an environment that belongs to another user.
    await executable(
      join(refusing, "rm"),
      'case "$*" in *.venv*) for n in 1 2 3; do echo "rm: cannot remove $n" >&2; done; exit 1;; esac; exec /bin/rm "$@"',
    );
    await rm(join(home, ".venv"), { recursive: true, force: true });
    await mkdir(join(home, ".venv"));
    const { status, text } = await launched(["up"], refusing);
    expect(text).toMatch(/^airlock: \S+\.venv cannot be replaced by this user \(it belongs to \w+\); .*\n$/);
    expect(status).toBe(1);
  });
});
