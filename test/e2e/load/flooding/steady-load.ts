import { setTimeout as sleep } from "node:timers/promises";
import { v7 as newId } from "uuid";
import { createAirlock } from "#sdk/airlock.ts";
import { ApiError } from "#sdk/api-error.ts";
import type { Execution } from "#sdk/execution.ts";
import { createFetchTransport } from "#sdk/transport.ts";
import type { EchoServer } from "../../../harness/echo-server.ts";

const KINDS = ["quick", "calls", "asks", "quick", "long", "calls", "quick", "slow"] as const;
type Kind = (typeof KINDS)[number];
const RANKS: Readonly<Record<string, number>> = { pending: 0, running: 1, awaiting_llm: 1 };
const ENDED = 2;
const COUNTED = Array.from({ length: 12 }, (_, n) => `${n}\n`).join("");
const RETRY_MS = 200;
// Whatever happens in between, an execution has ended by then.
const END_WITHIN_MS = 150_000;
const POLL_S = 10;
// Stands for the gateway that takes the connection.
const BALANCER = "http://balancer";
// Longer than a gateway and the services behind it may take.
const ANSWER_WITHIN_MS = 45_000;

/** An execution from its submission to its end, as its client saw it. */
type Seen = { readonly name: string; readonly kind: Kind; readonly last: Execution };

export type LoadReport = {
  /** Everything that was accepted, with its end, by id. */
  readonly ended: ReadonlyMap<string, Seen>;
  /** Requests that a gateway took and did not answer as it should have. */
  readonly failures: readonly string[];
  /** How many posts were repeated, each safe to be, since their connection was reset. */
  readonly repeatedPosts: number;
  /** Errors that no fault excuses: a status that goes back, a changed ending, a wrong result, a second run. */
  readonly broken: readonly string[];
  /** How many ended for which reason. */
  readonly reasons: Readonly<Record<string, number>>;
  /** The slowest answer to a request that was not held, in milliseconds. */
  readonly slowestMs: number;
};

export type SteadyLoad = {
  /** How many have ended so far. */
  count(): number;
  /** Submits nothing more, and follows what was accepted to its end. */
  stop(): Promise<LoadReport>;
};

export type LoadOptions = {
  /** Gateways: a client goes to the next one when a connection is refused, as a load balancer does. */
  readonly urls: readonly string[];
  /** Submissions, whether or not the earlier ones have ended. */
  readonly perSecond: number;
  /** Where scripts of the project `listed` call; each of them once. */
  readonly server: EchoServer;
  /** Whether each ending is read once more in the end; not where executions are forgotten meanwhile. */
  readonly keepEnded?: boolean;
  /** How long the question of a script waits for its answer. */
  readonly answerAfterMs?: () => number;
};

/**
 * Clients who each submit a script, poll it, answer it; scripts of the project `demo`, and of `listed` with a
 * network.
 */
