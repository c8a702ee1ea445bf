import { describe, expect, it } from "vitest";
import { type AskingRun, createLookUp, LOOKUP_LIMITS } from "../../../services/egress/names/lookups.ts";
import { createFakeClock, settle } from "../../support/fake-clock.ts";

const { signal: untilTheEnd } = new AbortController();

/** Lookups that end when they are told to; `asked` has the names that were begun, in order. */
function setUp() {
  const clock = createFakeClock();
  const asked: string[] = [];
  const open = new Map<string, PromiseWithResolvers<readonly string[]>>();
  const lookUp = createLookUp(async (host, signal) => {
    asked.push(host);
    const answer = Promise.withResolvers<readonly string[]>();
    open.set(host, answer);
    signal.addEventListener("abort", () => open.delete(host));
    return await answer.promise;
  }, clock);
  const runOf = (project: string) => {
    const ended = new AbortController();
    const run: AskingRun = { project, over: ended.signal };
    return { run, end: () => ended.abort(Object.assign(new Error("over"), { code: "ECANCELED" })) };
  };
  const ask = (run: AskingRun, host: string, signal = untilTheEnd) => {
    const answer = lookUp(run, host, signal);
    answer.catch(() => undefined);
    return answer;
  };
  const flood = (run: AskingRun, name: string, count: number) =>
    Array.from({ length: count }, (_, at) => ask(run, `${name}${at}`));
  return { clock, asked, open, runOf, ask, flood };
}

describe("lookups", () => {
  it("DNS lookups of one run go on a few at a time", async () => {
    const { asked, open, runOf, flood } = setUp();
    const answers = flood(runOf("red").run, "a", 100);
    await settle();
    expect(asked).toHaveLength(LOOKUP_LIMITS.perRun);
    open.get("a3")?.resolve(["192.0.2.3"]);
    expect(await answers[3]).toEqual(["192.0.2.3"]);
    await settle();
    expect(asked.slice(LOOKUP_LIMITS.perRun)).toEqual(["a8"]);
  });

  it("DNS lookups of many runs of one project leave other projects their share", async () => {
    const { asked, runOf, flood, ask } = setUp();
    for (const name of ["a", "b", "c", "d"]) flood(runOf("red").run, name, 100);
    await settle();
    expect(asked).toHaveLength(LOOKUP_LIMITS.perProject);
    void ask(runOf("quiet").run, "quiet.example");
    await settle();
    expect(asked.at(-1)).toBe("quiet.example");
  });

  it("DNS lookups of many projects take turns when the limit is reached", async () => {
    const { asked, open, runOf, flood, ask } = setUp();
    for (let project = 0; project < 20; project++) {
      flood(runOf(`red${project}`).run, `a${project}-`, 50);
      flood(runOf(`red${project}`).run, `b${project}-`, 50);
    }
    await settle();
    expect(asked).toHaveLength(LOOKUP_LIMITS.total);
    void ask(runOf("quiet").run, "quiet.example");
    let ended = 0;
    while (!asked.includes("quiet.example")) {
      const host = [...open.keys()][0] as string;
      open.get(host)?.reject(new Error("no answer"));
      open.delete(host);
      ended++;
      await settle();
    }
    expect(ended).toBeLessThanOrEqual(21);
  });

  it("DNS lookups end with their run, at once", async () => {
    const { asked, open, clock, runOf, flood } = setUp();
    const { run, end } = runOf("red");
    const answers = flood(run, "a", 100);
    await settle();
    end();
    for (const answer of answers) await expect(answer).rejects.toMatchObject({ code: "ECANCELED" });
    expect([asked.length, open.size, clock.waiting()]).toEqual([LOOKUP_LIMITS.perRun, 0, 0]);
    await expect(flood(run, "later", 1)[0]).rejects.toMatchObject({ code: "ECANCELED" });
    expect(asked).toHaveLength(LOOKUP_LIMITS.perRun);
  });

  it("DNS lookups are given up when the last connection that waits for them is", async () => {
    const { asked, open, runOf, ask } = setUp();
    const { run } = runOf("red");
    const [first, second] = [new AbortController(), new AbortController()];
    const answers = [ask(run, "slow.example", first.signal), ask(run, "slow.example", second.signal)];
    await settle();
    first.abort(new Error("gone"));
    await expect(answers[0]).rejects.toThrow("gone");
    expect(open.size).toBe(1);
    second.abort(new Error("gone too"));
    await expect(answers[1]).rejects.toThrow("gone too");
    expect([asked, open.size]).toEqual([["slow.example"], 0]);
  });

  it("DNS lookups have a time limit in the queue and another for the answer", async () => {
    const { clock, runOf, flood } = setUp();
    const [first, ...others] = flood(runOf("red").run, "a", 9);
    await clock.advance(10_000);
    await expect(first).rejects.toMatchObject({ code: "ETIMEDOUT" });
    await expect(others.at(-1)).rejects.toMatchObject({ name: "WaitedTooLong" });
    expect(clock.waiting()).toBe(0);
  });
});

describe("an answer", () => {
  it("an answer to a DNS lookup is used again by the same run for five seconds, and by no other run", async () => {
    const { asked, open, clock, runOf, ask } = setUp();
    const { run } = runOf("red");
    const first = ask(run, "erp.example");
    await settle();
    open.get("erp.example")?.resolve(["192.0.2.1"]);
    await first;
    await clock.advance(4_999);
    expect(await ask(run, "erp.example")).toEqual(["192.0.2.1"]);
    expect(asked).toHaveLength(1);
    void ask(runOf("red").run, "erp.example");
    await settle();
    expect(asked).toHaveLength(2);
    await clock.advance(1);
    void ask(run, "erp.example");
    await settle();
    expect(asked).toHaveLength(3);
  });

  it("a DNS answer that a name does not exist is used again for a second, and a missing answer not at all", async () => {
    const { asked, open, clock, runOf, ask } = setUp();
    const { run } = runOf("red");
    const missing = ask(run, "nobody.example");
    const broken = ask(run, "broken.example");
    await settle();
    open.get("nobody.example")?.reject(Object.assign(new Error("no"), { code: "ENOTFOUND" }));
    open.get("broken.example")?.reject(Object.assign(new Error("no"), { code: "ESERVFAIL" }));
    await expect(missing).rejects.toMatchObject({ code: "ENOTFOUND" });
    await expect(broken).rejects.toMatchObject({ code: "ESERVFAIL" });
    await expect(ask(run, "nobody.example")).rejects.toMatchObject({ code: "ENOTFOUND" });
    void ask(run, "broken.example");
    await settle();
    expect(asked).toEqual(["nobody.example", "broken.example", "broken.example"]);
    await clock.advance(1_000);
    void ask(run, "nobody.example");
    await settle();
    expect(asked.at(-1)).toBe("nobody.example");
  });

  it("answers to DNS lookups are kept for a bounded number of names", async () => {
    const { asked, open, runOf, ask } = setUp();
    const { run } = runOf("red");
    for (let at = 0; at < 300; at++) {
      const answer = ask(run, `a${at}`);
      await settle();
      open.get(`a${at}`)?.resolve(["192.0.2.1"]);
      await answer;
    }
    await ask(run, "a299");
    expect(asked).toHaveLength(300);
    void ask(run, "a0");
    await settle();
    expect(asked).toHaveLength(301);
  });
});
