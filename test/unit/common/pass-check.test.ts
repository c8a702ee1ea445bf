import { beforeEach, describe, expect, it } from "vitest";
import { AirlockError } from "#common/errors.ts";
import { signPass } from "#common/grpc/pass.ts";
import { createPassCheck, type PassCheck } from "#common/grpc/pass-check.ts";
import type { PassKey } from "#proto/authority.ts";
import { makePassKey } from "../../harness/passes.ts";
import { principal } from "../../harness/principals.ts";
import { createFakeClock, type FakeClock } from "../../support/fake-clock.ts";

const START_MS = 1_796_000_000_000;
const LIFE_MS = 300_000;
const SKEW_MS = 30_000;
const BOT = principal("key:bot", "developer", {
  kind: "agent",
  maker: "key:ops",
  within: ["operator"],
  projects: ["demo"],
});
const USE = { audience: "router", presenter: "gateway" } as const;

let clock: FakeClock;
let key: Awaited<ReturnType<typeof makePassKey>>;
let listed: () => Promise<PassKey[]>;
let asked: number;
let passes: PassCheck;

const publicOf = ({ id, publicKey }: typeof key): PassKey => ({ keyId: id, publicKey });

beforeEach(async () => {
  clock = createFakeClock(START_MS);
  key = await makePassKey();
  listed = async () => [publicOf(key)];
  asked = 0;
  passes = createPassCheck(
    "router",
    () => {
      asked++;
      return listed();
    },
    clock,
  );
});

const away = () => Promise.reject(new AirlockError("unavailable", "The authority is away."));

describe("the check of passes", () => {
  it("the check of passes finds the whole principal, and answers at once when it knows the pass", async () => {
    const pass = await signPass(BOT, USE, key, START_MS);
    expect(await passes.check(pass, "gateway")).toEqual({
      principal: BOT,
      presenter: "gateway",
      expiresAtMs: START_MS + LIFE_MS,
    });
    expect(passes.check(pass, "gateway")).toMatchObject({ principal: BOT });
    expect(() => passes.check(pass, "router")).toThrow("not for the router to present");
    expect(asked).toBe(1);
  });

  it.each([-SKEW_MS, 0, SKEW_MS])(
    "the check of passes takes a new pass, and no old one, of an authority whose clock differs by %i ms",
    async (skewMs) => {
      const pass = await signPass(BOT, USE, key, START_MS + skewMs);
      await expect(passes.check(pass, "gateway")).resolves.toMatchObject({ principal: BOT });
      await clock.advance(LIFE_MS + skewMs + SKEW_MS);
      // The remembered pass, and the same pass at a service that has not seen it before.
      for (const check of [passes, createPassCheck("router", listed, clock)])
        await expect((async () => check.check(pass, "gateway"))()).rejects.toMatchObject({
          code: "unavailable",
          message: expect.stringContaining("has expired"),
        });
    },
  );

  it.each([
    ["a minute in the future", 60_000],
    ["an hour in the future", 3_600_000],
  ])("the check of passes refuses a pass from %s", async (_, aheadMs) => {
    const pass = await signPass(BOT, USE, key, START_MS + aheadMs);
    await expect(passes.check(pass, "gateway")).rejects.toMatchObject({ code: "permission_denied" });
  });

  it("the check of passes learns a new key when it meets one, and forgets a key that is gone", async () => {
    await passes.check(await signPass(BOT, USE, key, START_MS), "gateway");
    const old = key;
    key = await makePassKey();
    await clock.advance(1_000);
    await passes.check(await signPass(BOT, USE, key, clock.now()), "gateway");
    expect(asked).toBe(2);
    const late = signPass(BOT, USE, old, clock.now()).then((pass) => passes.check(pass, "gateway"));
    const refused = expect(late).rejects.toMatchObject({
      code: "permission_denied",
      message: expect.stringContaining("a key that the authority does not have"),
    });
    await clock.advance(1_000);
    await refused;
  });

  it("the check of passes asks for the keys once a second at most, whatever keys passes name", async () => {
    const first = passes.check(await signPass(BOT, USE, key, START_MS), "gateway");
    const strangers = [];
    for (let n = 0; n < 20; n++) strangers.push(await signPass(BOT, USE, await makePassKey(), START_MS));
    const refused = Promise.allSettled(strangers.map((pass) => passes.check(pass, "gateway")));
    await first;
    await clock.advance(3_000);
    expect((await refused).map(({ status }) => status)).toEqual(strangers.map(() => "rejected"));
    expect(asked).toBeLessThanOrEqual(3);
  });

  it("the check of passes goes on with the keys that it has while the authority is away, for new passes too", async () => {
    await passes.check(await signPass(BOT, USE, key, START_MS), "gateway");
    listed = away;
    await clock.advance(3_600_000);
    const later = await signPass(BOT, USE, key, clock.now());
    await expect(passes.check(later, "gateway")).resolves.toMatchObject({ principal: BOT });
  });

  it("the check of passes without any key says that the authority is away, and takes the pass when it is back", async () => {
    const good = listed;
    listed = away;
    const pass = await signPass(BOT, USE, key, START_MS);
    await expect(passes.check(pass, "gateway")).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("authority does not answer"),
    });
    listed = good;
    const again = passes.check(pass, "gateway");
    await clock.advance(1_000);
    await expect(again).resolves.toMatchObject({ principal: BOT });
  });
});
