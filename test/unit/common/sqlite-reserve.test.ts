import { existsSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openReserve, type Reserve } from "#common/database/sqlite/reserve.ts";

const MIB = 1024 * 1024;
const full = () => Object.assign(new Error("database or disk is full"), { errcode: 13 });

let directory: string;
let path: string;
let reserve: Reserve;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-reserve-"));
  path = join(directory, "reserve");
  reserve = openReserve(path);
});
afterEach(async () => {
  reserve.close();
  await rm(directory, { recursive: true });
});

/** A statement that succeeds once so many MB have been given back. */
function needing(mb: number): () => string {
  const before = reserve.bytes;
  return () => {
    if (before - reserve.bytes < mb * MIB) throw full();
    return "recorded";
  };
}

it("the disk reserve of SQLite takes no space before it is filled", () => {
  expect(existsSync(path)).toBe(false);
  expect(reserve.use(() => "recorded")).toBe("recorded");
  expect(() =>
    reserve.use(() => {
      throw full();
    }),
  ).toThrow(expect.objectContaining({ code: "unavailable" }));
});

it("the disk reserve of SQLite gives back as much space as a statement needs, and takes it again", async () => {
  await Promise.all([reserve.refill(), reserve.refill()]);
  expect(statSync(path).blocks * 512).toBeGreaterThanOrEqual(32 * MIB);
  expect(reserve.use(needing(3))).toBe("recorded");
  expect(statSync(path).size).toBe(29 * MIB);
  await reserve.refill();
  expect(statSync(path).size).toBe(32 * MIB);
});

it("the disk reserve of SQLite reports a full disk when nothing is left, and passes other failures on", async () => {
  await reserve.refill();
  expect(() => reserve.use(needing(40))).toThrow(expect.objectContaining({ code: "unavailable" }));
  expect(reserve.bytes).toBe(0);
  const other = new Error("locked");
  expect(() =>
    reserve.use(() => {
      throw other;
    }),
  ).toThrow(other);
});

it("the disk reserve of SQLite is taken over from an earlier process", async () => {
  await reserve.refill();
  reserve.close();
  reserve = openReserve(path);
  expect(reserve.bytes).toBe(32 * MIB);
});
