import type { Flood } from "../flooding/flood-thread.ts";

const CLIENTS = 3;
const RESULTS = [
  "set_result(['\\n'] * 1_900_000)",
  "set_result({'a': 'x\\n' * 3_000_000})",
  "print('\\n' * 9_000_000)",
  "set_result([{'\\n': n} for n in range(600_000)])",
];

/** Scripts with results and output of nearly ten megabytes, the limit of a project that sets none, and clients who read them. */
const flood: Flood = async ({ url, project, signal, post, note }) => {
  const client = async (first: number) => {
    for (let n = first; !signal.aborted; n++) {
      const accepted = await post("/execute", JSON.stringify({ project, code: RESULTS[n % RESULTS.length] }));
      const path = accepted && (JSON.parse(accepted) as { poll_url?: string }).poll_url;
      for (let isOver = !path; !isOver && !signal.aborted; ) {
        const polled = await fetch(`${url}${path}?wait=5`, { signal }).catch(() => undefined);
        const text = await polled?.text().catch(() => undefined);
        if (!polled || text === undefined) break;
        note(polled.status, polled.headers.get("retry-after"), text);
        isOver = !/^.{60,90}"status":"(pending|running)"/.test(text.slice(0, 200));
      }
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, n) => client(n)));
};
export default flood;
