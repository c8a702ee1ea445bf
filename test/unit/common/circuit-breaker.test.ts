import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CircuitState, createCircuitBreaker } from "#common/resilience/circuit-breaker.ts";
import { createFakeClock } from "../../support/fake-clock.ts";

const AWAY = new Error("away");
const WRONG = new Error("wrong");

function create() {
  const clock = createFakeClock();
  const outcomes: string[] = [];
  const kinds: string[] = [];
  const circuit = createCircuitBreaker(
    {
      failuresToOpen: 3,
      openMs: 1_000,
      longestOpenMs: 3_000,
      isFailure: (error) => error === AWAY,
      refusal: (last, retryInMs) => new Error(`refused for ${retryInMs} ms: ${(last as Error).message}`),
    },
    clock,
    {
      onCall: (outcome) => outcomes.push(outcome),
      onState: ({ kind }: CircuitState) => kinds.push(kind),
    },
  );
  const call = (error?: Error) =>
    circuit
      .run(async () => {
        if (error) throw error;
        return "done";
      })
      .catch((thrown: Error) => thrown.message);
  const openIt = async () => {
    for (let n = 0; n < 3; n++) await call(AWAY);
  };
  return { clock, circuit, call, openIt, outcomes, kinds };
}

describe("a circuit breaker", () => {
  it("a circuit breaker passes every call on while it is closed, and opens after some failures in a row", async () => {
    const { circuit, call, outcomes, kinds } = create();
    expect(await call()).toBe("done");
    for (const error of [AWAY, AWAY, undefined, AWAY, AWAY, WRONG, AWAY, AWAY]) await call(error);
    expect(circuit.state().kind).toBe("closed");
    expect(await call(AWAY)).toBe("away");
    expect(circuit.state().kind).toBe("open");
    expect(kinds).toEqual(["open"]);
    expect(outcomes.filter((outcome) => outcome === "refused")).toEqual([]);
  });

  it("a circuit breaker refuses at once while it is open, with the failure that opened it", async () => {
    const { clock, circuit, openIt, outcomes } = create();
    await openIt();
    await clock.advance(400);
    let tried = false;
    const attempt = circuit.run(async () => {
      tried = true;
    });
    await expect(attempt).rejects.toThrow("refused for 600 ms: away");
    expect(tried).toBe(false);
    expect(outcomes.at(-1)).toBe("refused");
  });

  it("a circuit breaker lets one call through when its time is over, and closes when that succeeds", async () => {
    const { clock, circuit, call, openIt, kinds } = create();
    await openIt();
    await clock.advance(1_000);
    const probe = Promise.withResolvers<string>();
    const probing = circuit.run(() => probe.promise);
    expect(await call()).toMatch(/^refused/);
    probe.resolve("done");
    await probing;
    expect(await call()).toBe("done");
    expect(kinds).toEqual(["open", "half_open", "closed"]);
  });

  it("a circuit breaker opens for twice as long when the probe fails, up to the longest", async () => {
    const { clock, circuit, call, openIt } = create();
    await openIt();
    for (const openMs of [1_000, 2_000, 3_000, 3_000]) {
      expect(circuit.state()).toMatchObject({ kind: "open", openMs });
      await clock.advance(openMs - 1);
      expect(await call(AWAY)).toMatch(/^refused/);
      await clock.advance(1);
      expect(await call(AWAY)).toBe("away");
    }
    await clock.advance(3_000);
    await call();
    await openIt();
    expect(circuit.state()).toMatchObject({ kind: "open", openMs: 1_000 });
  });

  it("a circuit breaker closes when the probe's answer is a refusal of another kind", async () => {
    const { clock, circuit, call, openIt } = create();
    await openIt();
    await clock.advance(1_000);
    expect(await call(WRONG)).toBe("wrong");
    expect(circuit.state().kind).toBe("closed");
  });

  it("a circuit breaker ignores late results of calls from before it opened", async () => {
    const { clock, circuit, openIt } = create();
    const slow = Promise.withResolvers<void>();
    const calling = circuit.run(() => slow.promise);
    await openIt();
    slow.resolve();
    await calling;
    expect(circuit.state().kind).toBe("open");
    await clock.advance(1_000);
    const late = Promise.withResolvers<void>();
    const probing = circuit.run(() => late.promise);
    circuit.close();
    late.reject(AWAY);
    await expect(probing).rejects.toBe(AWAY);
    expect(circuit.state()).toEqual({ kind: "closed", failures: 0 });
  });

  it("a circuit breaker closes when its owner closes it", async () => {
    const { circuit, call, openIt } = create();
    await openIt();
    circuit.close();
    expect(await call()).toBe("done");
  });

  it("a circuit breaker never tries more than one call at a time once enough calls in a row have failed", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.constant(undefined), fc.constant(AWAY), fc.constant(WRONG), fc.nat(4_000))),
        async (steps) => {
          const { clock, circuit, call } = create();
          for (const step of steps) {
            if (typeof step === "number") {
              await clock.advance(step);
              continue;
            }
            const before = circuit.state();
            const mayGo =
              before.kind === "closed" || (before.kind === "open" && before.untilMs <= clock.now());
            expect(/^refused/.test(await call(step))).toBe(!mayGo);
            const after = circuit.state();
            // No call is on its way, so no probe is either.
            expect(after.kind).not.toBe("half_open");
            if (mayGo && step !== AWAY) expect(after).toEqual({ kind: "closed", failures: 0 });
          }
        },
      ),
    );
  });
});
