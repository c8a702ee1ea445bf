import { beforeEach, describe, expect, it } from "vitest";
import { AirlockError } from "../../../services/common/errors.ts";
import type { NeedleSet } from "../../../services/common/redaction/needle-set.ts";
import { Secret } from "../../../services/common/secret.ts";
import { createNeedleCache, type NeedleCache } from "../../../services/sanitizer/needle-cache.ts";

const never = new AbortController().signal;
const HOUR_MS = 3_600_000;

let current: { version: string; values: string[]; retiredVersions?: string[] } | undefined;
let asked: number;
let nowMs: number;
let cache: NeedleCache;

beforeEach(() => {
  current = { version: "v1", values: ["value-one"] };
  asked = 0;
  nowMs = 0;
  cache = createNeedleCache(
    async () => {
      asked++;
      if (!current) throw new AirlockError("unavailable", "The secrets service cannot be reached.");
      const { version, values, retiredVersions = [] } = current;
      return { version, secrets: values.map((value) => new Secret("KEY", value)), retiredVersions };
    },
    { now: () => nowMs, after: () => () => undefined },
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
  it("asks once for a version", async () => {
    expect(texts(await cache.needlesFor("p", "v1", never))).toEqual(["value-one"]);
    await cache.needlesFor("p", "v1", never);
    expect(asked).toBe(1);
  });

  it("keeps the needles of every version that it has seen", async () => {
    await cache.needlesFor("p", "v1", never);
    current = { version: "v2", values: ["value-two"] };
    expect(texts(await cache.needlesFor("p", "v2", never))).toEqual(["value-one", "value-two"]);
    expect(texts(await cache.needlesFor("p", "v1", never))).toEqual(["value-one", "value-two"]);
    expect(asked).toBe(2);
  });

  it("withholds when the run was given values that it never saw", async () => {
    current = { version: "v2", values: ["value-two"] };
    await expect(cache.needlesFor("p", "v1", never)).rejects.toMatchObject({
      code: "output_withheld",
      message: expect.stringContaining("could not be checked"),
    });
  });

  it("withholds when secrets cannot be reached, unless it knows the version", async () => {
    await cache.needlesFor("p", "v1", never);
    current = undefined;
    await expect(cache.needlesFor("p", "v2", never)).rejects.toMatchObject({ code: "output_withheld" });
    await expect(cache.needlesFor("other", "v1", never)).rejects.toMatchObject({ code: "output_withheld" });
    expect(texts(await cache.needlesFor("p", "v1", never))).toEqual(["value-one"]);
  });

  it("does not mix the secrets of projects", async () => {
    await cache.needlesFor("p", "v1", never);
    current = { version: "v1", values: ["value-two"] };
    expect(texts(await cache.needlesFor("q", "v1", never))).toEqual(["value-two"]);
  });

  it("forgets a version a day after its last use", async () => {
    await cache.needlesFor("p", "v1", never);
    nowMs = 20 * HOUR_MS;
    await cache.needlesFor("p", "v1", never);
    current = { version: "v2", values: ["value-two"] };
    nowMs = 43 * HOUR_MS;
    expect(texts(await cache.needlesFor("p", "v2", never))).toEqual(["value-one", "value-two"]);
    current = { version: "v3", values: ["value-three"] };
    nowMs = 50 * HOUR_MS;
    expect(texts(await cache.needlesFor("p", "v3", never))).toEqual(["value-three", "value-two"]);
    await expect(cache.needlesFor("p", "v1", never)).rejects.toMatchObject({ code: "output_withheld" });
  });

  it("learns values retired in the meantime when a version comes back", async () => {
    await cache.needlesFor("p", "v1", never);
    current = { version: "v1", values: ["value-one", "value-two"] };
    await expect(cache.needlesFor("p", "v2", never)).rejects.toMatchObject({ code: "output_withheld" });
    expect(texts(await cache.needlesFor("p", "v1", never))).toEqual(["value-one", "value-two"]);
  });

  it("withholds when a project's secrets are too large to be looked for", async () => {
    const large = Array.from({ length: 20 }, (_, index) => `value-${index}-${"x".repeat(60_000)}`);
    current = { version: "v1", values: large };
    await expect(cache.needlesFor("p", "v1", never)).rejects.toMatchObject({ code: "output_withheld" });
  });

  it("gives 50 runs that start at once the same compiled needles", async () => {
    const sets = await Promise.all(Array.from({ length: 50 }, () => cache.needlesFor("p", "v1", never)));
    expect(new Set(sets).size).toBe(1);
  });

  it("covers a version that was rotated before it was first asked for", async () => {
    current = { version: "v2", values: ["value-two", "value-one"], retiredVersions: ["v0", "v1"] };
    expect(texts(await cache.needlesFor("p", "v1", never))).toEqual(["value-one", "value-two"]);
    await expect(cache.needlesFor("p", "v3", never)).rejects.toMatchObject({ code: "output_withheld" });
  });
});

describe("a run that goes on", () => {
  it("learns what was rotated, at most once a second for all runs of a project", async () => {
    await cache.needlesFor("p", "v1", never);
    current = { version: "v2", values: ["value-two", "value-one"] };
    nowMs = 1_000;
    const sets = await Promise.all(Array.from({ length: 9 }, () => cache.confirm("p", "v1")));
    expect(sets.map(texts)).toEqual(Array.from({ length: 9 }, () => ["value-one", "value-two"]));
    expect(asked).toBe(2);
    nowMs = 2_000;
    await cache.confirm("p", "v1");
    expect(asked).toBe(3);
  });

  it("keeps its needles while the values cannot be had, since nobody is given newer ones", async () => {
    await cache.needlesFor("p", "v1", never);
    current = undefined;
    nowMs = 1_000;
    expect(texts(await cache.confirm("p", "v1"))).toEqual(["value-one"]);
  });

  it("withholds when nobody answers", async () => {
    const unreachable = new AirlockError("unavailable", "It cannot be reached.", {
      cause: new Error("refused"),
    });
    let answers = true;
    const own = createNeedleCache(
      async () => {
        if (!answers) throw unreachable;
        return { version: "v1", secrets: [new Secret("KEY", "value-one")], retiredVersions: [] };
      },
      {
        now: () => nowMs,
        after: (delayMs, run) => {
          nowMs += delayMs;
          setImmediate(run);
          return () => undefined;
        },
      },
    );
    await own.needlesFor("p", "v1", never);
    answers = false;
    await expect(own.confirm("p", "v1")).rejects.toMatchObject({ code: "output_withheld" });
    answers = true;
    expect(texts(await own.confirm("p", "v1"))).toEqual(["value-one"]);
  });

  it("is not forgotten however long it pauses, until it lets go", async () => {
    await cache.needlesFor("p", "v1", never);
    const letGo = cache.hold("p", "v1");
    current = { version: "v2", values: ["value-two"] };
    nowMs = 40 * HOUR_MS;
    expect(texts(await cache.confirm("p", "v1"))).toEqual(["value-one", "value-two"]);
    letGo();
    current = { version: "v3", values: ["value-three"] };
    nowMs = 80 * HOUR_MS;
    await cache.needlesFor("p", "v3", never);
    await expect(cache.needlesFor("p", "v1", never)).rejects.toMatchObject({ code: "output_withheld" });
  });
});
