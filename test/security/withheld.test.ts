import { afterAll, beforeAll, describe, it } from "vitest";
import { openWithheldHarness, type WithheldHarness } from "./harness/withheld-harness.ts";

const BEGINS = `
import json, os, time
token, quoted = settings.get('TOKEN').encode(), settings.get('QUOTED')
os.write(1, b'ready\\n' + token[:10])
time.sleep(8)
`;
const ENDINGS = {
  "prints without end":
    "os.write(1, token[10:])\nfor _ in range(600): os.write(1, token + b'\\n'); os.write(2, token); time.sleep(0.02)",
  "ends with a result":
    "os.write(1, token[10:]); memory.set('m', quoted, [quoted]); set_result([quoted, settings.get('TOKEN')] * 5000)",
  "ends with an exception": "raise ValueError(settings.get('TOKEN') + quoted)",
  "asks a question": "llm.complete(settings.get('TOKEN') + quoted)",
};
// Each group has a harness of its own and waits most of its time, for a sanitizer that does not come back: side by side.
const ASIDE = { concurrent: true, timeout: 60_000 };
const IN_TURN = { concurrent: false };

describe.each(Object.entries(ENDINGS))("a script that %s", ASIDE, (how, ending) => {
  let harness: WithheldHarness;
  beforeAll(async () => {
    harness = await openWithheldHarness();
  });
  afterAll(() => harness?.stop());

  it(
    `a script that ${how} leaves nothing when the sanitizer is killed while it runs`,
    IN_TURN,
    async ({ expect }) => {
      const id = await harness.rest.submit({ code: BEGINS + ending });
      await harness.begun(id, expect);
      await harness.process("sanitizer").kill();
      await harness.expectWithheld(id, expect);
      await harness.restart("sanitizer");
      await harness.expectHealthy(expect);
    },
  );

  it(
    `a script that ${how} leaves nothing when the sanitizer hangs, and is killed with all its input`,
    IN_TURN,
    async ({ expect }) => {
      const id = await harness.rest.submit({ code: BEGINS + ending });
      await harness.begun(id, expect);
      harness.process("sanitizer").signal("SIGSTOP");
      await new Promise((resolve) => setTimeout(resolve, 8_500));
      await harness.process("sanitizer").kill();
      await harness.expectWithheld(id, expect);
      await harness.restart("sanitizer");
      await harness.expectHealthy(expect);
    },
  );
});

describe("a script that prints without end", ASIDE, () => {
  const CHECKED = /^ready\n(\[REDACTED\.\.\.wxyz\]\n?){601}$/;
  let harness: WithheldHarness;
  beforeAll(async () => {
    harness = await openWithheldHarness();
  });
  afterAll(() => harness?.stop());

  it.for([
    ["is killed", "SIGKILL"],
    ["stands still", "SIGSTOP"],
  ] as const)(
    "a script that prints without end goes on, and leaves nothing unredacted, when the secrets service %s while it runs",
    IN_TURN,
    async ([, signal], { expect }) => {
      const id = await harness.rest.submit({ code: BEGINS + ENDINGS["prints without end"] });
      await harness.begun(id, expect);
      harness.process("secrets").signal(signal);
      await harness.expectCompleted(id, expect, expect.stringMatching(CHECKED));
      await harness.process("secrets").kill();
      await harness.restart("secrets");
      await harness.expectHealthy(expect);
    },
  );
});
