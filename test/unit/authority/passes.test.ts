import { pino } from "pino";
import { beforeEach, describe, expect, it } from "vitest";
import { createPassCheck } from "#common/grpc/pass-check.ts";
import { createPasses, type Passes } from "../../../services/authority/passes/passes.ts";
import type { StoredPassKey } from "../../../services/authority/store/pass-key-store.ts";
import { principal } from "../../harness/principals.ts";
import { createFakeClock, type FakeClock } from "../../support/fake-clock.ts";

const HOUR_MS = 3_600_000;
const BOT = principal("key:bot", "developer");
const USE = { audience: "router", presenter: "gateway" } as const;

let clock: FakeClock;
let stored: StoredPassKey[];
let logged: string;
let isFull: boolean;

/** An authority; all of a test share one table of keys. */
function authority(): Passes {
  const write = (line: string) => {
    logged += line;
  };
  const store = {
    async addPassKey(key: StoredPassKey, forgetBeforeMs: number) {
      if (isFull) throw new Error("the disk is full");
      stored = [...stored.filter(({ madeAtMs }) => madeAtMs >= forgetBeforeMs), key];
    },
    listPassKeys: async () => stored,
  };
  return createPasses(store, clock, pino({ level: "trace" }, { write }));
}

beforeEach(() => {
  clock = createFakeClock(1_796_000_000_000);
  stored = [];
  logged = "";
  isFull = false;
});

describe("the passes of an authority", () => {
  it("a pass of either of two authorities is good at a service that asks one of them for the keys", async () => {
    const [one, other] = [authority(), authority()];
    const texts = [await one.issue(BOT, USE), await other.issue(BOT, USE)];
    const check = createPassCheck("router", one.keys, clock);
    for (const text of texts) expect(await check.check(text, "gateway")).toMatchObject({ principal: BOT });
    expect(stored).toHaveLength(2);
  });

  it("the same pass is given again for ten seconds, and to no other principal, service or presenter", async () => {
    const passes = authority();
    const first = await passes.issue(BOT, USE);
    await clock.advance(9_999);
    expect(await passes.issue(BOT, USE)).toBe(first);
    const others = [
      await passes.issue(principal("key:bot", "admin"), USE),
      await passes.issue(BOT, { ...USE, audience: "pool-manager" }),
      await passes.issue(BOT, { ...USE, presenter: "router" }),
    ];
    await clock.advance(1);
    others.push(await passes.issue(BOT, USE));
    expect(new Set([first, ...others]).size).toBe(5);
  });

  it("a key that signs passes is replaced each day, and its public half stays until its passes have ended", async () => {
    const passes = authority();
    const check = createPassCheck("router", passes.keys, clock);
    const old = await passes.issue(BOT, USE);
    await clock.advance(24 * HOUR_MS - 1_000);
    const last = await passes.issue(BOT, USE);
    await clock.advance(10_000);
    const next = await passes.issue(BOT, USE);
    expect(stored).toHaveLength(2);
    for (const text of [last, next])
      expect(await check.check(text, "gateway")).toMatchObject({ principal: BOT });
    await clock.advance(24 * HOUR_MS);
    await passes.issue(BOT, USE);
    expect(stored.map(({ madeAtMs }) => clock.now() - madeAtMs)).toEqual([24 * HOUR_MS, 0]);
    await expect((async () => check.check(old, "gateway"))()).rejects.toMatchObject({
      code: "unavailable",
    });
  });

  it("a pass is not signed with a key that could not be stored, and the next one tries again", async () => {
    const passes = authority();
    isFull = true;
    await expect(passes.issue(BOT, USE)).rejects.toThrow("the disk is full");
    isFull = false;
    expect(await passes.issue(BOT, USE)).toMatch(/^ey/);
    expect(stored).toHaveLength(1);
  });

  it("no pass and no private key is logged", async () => {
    const text = await authority().issue(BOT, USE);
    expect(logged).toContain("passes are signed with a new key");
    for (const part of text.split(".")) expect(logged).not.toContain(part);
    expect(logged).not.toContain('"d"');
  });
});
