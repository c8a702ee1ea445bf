import { execFileSync } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, type TestContext } from "vitest";
import { type Ending, failure, NO_OUTPUT } from "../../../services/router/execution.ts";
import { readWhole } from "../../../services/router/store/reading.ts";
import { openSqliteStore } from "../../../services/router/store/sqlite/store.ts";
import type { ExecutionStore, Reading } from "../../../services/router/store/store.ts";
import { GRANT } from "../../support/grant.ts";
import { rootMissing } from "../../support/root-missing.ts";

const MIB = 1024 * 1024;

type Disk = {
  readonly store: ExecutionStore;
  crash(): Promise<void>;
  reopen(): Promise<ExecutionStore>;
  fill(bytes: number): Promise<void>;
  fillAll(): Promise<void>;
  empty(): Promise<void>;
  /** The executions that have texts beside their rows. */
  textsOf(): string[];
};

/** Gives `work` a store on a disk of its own. */
async function onDisk(mib: number, context: TestContext, work: (disk: Disk) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "airlock-full-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${mib}m`, "tmpfs", directory], { stdio: "ignore" });
  } catch {
    context.skip("this user may mount nothing here");
  }
  const path = join(directory, "airlock.db");
  let store = openSqliteStore(path, "router");
  const files: string[] = [];
  const fill = async (bytes: number) => {
    files.push(join(directory, `fill${files.length}`));
    await writeFile(files.at(-1) as string, Buffer.alloc(bytes));
  };
  const disk: Disk = {
    store,
    // A copy as a killed process leaves it, with a write-ahead log that is not in the file.
    crash: async () => {
      const names = ["airlock.db", "airlock.db-wal", "airlock.db-shm", "airlock.db-reserve"];
      await mkdir(join(directory, "killed"));
      for (const name of names) await copyFile(join(directory, name), join(directory, "killed", name));
      await store.close();
      for (const name of names) await rename(join(directory, "killed", name), join(directory, name));
    },
    reopen: async () => {
      await store.close().catch(() => undefined);
      store = openSqliteStore(path, "router");
      return store;
    },
    fill,
    fillAll: () => fill(mib * MIB).catch(() => undefined),
    empty: async () => {
      await Promise.all(files.splice(0).map((file) => rm(file)));
    },
    textsOf() {
      const db = new DatabaseSync(path, { readOnly: true });
      const rows = db.prepare("SELECT DISTINCT execution_id, field FROM long_texts ORDER BY 1, 2").all();
      db.close();
      return rows.map((row) => Object.values(row).join(" "));
    },
  };
  try {
    await work(disk);
  } finally {
    // A store that could not be opened again is closed already.
    await store.close().catch(() => undefined);
    execFileSync("umount", ["--lazy", directory]);
    await rm(directory, { recursive: true });
  }
}

const submission = (executionId: string, characters: number) => ({
  ...{ executionId, project: "demo", code: "1", timeoutMs: 1, settings: {}, createdAtMs: 1 },
  memoryJson: `"${"x".repeat(characters)}"`,
});
const completed = (characters: number): Ending => ({
  ...failure("cancelled", ""),
  ...{ reason: "completed" as const, error: null, resultJson: `"${"x".repeat(characters)}"` },
});

const missing = rootMissing();

describe.skipIf(missing)(`a disk that is full${missing ? ` (${missing})` : ""}`, () => {
  it("a full disk refuses a submission that does not fit as unavailable, and keeps nothing of it", async (context) => {
    await onDisk(8, context, async ({ store, fill, fillAll, empty, textsOf }) => {
      await fill(6 * MIB);
      const long = store.insert(submission("long", 4 * MIB));
      await expect(long).rejects.toMatchObject({ code: "unavailable" });
      await fillAll();
      let refused: unknown;
      for (let n = 0; refused === undefined && n < 1_000; n++) {
        await store.insert(submission(`short-${n}`, 60_000)).catch((error: unknown) => {
          refused = error;
        });
      }
      expect(refused).toMatchObject({ code: "unavailable" });
      await empty();
      expect(textsOf()).toEqual([]);
    });
  });

  it("a full disk keeps nothing of the result of an ending that was recorded without it", async (context) => {
    await onDisk(8, context, async ({ store, fill, empty, textsOf }) => {
      await store.insert(submission("ended", 100_000));
      await store.insert(submission("small", 1));
      for (const id of ["ended", "small"]) await store.start(id, 1, GRANT);
      await fill(5 * MIB);
      for (const id of ["ended", "small"]) {
        await expect(store.finish(id, completed(6 * MIB), NO_OUTPUT, 2)).rejects.toThrow();
        expect(textsOf()).toEqual(["ended code", "ended memory", "ended settings"]);
        expect(await store.finish(id, failure("output_withheld", "no room"), NO_OUTPUT, 2)).toBe(true);
      }
      await empty();
      for (const id of ["ended", "small"]) {
        const reading = await store.read(id);
        expect(await readWhole(reading as Reading)).toMatchObject({
          state: { ending: { resultJson: "null" } },
        });
      }
      expect(await store.deleteEndedBefore(3, 10)).toBe(2);
      expect(textsOf()).toEqual([]);
    });
  });

  it("a full disk lets a router start again and go on with unfinished executions, as long as there is a reserve", async (context) => {
    await onDisk(340, context, async ({ store, reopen, fill, fillAll, crash }) => {
      for (const id of ["one", "two"]) {
        await store.insert(submission(id, 100_000));
        await store.start(id, 1, GRANT);
      }
      // The reserve is held where there is little room.
      await store.capacity();
      await fill(150 * MIB);
      await crash();
      await fillAll();
      const again = await reopen();
      expect((await again.claimOrphaned(10)).map(({ executionId }) => executionId)).toEqual(["one", "two"]);
      expect(await again.finish("one", failure("worker_lost", "gone"), NO_OUTPUT, 2)).toBe(true);
    });
  });

  it("a full disk has less space than none, by what other programs took of the space that is kept free", async (context) => {
    await onDisk(400, context, async ({ store, fill, empty }) => {
      const before = await store.capacity();
      await fill(before.bytes + 100 * MIB);
      const { bytes, freeBytes, keptFreeBytes } = await store.capacity();
      expect(Math.round(bytes / MIB)).toBe(-100);
      expect(keptFreeBytes - freeBytes).toBeGreaterThan(90 * MIB);
      await empty();
      expect((await store.capacity()).bytes).toBeGreaterThan(0);
    });
  });

  it("the space of a full disk includes all pages of the file, also those of submission keys", async (context) => {
    await onDisk(400, context, async ({ store, reopen }) => {
      const before = await store.capacity();
      for (let n = 0; n < 3_000; n++) {
        const idempotency = { key: String(n).padStart(250, "k"), fingerprint: "f".repeat(64) };
        await store.insert(submission(`e-${n}`, 1), { idempotency });
        await store.forceFinish(`e-${n}`, failure("cancelled", ""), 1);
      }
      for (let left = 3_000; left > 0; left -= 500) await store.deleteEndedBefore(2, 500);
      const again = await reopen();
      expect(await again.countStoredBytes()).toEqual([]);
      const { bytes } = await again.capacity();
      expect(before.bytes - bytes).toBeGreaterThan(3_000 * 2 * 250);
      // The file keeps its size; its free pages are room again.
      expect(await again.deleteIdempotencyKeysBefore(2, 10_000)).toBe(3_000);
      expect((await again.capacity()).bytes).toBeGreaterThan(before.bytes - 6 * MIB);
    });
  });
});
