import { describe, expect, it } from "vitest";
import { afterAwake } from "#common/resilience/awake-timer.ts";
import { systemClock } from "#common/resilience/clock.ts";
import { createFakeClock } from "../../support/fake-clock.ts";

describe("a timer of the process's own working time", () => {
  it("a timer of the process's own working time fires when the time is over, once", async () => {
    const clock = createFakeClock();
    let fired = 0;
    afterAwake(800, clock, () => {
      fired += 1;
    });
    await clock.advance(799);
    expect(fired).toBe(0);
    await clock.advance(1);
    await clock.advance(10_000);
    expect(fired).toBe(1);
  });

  it("a timer of the process's own working time never fires after it was cancelled", async () => {
    const clock = createFakeClock();
    const cancel = afterAwake(800, clock, () => expect.unreachable());
    await clock.advance(700);
    cancel();
    expect(clock.waiting()).toBe(0);
    await clock.advance(800);
  });

  it("a timer of the process's own working time does not count the time in which the process stood still", async () => {
    let fired = false;
    afterAwake(400, systemClock, () => {
      fired = true;
    });
    const beganMs = performance.now();
    while (performance.now() - beganMs < 800);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(fired).toBe(false);
    await expect.poll(() => fired).toBe(true);
  });
});
