import type { components, operations } from "../gen/openapi.ts";
import { ApiError } from "./api-error.ts";
import { type Caller, type CallOptions, pause, queryOf } from "./call.ts";
import { type Execution, isSettled, parseExecution } from "./execution.ts";
import { parseAnswer } from "./parse-answer.ts";

type Schemas = components["schemas"];
export type Accepted = Schemas["Accepted"];
export type ExecutionList = Schemas["ExecutionList"];
export type ListQuery = NonNullable<operations["listExecutions"]["parameters"]["query"]>;

export type SubmitRequest = Schemas["ExecuteRequest"] & {
  /**
   * The script's memory as JSON text, for numbers that JavaScript would round. Use it instead of `memory`,
   * not beside it.
   */
  readonly memoryJson?: string | undefined;
};

export type SubmitOptions = CallOptions & {
  /**
   * A key that names this submission: the gateway answers every request with the same key by the same
   * execution, so that a repeated request starts no second one. Undefined: the client makes a key, unless the
   * call is never sent again.
   */
  readonly idempotencyKey?: string | undefined;
};

export type GetOptions = CallOptions & {
  /** Seconds for which the gateway holds the answer while the execution is pending or running; 0 to 60. */
  readonly waitSeconds?: number | undefined;
  /** Bytes of UTF-8 at the beginning of stdout that the answer leaves out; undefined: none. */
  readonly stdoutFrom?: number | undefined;
  /** Bytes of UTF-8 at the beginning of stderr that the answer leaves out; undefined: none. */
  readonly stderrFrom?: number | undefined;
};

export type RespondOptions = CallOptions & {
  /**
   * The id of the llm request that the response is for. Without it the response goes to whichever request is
   * open, so the client does not send it again when its answer was lost: it could reach the next llm request.
   */
  readonly llmRequestId?: string | undefined;
};

export type Executions = {
  /** Reads an execution as it is now. */
  get(id: string, options?: GetOptions): Promise<Execution>;
  /**
   * Polls until the execution has ended or waits for a response. Rejects with the code `timeout` when that takes
   * longer than `timeoutMs`; the script goes on.
   */
  wait(id: string, options?: CallOptions): Promise<Execution>;
  /** Answers an llm request. Resolves to the execution as it stands then. */
  respond(id: string, response: string, options?: RespondOptions): Promise<Execution>;
  /** Ends an execution. Resolves to the execution as it stands then. */
  cancel(id: string, options?: CallOptions): Promise<Execution>;
  /** Reads one page of executions, newest first; `next_cursor` leads to the next page. */
  list(query?: ListQuery, options?: CallOptions): Promise<ExecutionList>;
};

// Seconds of one long poll. Proxies give up an answer after 60 seconds, as a rule.
const POLL_SECONDS = 30;
// Milliseconds: a poll that takes less was answered early, as a gateway does that is stopping. Then `wait`
// pauses before the next poll, because it would poll in a fast loop otherwise.
const EARLY_MS = 1_000;
/** Milliseconds that `wait` pauses after a poll that was answered early. */
const PAUSE_MS = 250;

/** Submits a script. Resolves as soon as Airlock has accepted it. */
export async function submit(
  caller: Caller,
  { memoryJson, ...request }: SubmitRequest,
  { idempotencyKey, ...options }: SubmitOptions = {},
): Promise<Accepted> {
  const key = idempotencyKey ?? ((options.retry ?? caller.retry) === "never" ? undefined : newKey());
  const call = {
    method: "POST",
    path: "/execute",
    body: bodyOf(request, memoryJson),
    headers: key === undefined ? {} : { "idempotency-key": key },
    isRepeatable: key !== undefined,
  } as const;
  return parseAnswer<Accepted>(await caller.send(call, options), caller.url);
}

export function createExecutions(caller: Caller): Executions {
  const pathOf = (id: string) => `/executions/${encodeURIComponent(id)}`;
  const read = (body: string) => parseAnswer(body, caller.url, parseExecution);

  const get: Executions["get"] = async (id, { waitSeconds, stdoutFrom, stderrFrom, ...options } = {}) => {
    const query = queryOf({ wait: waitSeconds, stdout_from: stdoutFrom, stderr_from: stderrFrom });
    const holdMs = (waitSeconds ?? 0) * 1_000;
    return read(
      await caller.send({ method: "GET", path: pathOf(id) + query, holdMs, isRepeatable: true }, options),
    );
  };

  /**
   * Sends a response or a cancellation. `isRepeatable`: it may be sent a second time, because the router
   * refuses a second one.
   */
  const change = async (
    id: string,
    action: "respond" | "cancel",
    body: string | undefined,
    isRepeatable: boolean,
    options: CallOptions,
  ): Promise<Execution> => {
    try {
      const path = `${pathOf(id)}/${action}`;
      return read(await caller.send({ method: "POST", path, body, isRepeatable }, options));
    } catch (error) {
      // A 409 to a repeated request mostly means that the router accepted an earlier attempt of this call, whose
      // answer was lost. So the execution is read instead. It shows whether it was cancelled, but not whose
      // response was taken.
      const mayBeTaken = error instanceof ApiError && error.status === 409 && error.attempts > 1;
      if (!mayBeTaken) throw error;
      const execution = await get(id, options);
      if (action === "cancel" && execution.end_reason !== "cancelled") throw error;
      return execution;
    }
  };

  return {
    get,

    async wait(id, { timeoutMs = Infinity, ...options } = {}) {
      const startedMs = performance.now();
      for (;;) {
        const pollMs = performance.now();
        const leftMs = timeoutMs - (pollMs - startedMs);
        // The gateway holds the answer half a second less than the time that is left, so that it answers
        // before the client's time limit ends the call.
        const waitSeconds = Math.max(0, Math.min(POLL_SECONDS, leftMs / 1_000 - 0.5));
        const execution = await get(id, { ...options, waitSeconds, timeoutMs: leftMs });
        if (isSettled(execution)) return execution;
        if (performance.now() - startedMs + PAUSE_MS > timeoutMs) {
          const seconds = timeoutMs / 1_000;
          const message = `Execution ${id} is still ${execution.status} after ${seconds} seconds; it goes on.`;
          throw new ApiError("timeout", message, { url: caller.url, attempts: 1 });
        }
        if (performance.now() - pollMs < EARLY_MS) await pause(PAUSE_MS, options.signal);
      }
    },

    respond(id, response, { llmRequestId, ...options } = {}) {
      const body = JSON.stringify({ response, llm_request_id: llmRequestId });
      return change(id, "respond", body, llmRequestId !== undefined, options);
    },

    cancel: (id, options = {}) => change(id, "cancel", undefined, true, options),

    async list(query = {}, options = {}) {
      const path = `/executions${queryOf(query)}`;
      return parseAnswer(await caller.send({ method: "GET", path, isRepeatable: true }, options), caller.url);
    },
  };
}

function newKey(): string {
  return globalThis.crypto.randomUUID();
}

/** Writes the body of POST /execute. `memoryJson` is inserted as it is, so that its numbers keep their digits. */
function bodyOf(request: Schemas["ExecuteRequest"], memoryJson: string | undefined): string {
  const body = JSON.stringify(request);
  if (memoryJson === undefined) return body;
  if (request.memory) throw new TypeError("A submission has either memory or memoryJson.");
  // JSON.parse throws a SyntaxError when `memoryJson` is not exactly one JSON value.
  JSON.parse(memoryJson);
  const { memory: _none, ...others } = request;
  return `${JSON.stringify(others).slice(0, -1)},"memory":${memoryJson}}`;
}
