import { describe, expect, it } from "vitest";
import { createRequestCounts } from "../../../services/authority/request-counts.ts";
import { createFakeClock } from "../../support/fake-clock.ts";

const MINUTE = 60_000;

function counts(maxCounters?: number) {
  const clock = createFakeClock();
  const { add } = createRequestCounts(clock, maxCounters);
  const own = new Map<string, number>();
  return {
    clock,
    add,
    /** One gateway tells of new requests, as it does while it knows of nothing else. */
    tell(gateway: string, counter: string, requests: number, knownEndsInMs = MINUTE) {
      const ownRequests = (own.get(`${gateway} ${counter}`) ?? 0) + requests;
      own.set(`${gateway} ${counter}`, ownRequests);
      return add(gateway, {
        counter,
        requests,
        windowMs: MINUTE,
        ownRequests,
        knownRequests: 0,
        knownEndsInMs,
      });
    },
  };
}

describe("the authority's counters of requests", () => {
  it("the authority adds up what all gateways have counted, and takes back", () => {
    const { tell } = counts();
    expect(tell("a", "x", 2)).toEqual({ requests: 2, endsInMs: MINUTE });
    expect(tell("b", "x", 3).requests).toBe(5);
    expect(tell("a", "x", -1).requests).toBe(4);
    expect(tell("a", "y", 1).requests).toBe(1);
  });

  it("the authority counts from 0 again a minute after the first request", async () => {
    const { tell, add, clock } = counts();
    tell("a", "x", 7);
    await clock.advance(MINUTE - 1);
    expect(tell("b", "x", 1)).toEqual({ requests: 8, endsInMs: 1 });
    await clock.advance(1);
    const read = { counter: "x", requests: 0, windowMs: MINUTE, ownRequests: 0, knownRequests: 0 };
    expect(add("a", { ...read, knownEndsInMs: MINUTE })).toEqual({ requests: 0, endsInMs: MINUTE });
  });

  it("the authority goes on from what gateways tell when it has just started", () => {
    const { add } = counts();
    const told = { counter: "x", windowMs: MINUTE, requests: 1, knownEndsInMs: 20_000 };
    expect(add("a", { ...told, ownRequests: 9, knownRequests: 15 })).toEqual({
      requests: 16,
      endsInMs: 20_000,
    });
    expect(add("b", { ...told, ownRequests: 9, knownRequests: 16 }).requests).toBe(18);
  });

  it("the authority counts a message that it gets twice once", () => {
    const { add } = counts();
    const told = { counter: "x", windowMs: MINUTE, requests: 4, ownRequests: 4, knownRequests: 0 };
    add("a", { ...told, knownEndsInMs: MINUTE });
    expect(add("a", { ...told, knownEndsInMs: MINUTE }).requests).toBe(4);
  });

  it("the authority takes no requests of the minute before from a gateway whose minute ends late", async () => {
    const { tell, add, clock } = counts();
    tell("a", "x", 30);
    await clock.advance(MINUTE);
    tell("b", "x", 1);
    const late = { counter: "x", windowMs: MINUTE, requests: 1, ownRequests: 31, knownRequests: 30 };
    expect(add("a", { ...late, knownEndsInMs: 3 }).requests).toBe(2);
  });

  it("the authority knows which gateways have called within the last seconds", async () => {
    const clock = createFakeClock();
    const { gateways } = createRequestCounts(clock);
    expect([gateways("a"), gateways("b"), gateways("a")]).toEqual([1, 2, 2]);
    await clock.advance(10_001);
    expect(gateways("a")).toBe(1);
  });

  it("the authority forgets the oldest counter when there are too many", () => {
    const { tell } = counts(1_000);
    tell("a", "first", 5);
    for (let n = 0; n < 1_000; n++) tell("a", `address ${n}`, 1);
    expect(tell("b", "first", 1).requests).toBe(1);
    expect(tell("b", "address 999", 1).requests).toBe(2);
  });
});
