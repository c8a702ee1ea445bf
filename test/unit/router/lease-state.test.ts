import { describe, expect, it } from "vitest";
import { AirlockError } from "#common/errors.ts";
import {
  actionOf,
  answered,
  asked,
  broken,
  condemned,
  granted,
  HELD,
  type Holding,
  isParkedFirst,
  type LeaseState,
  lostFor,
  WAITING,
} from "../../../services/router/peers/lease-state.ts";

const PARKED: Holding = { kind: "parked" };
const OVER: LeaseState = { kind: "over", lost: undefined };
const LOST = new AirlockError("worker_lost", "The worker is gone.");

function settled() {
  const done = Promise.withResolvers<void>();
  let outcome: unknown = "pending";
  done.promise.then(
    () => {
      outcome = "resolved";
    },
    (error: unknown) => {
      outcome = error;
    },
  );
  const outcomeOf = async () => {
    await new Promise(setImmediate);
    return outcome;
  };
  return { done, outcome: outcomeOf };
}

/** Every state that has a worker, or wants one back. */
function holdings() {
  const parking = settled();
  const resuming = settled();
  const states: Holding[] = [
    HELD,
    PARKED,
    { kind: "parking", done: parking.done },
    { kind: "resuming", done: resuming.done },
  ];
  return { states, parking, resuming };
}

describe("a lease without a fault", () => {
  it("a waiting lease is held once it is granted, and a grant changes no other state", () => {
    expect(granted(WAITING)).toBe(HELD);
    expect(granted(OVER)).toBe(OVER);
  });

  it("a held lease parks, is parked when the pool-manager answers, resumes and is held again", async () => {
    const park = settled();
    const parking = asked(HELD, "park", park.done);
    expect([parking.kind, actionOf(parking)?.$case]).toEqual(["parking", "park"]);
    const parked = answered(parking, "parked");
    expect([parked.kind, await park.outcome()]).toEqual(["parked", "resolved"]);
    const resume = settled();
    const resuming = asked(parked, "resume", resume.done);
    expect([resuming.kind, actionOf(resuming)?.$case]).toEqual(["resuming", "resume"]);
    expect(answered(resuming, "resumed").kind).toBe("held");
    expect(await resume.outcome()).toBe("resolved");
  });

  it("a parked lease may be asked to park again, because a question that broke off is asked anew", () => {
    expect(asked(PARKED, "park", settled().done).kind).toBe("parking");
  });

  it.each([
    ["held", "parked"],
    ["parked", "resumed"],
    ["parking", "resumed"],
    ["resuming", "parked"],
    ["parking", "granted"],
  ] as const)("a lease that is %s takes the answer %s for a broken protocol", (kind, event) => {
    const state = { kind, done: settled().done } as Holding;
    expect(() => answered(state, event)).toThrow("broke the lease protocol");
  });
});

describe("a lease whose stream breaks", () => {
  it("a lease with a worker whose stream breaks recovers to its earlier state", () => {
    for (const state of holdings().states) expect(broken(state)).toEqual({ kind: "recovering", goal: state });
  });

  it("a lease that waits, recovers or is over keeps its state when its stream breaks", () => {
    const recovering: LeaseState = { kind: "recovering", goal: PARKED };
    for (const state of [WAITING, recovering, OVER]) expect(broken(state)).toBe(state);
  });

  it("a lease that recovers a worker with its slot parks it first if it had given the slot back", () => {
    expect(holdings().states.map((state) => [state.kind, isParkedFirst(state)])).toEqual([
      ["held", false],
      ["parked", true],
      ["parking", false],
      ["resuming", true],
    ]);
  });

  it("a request of the router while a lease recovers becomes its goal, and nothing is sent before", () => {
    const state = asked({ kind: "recovering", goal: HELD }, "park", settled().done);
    expect(state).toMatchObject({ kind: "recovering", goal: { kind: "parking" } });
    expect(actionOf(state)).toBeUndefined();
  });
});

describe("a lease that is over", () => {
  it("a lease with a lost worker rejects the request that waits for an answer, also while it recovers", async () => {
    const { states, parking, resuming } = holdings();
    for (const state of states) {
      expect(lostFor(state, LOST)).toEqual({ kind: "over", lost: LOST });
      expect(lostFor(broken(state), LOST)).toEqual({ kind: "over", lost: LOST });
    }
    expect([await parking.outcome(), await resuming.outcome()]).toEqual([LOST, LOST]);
  });

  it("a request on a lease that is over throws the reason: the worker was lost, or the lease was given back", () => {
    expect(() => asked({ kind: "over", lost: LOST }, "park", settled().done)).toThrow(LOST);
    expect(() => asked(OVER, "resume", settled().done)).toThrow("has given the lease back");
    expect(() => asked(WAITING, "park", settled().done)).toThrow("cannot park");
  });
});

describe("a worker that does not obey", () => {
  it("a lease with a worker can condemn it; the pool-manager is told, and told again after a break", async () => {
    for (const state of holdings().states) {
      const heard = settled();
      const told = condemned(state, heard.done);
      expect([told.kind, actionOf(told)?.$case]).toEqual(["condemned", "condemn"]);
      expect(broken(told)).toEqual({ kind: "recovering", goal: told });
      expect(lostFor(told, LOST).kind).toBe("over");
      expect(await heard.outcome()).toBe("resolved");
    }
  });

  it("a lease that recovers condemns the worker once it has it again", () => {
    const state = condemned({ kind: "recovering", goal: HELD }, settled().done);
    expect(state).toMatchObject({ kind: "recovering", goal: { kind: "condemned", before: HELD } });
  });

  it("an answer that was on its way when its lease condemned the worker still reaches the earlier request", async () => {
    const park = settled();
    const state = condemned({ kind: "parking", done: park.done }, settled().done);
    expect(answered(state, "parked")).toMatchObject({ kind: "condemned", before: PARKED });
    expect(await park.outcome()).toBe("resolved");
  });

  it("a lease without a worker has no worker to condemn", () => {
    const told: LeaseState = { kind: "condemned", heard: settled().done, before: { kind: "held" } };
    for (const state of [WAITING, OVER, told]) expect(condemned(state, settled().done)).toBe(state);
    expect(() => asked(told, "park", settled().done)).toThrow("cannot park");
  });
});
