import { setTimeout as sleep } from "node:timers/promises";
import { createAirlock } from "#sdk/airlock.ts";
import { ApiError } from "#sdk/api-error.ts";
import type { Execution } from "#sdk/execution.ts";
import { fetchTransport } from "#sdk/transport.ts";
import type { Random } from "./random.ts";
import type { Script } from "./scripts.ts";

/** One execution, as its client saw it over REST. */
export type Witness = {
  readonly n: number;
  readonly script: Script;
  id: string;
  acceptedAtMs: number;
  endedAtMs: number;
  /** The response body with the ending. */
  body: string;
  view: Execution;
};

export type Client = {
  /** Submits the n-th execution, and polls and answers until it has ended. */
  run(n: number, script: Script, random: Random): Promise<Witness>;
  /** The body of one poll, at the gateway with this index. */
  poll(id: string, gateway: number): Promise<string>;
  readonly accepted: readonly Witness[];
  /** Responses that must never occur and did, as sentences. */
  readonly violations: string[];
  /** Calls whose answer was 429, 503, 504 or none at all. */
  retries(): number;
  stop(): void;
};

const CALL_TIMEOUT_MS = 30_000;
const RETRY_MS = 300;
const RANKS: Readonly<Record<string, number>> = { pending: 0, running: 1, awaiting_llm: 1 };
const ENDED_RANK = 2;
// Stands for the gateway that each attempt chooses.
const ANY_GATEWAY = "http://any-gateway";

/** A REST client over several gateways that repeats failed calls. `captured` gets the text of every response. */
export function createClient(urls: readonly string[], captured: (text: string) => void): Client {
  const accepted: Witness[] = [];
  const violations: string[] = [];
  const over = new AbortController();
  const { signal } = over;
  let retries = 0;

  /** The client SDK, of which each attempt goes to the gateway with the index that `gateway` returns. */
  const airlockAt = (gateway: () => number) =>
    createAirlock({
      url: ANY_GATEWAY,
      attemptMs: CALL_TIMEOUT_MS,
      retry: { forMs: Infinity, delayMs: RETRY_MS, maxDelayMs: RETRY_MS, onRetry: () => void retries++ },
      async transport(request) {
        const url = request.url.replace(ANY_GATEWAY, urls[gateway()] ?? "");
        const answer = await fetchTransport({ ...request, url });
        captured(answer.text);
        return answer;
      },
    });

  return {
    accepted,
    violations,
    retries: () => retries,
    stop: () => over.abort(new Error("the client was stopped")),
    async poll(id, gateway) {
      return (await airlockAt(() => gateway).executions.get(id, { signal })).json;
    },
    async run(n, script, random) {
      const { executions, submit } = airlockAt(() => random.integer(0, urls.length));
      const { project, code, timeout } = script;
      const submission = { project, code, ...(timeout && { timeout }) };
      const { execution_id: id } = await submit(submission, { signal, idempotencyKey: `chaos-${n}` });
      const witness = { n, script, id, acceptedAtMs: Date.now() } as Witness;
      accepted.push(witness);
      const complain = (what: string) => violations.push(`${id} (${script.kind} ${n}): ${what}`);
      /** Undefined, with a complaint, when the call is refused. */
      const orComplain = async (call: Promise<Execution>, what: string) => {
        try {
          return await call;
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          complain(`${what} was answered with ${error.status} ${error.code}: ${error.detail}`);
          if (violations.length > 100) throw new Error(violations.join("\n"));
          await sleep(RETRY_MS);
          return undefined;
        }
      };
      let rank = 0;
      let stdout = "";
      const answered = new Set<string>();
      for (;;) {
        const poll = executions.get(id, { signal, waitSeconds: random.integer(0, 5) });
        const view = await orComplain(poll, "a poll");
        if (!view) continue;
        const newRank = RANKS[view.status] ?? ENDED_RANK;
        if (newRank < rank) complain(`its status went back to ${view.status}`);
        rank = newRank;
        if (!view.stdout.startsWith(stdout)) complain(`its output changed: ${differs(stdout, view.stdout)}`);
        stdout = view.stdout;
        if (rank === ENDED_RANK) {
          return Object.assign(witness, { endedAtMs: Date.now(), body: view.json, view });
        }
        const question = view.llm_request;
        if (view.status !== "awaiting_llm" || !question) continue;
        if (answered.has(question.id)) complain(`it asks again what was answered: ${question.prompt}`);
        await sleep(random.between(0, 4_000));
        const response = question.prompt.replace("question", "answer");
        const responded = executions
          .respond(id, response, { signal, llmRequestId: question.id })
          // A fault may have ended the execution since the poll.
          .catch((error: unknown) => {
            if (error instanceof ApiError && error.status === 409) return view;
            throw error;
          });
        if (await orComplain(responded, "an answer")) answered.add(question.id);
      }
    },
  };
}

/** Describes the first difference of two texts. */
export function differs(expected: string, seen: string): string {
  let at = 0;
  while (at < expected.length && expected[at] === seen[at]) at++;
  const around = (text: string) => JSON.stringify(text.slice(Math.max(0, at - 40), at + 60));
  return `at ${at} of ${expected.length} and ${seen.length}: expected ${around(expected)}, saw ${around(seen)}`;
}
