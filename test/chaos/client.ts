import type { ExecutionView } from "../harness/rest.ts";
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
  view: ExecutionView;
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

/** A REST client over several gateways that repeats failed calls. `captured` gets the text of every response. */
export function createClient(urls: readonly string[], captured: (text: string) => void): Client {
  const accepted: Witness[] = [];
  const violations: string[] = [];
  const over = new AbortController();
  let retries = 0;

  /** Repeats a call after 429, 503, 504 and broken connections, until there is another answer. */
  const call = async (path: string, gateway: () => number, init: RequestInit = {}) => {
    for (;;) {
      over.signal.throwIfAborted();
      try {
        const signal = AbortSignal.any([over.signal, AbortSignal.timeout(CALL_TIMEOUT_MS)]);
        const response = await fetch(`${urls[gateway()]}${path}`, { ...init, signal });
        const text = await response.text();
        captured(text);
        if (![429, 503, 504].includes(response.status)) return { status: response.status, text };
      } catch {
        over.signal.throwIfAborted();
      }
      retries++;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  };
  const post = (path: string, body: unknown, gateway: () => number, headers: Record<string, string> = {}) =>
    call(path, gateway, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });

  return {
    accepted,
    violations,
    retries: () => retries,
    stop: () => over.abort(new Error("the client was stopped")),
    async poll(id, gateway) {
      return (await call(`/executions/${id}`, () => gateway)).text;
    },
    async run(n, script, random) {
      const anyGateway = () => random.integer(0, urls.length);
      const { project, code, timeout } = script;
      const submission = { project, code, ...(timeout && { timeout }) };
      const key = { "idempotency-key": `chaos-${n}` };
      const answer = await post("/execute", submission, anyGateway, key);
      if (answer.status !== 202) throw new Error(`execution ${n} was refused: ${answer.text}`);
      const id = (JSON.parse(answer.text) as { execution_id: string }).execution_id;
      const witness = { n, script, id, acceptedAtMs: Date.now() } as Witness;
      accepted.push(witness);
      const complain = (what: string) => violations.push(`${id} (${script.kind} ${n}): ${what}`);
      let rank = 0;
      let stdout = "";
      const answered = new Set<string>();
      for (;;) {
        const { status, text } = await call(`/executions/${id}?wait=${random.integer(0, 5)}`, anyGateway);
        if (status !== 200) {
          complain(`a poll was answered with ${status}: ${text}`);
          await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
          if (violations.length > 100) throw new Error(violations.join("\n"));
          continue;
        }
        const view = JSON.parse(text) as ExecutionView;
        const newRank = RANKS[view.status] ?? ENDED_RANK;
        if (newRank < rank) complain(`its status went back to ${view.status}`);
        rank = newRank;
        if (!view.stdout.startsWith(stdout)) complain(`its output changed: ${differs(stdout, view.stdout)}`);
        stdout = view.stdout;
        if (rank === ENDED_RANK) {
          return Object.assign(witness, { endedAtMs: Date.now(), body: text, view });
        }
        const question = view.llm_request;
        if (view.status !== "awaiting_llm" || !question) continue;
        if (answered.has(question.id)) complain(`it asks again what was answered: ${question.prompt}`);
        await new Promise((resolve) => setTimeout(resolve, random.between(0, 4_000)));
        const response = {
          llm_request_id: question.id,
          response: question.prompt.replace("question", "answer"),
        };
        const said = await post(`/executions/${id}/respond`, response, anyGateway);
        // A repeated answer gets 409 when the 200 of the first one was lost.
        if (said.status === 200 || said.status === 409) answered.add(question.id);
        else complain(`an answer was refused with ${said.status}: ${said.text}`);
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
