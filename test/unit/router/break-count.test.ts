import { expect, it } from "vitest";
import { createBreakCount } from "../../../services/router/run/break-count.ts";
import { createFakeClock } from "../../support/fake-clock.ts";

/** The counts after streams that lasted this many seconds each. */
async function countedFor(seconds: readonly number[]): Promise<number[]> {
  const clock = createFakeClock();
  const breaks = createBreakCount(clock);
  const counted: number[] = [];
  for (const each of seconds) {
    // The time between a break and the next stream does not count.
    await clock.advance(100_000);
    breaks.began();
    await clock.advance(each * 1_000);
    counted.push(breaks.broke());
  }
  return counted;
}

it.each([
  ["that follow one another are counted", [1, 0, 59], [1, 2, 3]],
  ["after a stream that went well for a minute begin a new row", [1, 2, 60, 3], [1, 2, 1, 2]],
] as const)("breaks of a run's connection %s", async (_, seconds, counted) => {
  expect(await countedFor(seconds)).toEqual(counted);
});
