import { afterAll, beforeAll, expect, it } from "vitest";
import { SanitizeChannel } from "#proto/sanitizer.ts";
import { document, type Harness, type SanitizeStream, startHarness } from "./sanitizer-harness.ts";

const { STDOUT, STDERR, RESULT } = SanitizeChannel;
const KEY = "Xq7kP2mZ9vL4cR8tBw3n";

/** Escapes within escapes: of all texts these take the longest. */
const HOSTILE = Buffer.from("=\ns%5Cx6b\\_l\n\n\\x69\\u0076&#101;".repeat(30_000));
const ROWS = JSON.stringify(
  Array.from({ length: 8_000 }, (_, row) => ({ row, text: `line ${row}\nand more` })),
);

let harness: Harness;

beforeAll(async () => {
  harness = await startHarness();
  await harness.project("hostile", { KEY });
  await harness.project("quiet", { KEY: "another-key-of-another-project" });
});
afterAll(() => harness.stop());

async function cleanedIn(stream: SanitizeStream): Promise<number> {
  const fromMs = performance.now();
  expect((await document(stream, RESULT, [ROWS])).text).toBe(ROWS);
  return performance.now() - fromMs;
}

/** Sends hostile text for as long as `isOver` does not say so; chunks as a worker sends them. */
async function flood(channel: SanitizeChannel, isOver: () => boolean): Promise<void> {
  const stream = await harness.open("hostile");
  const read = (async () => {
    while (await stream.next().catch(() => null));
  })();
  while (!isOver()) {
    for (let at = 0; at < HOSTILE.length && !isOver(); at += 65_536) {
      const data = HOSTILE.subarray(at, at + 65_536);
      await stream.send({ message: { $case: "chunk", value: { channel, data, end: false, cut: false } } });
    }
  }
  stream.cancel();
  await read;
}

it("the sanitizer redacts a result beside twenty hostile outputs of another project in a few times its time alone", async () => {
  const quiet = await harness.open("quiet");
  await cleanedIn(quiet);
  const alone = await cleanedIn(quiet);
  let isOver = false;
  const floods = [STDOUT, STDERR].flatMap((channel) =>
    Array.from({ length: 10 }, () => flood(channel, () => isOver)),
  );
  // All of them wait for their turns by then.
  await new Promise((resolve) => setTimeout(resolve, 500));
  const beside = await cleanedIn(quiet);
  isOver = true;
  await Promise.all(floods);
  quiet.cancel();
  // Half of the process, of which long computations have half while others work. In one queue it was thirty times as long.
  expect(beside / alone).toBeLessThan(10);
}, 120_000);
