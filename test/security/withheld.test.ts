import { afterAll, beforeAll, describe, it } from "vitest";
import { openStage, type WithheldStage } from "./stage/withheld-stage.ts";

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
// Each group has a stage of its own and waits most of its time, for a sanitizer that does not come back: side by side.
const ASIDE = { concurrent: true, timeout: 60_000 };
const IN_TURN = { concurrent: false };

describe.each(Object.entries(ENDINGS))("a script that %s", ASIDE, (how, ending) => {
  let stage: WithheldStage;
  beforeAll(async () => {
    stage = await openStage();
  });
  afterAll(() => stage?.stop());

  it(
    `a script that ${how} leaves nothing when the sanitizer is killed while it runs`,
    IN_TURN,
    async ({ expect }) => {
      const id = await stage.rest.submit({ code: BEGINS + ending });
      await stage.begun(id, expect);
      await stage.process("sanitizer").kill();
      await stage.expectWithheld(id, expect);
      await stage.restart("sanitizer");
      await stage.expectHealthy(expect);
    },
  );

  it(
    `a script that ${how} leaves nothing when the sanitizer hangs, and is killed with all its input`,
    IN_TURN,
    async ({ expect }) => {
      const id = await stage.rest.submit({ code: BEGINS + ending });
      await stage.begun(id, expect);
      stage.process("sanitizer").signal("SIGSTOP");
      await new Promise((resolve) => setTimeout(resolve, 8_500));
      await stage.process("sanitizer").kill();
      await stage.expectWithheld(id, expect);
      await stage.restart("sanitizer");
      await stage.expectHealthy(expect);
    },
  );
});

describe("a script that prints without end", ASIDE, () => {
  const CHECKED = /^ready\n(\[REDACTED\.\.\.wxyz\]\n?){601}$/;
  let stage: WithheldStage;
  beforeAll(async () => {
    stage = await openStage();
  });
  afterAll(() => stage?.stop());

  it.for([
    ["is killed", "SIGKILL"],
    ["stands still", "SIGSTOP"],
  ] as const)(
    "a script that prints without end goes on, and leaves nothing unredacted, when the secrets service %s while it runs",
    IN_TURN,
    async ([, signal], { expect }) => {
      const id = await stage.rest.submit({ code: BEGINS + ENDINGS["prints without end"] });
      await stage.begun(id, expect);
      stage.process("secrets").signal(signal);
      await stage.expectCompleted(id, expect, expect.stringMatching(CHECKED));
      await stage.process("secrets").kill();
      await stage.restart("secrets");
      await stage.expectHealthy(expect);
    },
  );
});
