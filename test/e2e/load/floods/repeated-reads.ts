import { setTimeout as sleep } from "node:timers/promises";
import type { Flood } from "../flooding/flood-thread.ts";

const READERS = 4;
const REPEAT_EVERY_MS = 50;
const CODE = `import sys
print('x\\n' * 4_600_000)
print('y\\n' * 4_600_000, file=sys.stderr)
set_result('z' * 9_300_000)`;

/** One execution of 28 MB, and clients who read it again and again, by its path and by the idempotency key that started it. */
const flood: Flood = async ({ url, project, signal, note }) => {
  const execute = (path: string) =>
    fetch(`${url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": "repeated-reads" },
      body: JSON.stringify({ project, code: CODE }),
      signal,
    });
  const accepted = await execute("/execute?wait=0");
  const { poll_url } = (await accepted.json()) as { poll_url: string };
  let status = "";
  while (!/^(completed|error|timeout)$/.test(status)) {
    const polled = await fetch(`${url}${poll_url}?wait=20`, { signal });
    ({ status } = (await polled.json()) as { status: string });
  }
  const reader = async (n: number) => {
    const read = n === 0 ? () => execute("/execute") : () => fetch(`${url}${poll_url}`, { signal });
    while (!signal.aborted) {
      try {
        if (n === 0) await sleep(REPEAT_EVERY_MS);
        const answer = await read();
        // Its bytes are taken and not looked at: this thread is not what is measured.
        let bytes = 0;
        for await (const chunk of answer.body ?? []) bytes += chunk.length;
        if (n > 0 || !answer.ok) note(answer.status, answer.headers.get("retry-after"), `${bytes} bytes`);
      } catch (error) {
        if (!signal.aborted) note(599, null, String(error));
      }
    }
  };
  await Promise.all(Array.from({ length: READERS + 1 }, (_, n) => reader(n)));
};
export default flood;
