import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { saveMemoryFile } from "../../../cli/client/memory-file.ts";

it("saving a memory file leaves no temporary files, and removes those of commands that were killed while writing", async () => {
  const directory = await mkdtemp(join(tmpdir(), "airlock-memory-"));
  try {
    const { pid: dead } = spawnSync("true");
    const write = async (name: string, ageSeconds: number) => {
      await writeFile(join(directory, name), "half");
      const time = Date.now() / 1_000 - ageSeconds;
      await utimes(join(directory, name), time, time);
    };
    const kept = [`m.json.${process.ppid}.new`, `m.json.${dead}.new.txt`, `other.json.${dead}.new`];
    for (const name of [...kept, `m.json.${dead}.new`]) await write(name, 3_600);
    await saveMemoryFile(join(directory, "m.json"), "{}", '{"a": {"b": 1.0}}');
    expect((await readdir(directory)).sort()).toEqual(["m.json", ...kept].sort());
    expect(await readFile(join(directory, "m.json"), "utf8")).toContain('"b": 1.0');
    // A young file may belong to a process of another machine that shares the directory.
    await write(`m.json.${dead}.new`, 1);
    await saveMemoryFile(join(directory, "m.json"), "{}", '{"a": {"b": 2.0}}');
    expect(await readdir(directory)).toContain(`m.json.${dead}.new`);
  } finally {
    await rm(directory, { recursive: true });
  }
});
