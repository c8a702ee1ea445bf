import { expect, it } from "vitest";
import { createResponseTimer } from "../../../services/router/run/response-timer.ts";
import { startStopwatch } from "../../../services/router/run/stopwatch.ts";
import { createFakeClock } from "../../support/fake-clock.ts";

function setUp() {
  const clock = createFakeClock();
  const stopwatch = startStopwatch(clock);
  return { clock, stopwatch, responseTimer: createResponseTimer(stopwatch) };
}

it("the response timer counts while the router listens to the worker, not during pauses or the router's own work", async () => {
  const { clock, stopwatch, responseTimer } = setUp();
  await clock.advance(1_000);
  const work = Promise.withResolvers<void>();
  const busy = responseTimer.whileBusy(() => work.promise);
  await clock.advance(5_000);
  expect([responseTimer.elapsedMs(), responseTimer.isBusy()]).toEqual([1_000, true]);
  work.resolve();
  await busy;
  expect([responseTimer.elapsedMs(), responseTimer.isBusy()]).toEqual([1_000, false]);
  stopwatch.pause();
  await clock.advance(5_000);
  stopwatch.resume();
  await clock.advance(100);
  expect(responseTimer.elapsedMs()).toBe(1_100);
});

it("the response timer counts again after work that failed, and in a new stream after work that never ends", async () => {
  const { clock, responseTimer } = setUp();
  await expect(responseTimer.whileBusy(() => Promise.reject(new Error("lost")))).rejects.toThrow("lost");
  await clock.advance(10);
  void responseTimer.whileBusy(() => new Promise(() => undefined));
  await clock.advance(5_000);
  responseTimer.listen();
  await clock.advance(10);
  expect([responseTimer.elapsedMs(), responseTimer.isBusy()]).toEqual([20, false]);
});
