import { pino } from "pino";
import { describe, expect, it } from "vitest";
import type { Count } from "../../../../gateway/backends/authority.ts";
import type { CountStore } from "../../../../gateway/rates/count-store.ts";
import { createCounters } from "../../../../gateway/rates/counters.ts";
import { firstAnswering } from "../../../../gateway/rates/first-answering.ts";
import { createRequestCounts } from "../../../../services/authority/request-counts.ts";
import { createFakeClock, type FakeClock } from "../../../support/fake-clock.ts";

const MINUTE = 60_000;
const KIND = { name: "x", windowMs: MINUTE };

/** The authority's own counters, without a network, that can be taken away. */
function storeOn(
  clock: FakeClock,
  gateway = "a",
  counts = createRequestCounts(clock),
  knowsGateways = false,
) {
  const calls: (readonly Count[])[] = [];
  const state = { isAway: false, isFrozen: false };
  const store: CountStore = {
    name: "authority",
    async add(asked) {
      if (asked.length > 0) calls.push(asked);
      if (state.isAway) throw new Error("away");
      if (state.isFrozen) await new Promise(() => undefined);
      const answers = asked.map(({ own, known, ...count }) =>
        counts.add(gateway, {
          ...count,
          ownRequests: own,
          knownRequests: known.requests,
          knownEndsInMs: known.endsInMs,
        }),
      );
      return { counts: answers, ...(knowsGateways && { gateways: counts.gateways(gateway) }) };
    },
    close: () => undefined,
  };
  return { store, state, calls };
}

function countersOn(clock: FakeClock, stores: readonly CountStore[], maxCounters?: number) {
  return createCounters(firstAnswering(stores, clock, pino({ level: "silent" })), clock, maxCounters);
}

describe("a gateway's counters", () => {
  it("a gateway numbers requests that come at once, and tells the store of them in few calls", async () => {
    const clock = createFakeClock();
    const { store, calls } = storeOn(clock);
    const counters = countersOn(clock, [store]);
    const all = await Promise.all(Array.from({ length: 40 }, () => counters.count(KIND, 1)));
    expect(all.map(({ requests }) => requests)).toEqual(Array.from({ length: 40 }, (_, n) => n + 1));
    expect(calls.length).toBeLessThanOrEqual(2);
  });

  it("a gateway numbers reads at once, and tells the store of them in one call soon after", async () => {
    const clock = createFakeClock();
    const { store, calls } = storeOn(clock);
    const counters = countersOn(clock, [store]);
    for (let n = 1; n <= 500; n++) expect(counters.countSoon(KIND).requests).toBe(n);
    expect(calls).toHaveLength(0);
    await clock.advance(250);
    expect(calls).toHaveLength(1);
    expect(calls[0]).toMatchObject([{ counter: "x", requests: 500, own: 500 }]);
    expect(counters.countSoon(KIND).requests).toBe(501);
  });

  it("a request waits half a second for a store that hangs, and the next ones do not, until it answers again", async () => {
    const clock = createFakeClock();
    const { store, state } = storeOn(clock);
    const counters = countersOn(clock, [store]);
    await counters.count(KIND, 1);
    state.isFrozen = true;
    const waiting = counters.count(KIND, 1);
    await clock.advance(500);
    expect((await waiting).requests).toBe(2);
    expect((await counters.count(KIND, 1)).requests).toBe(3);
    state.isFrozen = false;
    await clock.advance(1_000);
    expect((await counters.count(KIND, 1)).requests).toBe(4);
  });

  it("a store that was away is told of all requests that were counted meanwhile", async () => {
    const clock = createFakeClock();
    const shared = createRequestCounts(clock);
    const [one, two] = [storeOn(clock, "a", shared), storeOn(clock, "b", shared)];
    const [first, second] = [countersOn(clock, [one.store]), countersOn(clock, [two.store])];
    await first.count(KIND, 1);
    one.state.isAway = true;
    for (let n = 0; n < 5; n++) await first.count(KIND, 1);
    one.state.isAway = false;
    await clock.advance(1_000);
    expect((await first.count(KIND, 1)).requests).toBe(7);
    expect((await second.count(KIND, 1)).requests).toBe(8);
  });

  it("a gateway that is the only one waits for the store once a minute, until there is another one", async () => {
    const clock = createFakeClock();
    const shared = createRequestCounts(clock);
    const { store, calls } = storeOn(clock, "a", shared, true);
    const counters = countersOn(clock, [store]);
    for (let n = 1; n <= 20; n++) expect((await counters.count(KIND, 1)).requests).toBe(n);
    expect(calls).toHaveLength(1);
    await clock.advance(250);
    expect(calls).toHaveLength(2);
    const another = countersOn(clock, [storeOn(clock, "b", shared, true).store]);
    expect((await another.count(KIND, 1)).requests).toBe(21);
    await clock.advance(1_000);
    expect((await counters.count(KIND, 1)).requests).toBe(22);
    expect((await another.count(KIND, 1)).requests).toBe(23);
    expect((await counters.count(KIND, 1)).requests).toBe(24);
    another.close();
    await clock.advance(12_000);
    const before = calls.length;
    for (let n = 25; n <= 40; n++) expect((await counters.count(KIND, 1)).requests).toBe(n);
    expect(calls.length).toBe(before);
  });

  it("a gateway uses the second store while the first is away", async () => {
    const clock = createFakeClock();
    const [redis, authority] = [storeOn(clock), storeOn(clock)];
    const counters = countersOn(clock, [redis.store, authority.store]);
    await counters.count(KIND, 3);
    redis.state.isAway = true;
    expect((await counters.count(KIND, 1)).requests).toBe(4);
    expect(authority.calls).toHaveLength(1);
    redis.state.isAway = false;
    await clock.advance(1_000);
    expect((await counters.count(KIND, 1)).requests).toBe(5);
    expect(authority.calls).toHaveLength(1);
  });

  it("a counter begins at 0 a minute after its first request, with and without a store", async () => {
    const clock = createFakeClock();
    const { store, state } = storeOn(clock);
    const counters = countersOn(clock, [store]);
    expect((await counters.count(KIND, 9)).requests).toBe(9);
    await clock.advance(MINUTE);
    expect((await counters.count(KIND, 1)).requests).toBe(1);
    state.isAway = true;
    expect((await counters.count(KIND, 1)).requests).toBe(2);
    await clock.advance(MINUTE);
    expect((await counters.count(KIND, 1)).requests).toBe(1);
  });

  it("requests from very many addresses take no more memory, and displace no principal", async () => {
    const clock = createFakeClock();
    const { store, state, calls } = storeOn(clock);
    const counters = countersOn(clock, [store], 1_000);
    await counters.count(KIND, 20);
    state.isAway = true;
    await counters.count(KIND, 1);
    for (let n = 0; n < 5_000; n++)
      counters.countSoon({ name: `address ${n}`, windowMs: MINUTE, isOfAddress: true });
    expect((await counters.count(KIND, 1)).requests).toBe(22);
    const again = { name: "address 4999", windowMs: MINUTE, isOfAddress: true };
    expect(counters.countSoon(again).requests).toBe(2);
    const forgotten = { name: "address 0", windowMs: MINUTE, isOfAddress: true };
    expect(counters.countSoon(forgotten).requests).toBe(1);
    state.isAway = false;
    await clock.advance(2_000);
    // While the store was away nothing was kept for it besides the counters themselves.
    expect(Math.max(...calls.map((counts) => counts.length))).toBe(1);
  });
});
