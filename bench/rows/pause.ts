import type { Row } from "../bench.ts";
import { type RestClient, restClient, submit } from "../clients/rest.ts";
import type { Pool } from "../pool.ts";
import { interleave, type Subject } from "../rounds.ts";
import { median } from "../statistics.ts";
import { SCRIPT } from "./latency.ts";

const ASKING = 'print(llm.complete("A question?"))';

/**
 * Measures a script that calls llm.complete: the time until the client sees the llm request, and the time
 * from the response to the result.
 */
export const pause: Row = {
  name: "pause",
  title: "llm.complete: submit to question seen, answer to result seen",
  async measure(bench) {
    const pools = (await bench.pools()).filter(({ kind }) => kind === "plain");
    const clients = new Map(pools.map(({ stack }) => [stack, restClient(stack.url)]));
    const { perRound } = bench.plan;
    const subjects: Subject<"pause" | "resume">[] = pools.flatMap((pool) => [
      {
        name: pool.floor.name,
        round: async () => {
          const ms = median(await pool.floor.fork.run(SCRIPT, perRound));
          return { pause: ms, resume: ms };
        },
      },
      {
        name: pool.where,
        floor: pool.floor.name,
        round: () => roundOf(clients.get(pool.stack) ?? restClient(pool.stack.url), pool, perRound),
      },
    ]);
    const named = new Map(subjects.map((subject) => [subject.name, subject]));
    try {
      bench.say("pause and resume");
      return (await interleave([...named.values()], bench.plan.rounds)).figures(this.name, "ms");
    } finally {
      for (const airlock of clients.values()) airlock.close();
    }
  },
};

async function roundOf(airlock: RestClient, { project }: Pool, count: number) {
  const pauses: number[] = [];
  const resumes: number[] = [];
  for (let each = 0; each < count; each++) {
    const from = performance.now();
    const id = await submit(airlock, project, ASKING);
    const asked = await airlock.executions.wait(id);
    const paused = performance.now();
    await airlock.executions.respond(id, "An answer.", { llmRequestId: asked.llm_request?.id });
    const ended = await airlock.executions.wait(id);
    if (ended.stdout !== "An answer.\n") throw new Error(`the script ended as ${ended.status}`);
    pauses.push(paused - from);
    resumes.push(performance.now() - paused);
  }
  return { pause: median(pauses), resume: median(resumes) };
}
