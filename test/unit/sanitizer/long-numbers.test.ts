import { describe, expect, it } from "vitest";
import { isNumber, numberAt, secretNumber } from "#common/redaction/needles/printed-numbers.ts";
import { measureStretches } from "../../support/stretches.ts";

const MAX_MS = 200;
const account = secretNumber("481516") ?? expect.unreachable();

// Ten million digits fit into a result.
const LONG = {
  "zeros within": `1${"0".repeat(10_000_000)}1`,
  "zeros at the end": `481516${"0".repeat(10_000_000)}`,
  "zeros behind the point": `481516.${"0".repeat(10_000_000)}`,
  "all digits": "9".repeat(10_000_000),
};

describe("a number of a script", () => {
  it.each(Object.entries(LONG))(
    "a number of a script is searched at little cost however long it is: %s",
    async (_what, text) => {
      const { totalMs } = await measureStretches(async () => expect(isNumber(text, account)).toBe(false));
      expect(totalMs).toBeLessThan(MAX_MS);
    },
  );

  it("a number of a script within a text is compared from its end, however many zeros stand before it", async () => {
    const text = `${"0".repeat(100_000)}1${"0".repeat(100_000)}481516`;
    const { totalMs } = await measureStretches(async () =>
      expect(
        numberAt(text, text.length - 6, (plain) => isNumber(plain, account) || undefined),
      ).toBeUndefined(),
    );
    expect(totalMs).toBeLessThan(MAX_MS);
  });

  it("a number of a script matches the secret with as many zeros as programs write", () => {
    for (const text of ["481516", "481516.000", "4.81516e5", "4.81516e+05", `481516.${"0".repeat(300)}`])
      expect(isNumber(text, account), text).toBe(true);
  });
});
