import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, it } from "vitest";
import { openSqliteStore } from "../../services/router/store/sqlite/store.ts";

it.skipIf(process.getuid?.() !== 0)(
  "a submission that the disk has no room for is refused as unavailable, and nothing of it stays",
  async (context) => {
    const disk = await mkdtemp(join(tmpdir(), "airlock-full-disk-"));
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], { stdio: "ignore" });
    } catch {
      context.skip("this user may mount nothing here");
    }
    const path = join(disk, "airlock.db");
    const store = openSqliteStore(path, "router");
    try {
      const submission = (executionId: string, characters: number) => ({
        ...{ executionId, project: "demo", code: "1", timeoutMs: 1, settings: {}, createdAtMs: 1 },
        memoryJson: `"${"x".repeat(characters)}"`,
      });
      await writeFile(join(disk, "fill"), Buffer.alloc(6 * 1024 * 1024));
      const long = store.insert(submission("long", 4 * 1024 * 1024));
      await expect(long).rejects.toMatchObject({ code: "unavailable" });
      await writeFile(join(disk, "fill2"), Buffer.alloc(8 * 1024 * 1024)).catch(() => undefined);
      let refused: unknown;
      for (let n = 0; refused === undefined && n < 1_000; n++) {
        await store.insert(submission(`short-${n}`, 60_000)).catch((error: unknown) => {
          refused = error;
        });
      }
      expect(refused).toMatchObject({ code: "unavailable" });
      await Promise.all(["fill", "fill2"].map((name) => rm(join(disk, name))));
      const db = new DatabaseSync(path, { readOnly: true });
      expect(db.prepare("SELECT DISTINCT execution_id FROM long_texts").all()).toEqual([]);
      db.close();
    } finally {
      await store.close();
      execFileSync("umount", [disk]);
      await rm(disk, { recursive: true });
    }
  },
);
