import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { logPathOf, openLogs } from "../../../cli/terminal/log-file.ts";
import { readableLogLine } from "../../../cli/terminal/log-lines.ts";
import { rootMissing } from "../../support/root-missing.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

it.skipIf(rootMissing())(
  `a log that a full disk interrupted is written again when the disk has space, and reports the gap once${rootMissing() ? ` (${rootMissing()})` : ""}`,
  async (context) => {
    const disk = await mkdtemp(join(tmpdir(), "airlock-log-"));
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], { stdio: "ignore" });
    } catch {
      context.skip("this user may mount nothing here");
    }
    let said = "";
    vi.spyOn(process.stderr, "write").mockImplementation((text) => {
      said += text;
      return true;
    });
    const messages = async () => {
      const lines = (await readFile(logPathOf(disk), "utf8")).split("\n");
      const filter = { minLevel: 0, executionId: undefined, project: undefined };
      return lines.flatMap((line) => readableLogLine(line, filter)?.match(/line \d+/)?.[0] ?? []);
    };
    try {
      const log = openLogs(disk, "info", 50)("router");
      let lines = 0;
      const write = () => log.info(`line ${++lines}`);
      const writeUntil = async (isReached: () => unknown) => {
        await expect
          .poll(() => {
            write();
            return isReached();
          })
          .toBeTruthy();
      };
      write();
      await expect.poll(messages).toEqual(["line 1"]);
      for (const repetition of [1, 2]) {
        await writeFile(join(disk, "filler"), Buffer.alloc(2 * 1024 * 1024)).catch(() => undefined);
        await writeUntil(() => said.split("cannot be written: no space left on device").length > repetition);
        for (const end = Date.now() + 300; Date.now() < end; ) await writeUntil(() => true);
        await rm(join(disk, "filler"));
        await writeUntil(() => said.split("is written again").length > repetition);
      }
      write();
      await expect.poll(messages).toContain(`line ${lines}`);
      const [, missing] = /is written again; about (\d+) lines are missing/.exec(said) ?? [];
      expect(Number(missing)).toBeGreaterThan(0);
      expect(said.split("\n").length).toBe(5);
      expect((await messages()).length).toBeLessThan(lines);
    } finally {
      vi.restoreAllMocks();
      execFileSync("umount", ["--lazy", disk]);
      await rm(disk, { recursive: true });
    }
  },
);
