import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const MOST_CHARACTERS = 300;

it("a test's title names a long payload and does not contain it", {
  timeout: 180_000,
}, async () => {
  const directory = await mkdtemp(join(tmpdir(), "airlock-titles-"));
  try {
    const list = join(directory, "list.json");
    const vitest = join(ROOT, "node_modules", ".bin", "vitest");
    const collected = ["list", "test/unit/sanitizer", "--staticParse=false", `--json=${list}`];
    await promisify(execFile)(vitest, collected, { cwd: ROOT });
    const tests = JSON.parse(await readFile(list, "utf8")) as { name: string; file: string }[];
    expect(tests.length).toBeGreaterThan(100);
    const long = tests.filter(({ name }) => name.length > MOST_CHARACTERS);
    expect(long.map(({ name, file }) => `${file}: ${name.slice(0, 80)} (${name.length} characters)`)).toEqual(
      [],
    );
  } finally {
    await rm(directory, { recursive: true });
  }
});
