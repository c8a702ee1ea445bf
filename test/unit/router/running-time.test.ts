import { expect, it } from "vitest";
import { createResponseTimer } from "../../../services/router/run/response-timer.ts";
import { createRunningTime, longestBeginningMs } from "../../../services/router/run/running-time.ts";
import { startStopwatch } from "../../../services/router/run/stopwatch.ts";
import { createFakeClock } from "../../support/fake-clock.ts";

function setUp(uncountedMs?: number) {
  const clock = createFakeClock();
  const responseTimer = createResponseTimer(startStopwatch(clock));
  return { clock, responseTimer, time: createRunningTime(responseTimer, 0, uncountedMs) };
}

it("the running time leaves out the router's waits for the sanitizer, because the worker's own count must not be less", async () => {
  const { clock, responseTimer, time } = setUp();
  await clock.advance(6);
  const cleaned = Promise.withResolvers<void>();
  const busy = responseTimer.whileBusy(() => cleaned.promise);
  await clock.advance(2_000);
  expect(time.elapsedMs()).toBe(6);
  cleaned.resolve();
  await busy;
  await clock.advance(10);
  expect(time.elapsedMs()).toBe(16);
});

it("the running time of a script with a large request starts when the worker reports it, or after the longest start", async () => {
  const { clock, time } = setUp(longestBeginningMs({ code: "1", memoryJson: "x".repeat(70_000) }));
  await clock.advance(4_000);
  expect(time.elapsedMs()).toBe(0);
  await clock.advance(3_000);
  expect(time.elapsedMs()).toBe(2_000);
  time.correct(6_500);
  await clock.advance(100);
  expect(time.elapsedMs()).toBe(6_600);
  expect(longestBeginningMs({ code: "1", memoryJson: "{}" })).toBe(0);
});
