import { beforeEach, describe, expect, it } from "vitest";
import { AirlockError } from "#common/errors.ts";
import type { NeedleSet } from "#common/redaction/needles/needle-set.ts";
import { Secret } from "#common/secret.ts";
import { createNeedleCache, type NeedleCache } from "../../../services/sanitizer/needle-cache.ts";

const never = new AbortController().signal;
const HOUR_MS = 3_600_000;

/** The values that the secrets service knows, by version; undefined means that it answers with an error. */
let known: Record<string, string[]> | undefined;
let asked: number;
let nowMs: number;
let cache: NeedleCache;

beforeEach(() => {
  known = { v1: ["value-one"] };
  asked = 0;
  nowMs = 0;
  cache = createNeedleCache(
    async (_project, version) => {
      asked++;
      const values = known?.[version];
      if (!values)
        throw new AirlockError("output_withheld", "These values are not known.", { origin: "peer" });
      return { version, secrets: values.map((value) => new Secret("KEY", value)) };
    },
    { now: () => nowMs, monotonicMs: () => nowMs, after: () => () => undefined },
  );
});

/** The values among the needles, without their encodings. */
function texts(set: NeedleSet): string[] {
  return set.needles
    .map(({ bytes }) => Buffer.from(bytes).toString())
    .filter((text) => text.startsWith("value-"))
    .sort();
}

describe("the needle cache", () => {
  it("the needle cache asks the secrets service once for a version", async () => {
    expect(texts(await cache.needlesFor("p", "v1", never))).toEqual(["value-one"]);
    await cache.needlesFor("p", "v1", never);
    expect(asked).toBe(1);
  });

  it("the needle cache gives each version the needles of its own values, and of no other version's", async () => {
    known = { v1: ["value-one", "value-same"], v2: ["value-two", "value-same"] };
    for (let turn = 0; turn < 2; turn++) {
      expect(texts(await cache.needlesFor("p", "v1", never))).toEqual(["value-one", "value-same"]);
      expect(texts(await cache.needlesFor("p", "v2", never))).toEqual(["value-same", "value-two"]);
    }
    expect(asked).toBe(2);
  });

  it("the needle cache withholds output when the values that the run was given are not known", async () => {
    await expect(cache.needlesFor("p", "v0", never)).rejects.toMatchObject({
      code: "output_withheld",
      message: expect.stringContaining("could not be read from the secrets service"),
    });
  });

  it("the needle cache withholds output when it is given the values of another version", async () => {
    const other = createNeedleCache(
      async () => ({ version: "v2", secrets: [new Secret("KEY", "value-two")] }),
      { now: () => nowMs, monotonicMs: () => nowMs, after: () => () => undefined },
    );
    await expect(other.needlesFor("p", "v1", never)).rejects.toMatchObject({
      code: "output_withheld",
      message: expect.stringContaining("it does not have those that the run was given"),
    });
  });

  it("the needle cache withholds output when the secrets service cannot be reached, unless it knows the version", async () => {
    await cache.needlesFor("p", "v1", never);
    known = undefined;
    await expect(cache.needlesFor("p", "v2", never)).rejects.toMatchObject({ code: "output_withheld" });
    await expect(cache.needlesFor("other", "v1", never)).rejects.toMatchObject({ code: "output_withheld" });
    expect(texts(await cache.needlesFor("p", "v1", never))).toEqual(["value-one"]);
  });

  it("the needle cache waits for a secrets service that does not answer, and withholds output after twelve seconds", async () => {
    let answers = false;
    const unreachable = new AirlockError("unavailable", "It cannot be reached.", {
      origin: "transport",
    });
    const own = createNeedleCache(
      async (_project, version) => {
        if (!answers) throw unreachable;
        return { version, secrets: [new Secret("KEY", "value-one")] };
      },
      {
        now: () => nowMs,
        monotonicMs: () => nowMs,
        after: (delayMs, run) => {
          nowMs += delayMs;
          if (nowMs > 30_000) answers = true;
          setImmediate(run);
          return () => undefined;
        },
      },
    );
    await expect(own.needlesFor("p", "v1", never)).rejects.toMatchObject({ code: "output_withheld" });
    expect(nowMs).toBeGreaterThanOrEqual(12_000);
    nowMs = 25_000;
    expect(texts(await own.needlesFor("p", "v1", never))).toEqual(["value-one"]);
  });

  it("the needle cache does not mix the secrets of projects", async () => {
    await cache.needlesFor("p", "v1", never);
    known = { v1: ["value-two"] };
    expect(texts(await cache.needlesFor("q", "v1", never))).toEqual(["value-two"]);
  });

  it("the needle cache forgets a version a day after its last use", async () => {
    await cache.needlesFor("p", "v1", never);
    nowMs = 20 * HOUR_MS;
    await cache.needlesFor("p", "v1", never);
    known = { v2: ["value-two"] };
    nowMs = 43 * HOUR_MS;
    await cache.needlesFor("p", "v2", never);
    expect(texts(await cache.needlesFor("p", "v1", never))).toEqual(["value-one"]);
    nowMs = 68 * HOUR_MS;
    known = { v2: ["value-two"] };
    await cache.needlesFor("p", "v2", never);
    await expect(cache.needlesFor("p", "v1", never)).rejects.toMatchObject({ code: "output_withheld" });
  });

  it("the needle cache does not forget a version that an open stream holds, until the stream releases it", async () => {
    await cache.needlesFor("p", "v1", never);
    const letGo = cache.hold("p", "v1");
    known = { v2: ["value-two"], v3: ["value-three"] };
    nowMs = 40 * HOUR_MS;
    await cache.needlesFor("p", "v2", never);
    expect(texts(await cache.needlesFor("p", "v1", never))).toEqual(["value-one"]);
    letGo();
    nowMs = 80 * HOUR_MS;
    await cache.needlesFor("p", "v3", never);
    await expect(cache.needlesFor("p", "v1", never)).rejects.toMatchObject({ code: "output_withheld" });
  });

  it("the needle cache keeps few compiled needles of versions that no stream holds, and the values of all", async () => {
    known = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`v${index}`, [`value-${index}`]]));
    const first = await cache.needlesFor("p", "v0", never);
    for (const version of Object.keys(known)) {
      nowMs++;
      await cache.needlesFor("p", version, never);
    }
    expect(asked).toBe(10);
    const again = await cache.needlesFor("p", "v0", never);
    expect(texts(again)).toEqual(["value-0"]);
    expect(again).not.toBe(first);
    expect(asked).toBe(10);
  });

  it("the needle cache withholds output when a project's secrets are too large to be searched for", async () => {
    known = { v1: Array.from({ length: 20 }, (_, index) => `value-${index}-${"x".repeat(60_000)}`) };
    await expect(cache.needlesFor("p", "v1", never)).rejects.toMatchObject({ code: "output_withheld" });
  });

  it("the needle cache gives 50 runs that start at once the same compiled needles", async () => {
    const sets = await Promise.all(Array.from({ length: 50 }, () => cache.needlesFor("p", "v1", never)));
    expect(new Set(sets).size).toBe(1);
  });
});