export function startLoad({
  urls,
  perSecond,
  server,
  keepEnded = true,
  answerAfterMs = () => 0,
}: LoadOptions): SteadyLoad {
  const loadId = newId();
  const ended = new Map<string, Seen>();
  const failures: string[] = [];
  const broken: string[] = [];
  let turn = 0;
  let slowestMs = 0;
  let repeatedPosts = 0;

  /** The answer of the next gateway that takes the connection. An answer that breaks off is a failure. */
  const balanced = async (url: string, init: RequestInit): Promise<Response> => {
    // Other clients take turns meanwhile: this one has to come to each gateway nevertheless.
    const first = turn++;
    for (let refusals = 0; ; refusals++) {
      try {
        return await fetch(url.replace(BALANCER, urls[(first + refusals) % urls.length] ?? ""), init);
      } catch (error) {
        // A server may close an idle connection in the moment in which it is used again (RFC 9112, 9.5).
        const wasReset = isReset(error);
        if (wasReset && init.method === "POST") repeatedPosts++;
        if (!(wasReset || isRefused(error)) || refusals === urls.length * 2) throw error;
      }
    }
  };
  // Each failure is noted, so the client SDK repeats nothing.
  const transport = createFetchTransport(balanced);
  const { submit: send, executions } = createAirlock({ url: BALANCER, transport, retry: "never" });
  const limits = { timeoutMs: ANSWER_WITHIN_MS };

  const noteTime = (what: string, startedAt: number) => {
    if (what !== "poll") slowestMs = Math.max(slowestMs, Date.now() - startedAt);
  };
  /** Repeats a call until it succeeds, and notes each failure. */
  const answered = async <Answer>(what: string, call: () => Promise<Answer>): Promise<Answer> => {
    for (const until = Date.now() + END_WITHIN_MS; ; ) {
      const startedAt = Date.now();
      try {
        const answer = await call();
        noteTime(what, startedAt);
        return answer;
      } catch (error) {
        if (error instanceof ApiError && error.status !== undefined) noteTime(what, startedAt);
        const said = `${new Date(startedAt).toISOString()} +${Date.now() - startedAt} ms ${what}: ${describe(error)}`;
        failures.push(said);
        if (Date.now() > until) throw new Error(said);
      }
      await sleep(RETRY_MS);
    }
  };

  const follow = async (id: string): Promise<Execution> => {
    let before: Execution | undefined;
    let answeredId: string | undefined;
    for (const until = Date.now() + END_WITHIN_MS; ; ) {
      const now = await answered("poll", () => executions.get(id, { ...limits, waitSeconds: POLL_S }));
      if (before) broken.push(...waysBack(id, before, now));
      before = now;
      if (rankOf(now) === ENDED) return now;
      if (Date.now() > until) throw new Error(`${id} has not ended: ${JSON.stringify(now)}`);
      const llmRequestId = now.llm_request?.id;
      if (llmRequestId === undefined) continue;
      if (llmRequestId === answeredId) await sleep(RETRY_MS);
      else {
        await sleep(answerAfterMs());
        await answered("respond", () =>
          executions.respond(id, id, { ...limits, llmRequestId }).catch((error: unknown) => {
            // A repeated answer gets 409 when the response to the first one was lost.
            if (!(error instanceof ApiError && error.status === 409)) throw error;
          }),
        );
        answeredId = llmRequestId;
      }
    }
  };

  const client = async (n: number) => {
    const name = `${loadId}-${n}`;
    const kind = KINDS[n % KINDS.length] as Kind;
    const submission = {
      project: kind === "calls" ? "listed" : "demo",
      code: codeOf(kind, name, server.port),
    };
    const options = { ...limits, idempotencyKey: newId() };
    const { execution_id: id } = await answered("submit", () => send(submission, options));
    const last = await follow(id);
    ended.set(id, { name, kind, last });
    broken.push(...wrongIn(id, kind, name, last));
  };
  const clients: Promise<void>[] = [];
  const submit = () => {
    const done = client(clients.length).catch((error: unknown) => void broken.push(String(error)));
    clients.push(done);
  };
  const timer = setInterval(submit, 1_000 / perSecond);

  return {
    count: () => ended.size,
    async stop() {
      clearInterval(timer);
      await Promise.all(clients);
      const reasons: Record<string, number> = {};
      for (const [id, { last, name }] of ended) {
        const reason = last.end_reason ?? "none";
        reasons[reason] = (reasons[reason] ?? 0) + 1;
        const calls = server.seen.filter(({ path }) => path === `/${name}`).length;
        if (calls > 1) broken.push(`${id} ran ${calls} times`);
        if (!keepEnded) continue;
        const now = await answered("read", () => executions.get(id, limits));
        if (JSON.stringify(now) !== JSON.stringify(last)) {
          broken.push(`${id} changed after its end: ${JSON.stringify(last)} became ${JSON.stringify(now)}`);
        }
      }
      return { ended, failures, repeatedPosts, broken, reasons, slowestMs };
    },
  };
}

function codeOf(kind: Kind, name: string, port: number): string {
  const begin = "import time, uuid\nprint('run', uuid.uuid4(), flush=True)\n";
  switch (kind) {
    case "quick":
      return `${begin}set_result('${name}')`;
    case "long":
    case "slow":
      return `${begin}for n in range(12):\n    print(n, flush=True)\n    time.sleep(${kind === "long" ? 0.1 : 0.5})\nset_result('${name}')`;
    case "asks":
      return `${begin}answer = llm.complete('?')\nprint(answer)\nset_result('${name}')`;
    case "calls":
      return `${begin}import urllib.request\nurllib.request.urlopen('http://127.0.0.1:${port}/${name}', timeout=60).read()\nset_result('${name}')`;
  }
}

function wrongIn(id: string, kind: Kind, name: string, last: Execution): string[] {
  if (last.end_reason !== "completed") return [];
  const printed = {
    quick: "",
    long: COUNTED,
    slow: COUNTED,
    asks: `${id}\n`,
    calls: "",
  }[kind];
  const [first = "", ...rest] = last.stdout.split(/(?<=\n)/);
  const isRight = /^run [0-9a-f-]{36}\n$/.test(first) && rest.join("") === printed && last.result === name;
  return isRight ? [] : [`${id} (${kind}) completed with something else: ${JSON.stringify(last)}`];
}

function waysBack(id: string, before: Execution, now: Execution): string[] {
  const problems: string[] = [];
  if (rankOf(now) < rankOf(before)) problems.push(`${id} went back from ${before.status} to ${now.status}`);
  if (!now.stdout.startsWith(before.stdout)) {
    problems.push(`${id} said ${JSON.stringify(before.stdout)} and then ${JSON.stringify(now.stdout)}`);
  }
  return problems;
}

function rankOf({ status }: Execution): number {
  return RANKS[status] ?? ENDED;
}

function isRefused(error: unknown): boolean {
  return codeIn(error) === "ECONNREFUSED";
}

function isReset(error: unknown): boolean {
  const code = codeIn(error);
  return code === "ECONNRESET" || code === "UND_ERR_SOCKET";
}

function codeIn(error: unknown): string | undefined {
  return ((error as Error).cause as { code?: string } | undefined)?.code;
}

function describe(error: unknown): string {
  return error instanceof ApiError ? `${error.status} ${error.code}: ${error.message}` : String(error);
}
