import { setTimeout as sleep } from "node:timers/promises";
import { quoted } from "../terminal/terminal.ts";
import { type Execution, hasEnded } from "./execution.ts";
import { type LineReader, openLineReader } from "./line-reader.ts";
import type { RestClient } from "./rest-client.ts";
import { RestError } from "./rest-error.ts";

const POLL_MS = 150;
const RETRY_MS = 500;
// Milliseconds before and between lines about waiting, because a short wait or each step in a long queue is
// not worth a line.
const REPORT_WAITING_MS = 2_000;
// Milliseconds to retry while Airlock does not answer. A restart takes less: ten seconds for its runs, some
// more for its workers.
const AWAY_MS = 60_000;
// An offset beyond the end of any output, so that the answer holds no output.
const ALL_BYTES = 2 ** 40;
const AWAY_STATUSES: readonly (number | undefined)[] = [undefined, 502, 503, 504];

/** Polls one execution until it ends, for `./airlock run`. */
export class Following {
  readonly #client: RestClient;
  readonly #executionId: string;
  readonly #path: string;
  readonly #shown: boolean;
  readonly #stdinIsTaken: boolean;
  // Bytes of UTF-8 that were printed so far. With --json nothing is printed before the end, so no output is
  // requested before.
  readonly #printed = { stdout: 0, stderr: 0 };
  #answers: LineReader | undefined;
  /** Whether the standard output that was printed ends without a line end. */
  endsWithinLine = false;
  #reportedWaiting = "";
  #reportedWaitingMs = performance.now();

  constructor(client: RestClient, executionId: string, shown: boolean, stdinIsTaken: boolean) {
    this.#client = client;
    this.#executionId = executionId;
    this.#path = `/executions/${executionId}`;
    this.#shown = shown;
    this.#stdinIsTaken = stdinIsTaken;
  }

  /**
   * Prints output, asks the user for responses, and cancels the execution when `interrupt` aborts. Resolves
   * to the JSON text of the ended execution, without the output that was printed before.
   */
  async toTheEnd(interrupt: AbortSignal): Promise<string> {
    let isCancelled = false;
    try {
      for (;;) {
        if (interrupt.aborted && !isCancelled) {
          isCancelled = true;
          await this.#postUnlessTooLate("cancel");
        }
        const body = await this.#withRetries(() => this.#client.get(this.#path + this.#query()));
        const execution: Execution = JSON.parse(body);
        this.#print(execution);
        this.#reportWaiting(execution);
        if (hasEnded(execution)) {
          if (this.#shown) return body;
          return await this.#withRetries(() => this.#client.get(this.#path));
        }
        if (execution.status === "awaiting_llm" && !isCancelled) {
          isCancelled = !(await this.#answer(execution, interrupt));
        } else {
          const wake = isCancelled ? {} : { signal: interrupt };
          await sleep(POLL_MS, undefined, wake).catch(() => undefined);
        }
      }
    } finally {
      this.#answers?.close();
    }
  }

  /**
   * Asks the user to respond to an llm request and sends the response. Resolves to false when standard input
   * has ended; the execution is then cancelled.
   */
  async #answer({ llm_request: request }: Execution, interrupt: AbortSignal): Promise<boolean> {
    process.stderr.write(`\n${quoted(request?.prompt ?? "")}\n[${quoted(request?.model ?? "")}] answer> `);
    this.#answers ??= openLineReader(this.#stdinIsTaken);
    const response = await this.#answers.next(interrupt);
    if (interrupt.aborted) return true;
    if (response === null) {
      process.stderr.write("\nThere is no more input to answer with; cancelling.\n");
      await this.#postUnlessTooLate("cancel");
      return false;
    }
    await this.#postUnlessTooLate("respond", JSON.stringify({ response, llm_request_id: request?.id }));
    return true;
  }

  /**
   * Posts a change and ignores a 409, because the execution may have ended or another client may have
   * responded. The next poll shows the outcome.
   */
  async #postUnlessTooLate(action: "cancel" | "respond", body?: string): Promise<void> {
    await this.#withRetries(() => this.#client.post(`${this.#path}/${action}`, body)).catch(
      (error: unknown) => {
        if (!(error instanceof RestError && error.status === 409)) throw error;
      },
    );
  }

  /**
   * Repeats the call while Airlock does not answer, because a restarted Airlock still knows the execution.
   * Rejects after AWAY_MS.
   */
  async #withRetries(call: () => Promise<string>): Promise<string> {
    const startedMs = performance.now();
    let isReported = false;
    for (;;) {
      try {
        return await call();
      } catch (error) {
        if (!(error instanceof RestError && AWAY_STATUSES.includes(error.status))) throw error;
        if (performance.now() - startedMs > AWAY_MS) throw this.#lostSight(error);
        if (!isReported)
          process.stderr.write(`(Airlock does not answer; trying again for ${AWAY_MS / 1_000} s)\n`);
        isReported = true;
      }
      await sleep(RETRY_MS);
    }
  }

  #lostSight(error: RestError): RestError {
    return new RestError(
      `${error.message} What became of execution ${this.#executionId} tells GET ${this.#path} once it answers again.`,
      error.status,
    );
  }

  /**
   * Prints what a pending execution waits for, when the text has changed and REPORT_WAITING_MS have passed.
   */
  #reportWaiting({ waiting_on: waitingOn }: Execution): void {
    const detail = waitingOn?.detail ?? "";
    if (!this.#shown || detail === "" || detail === this.#reportedWaiting) return;
    if (performance.now() - this.#reportedWaitingMs < REPORT_WAITING_MS) return;
    process.stderr.write(`(waiting: ${quoted(detail)})\n`);
    this.#reportedWaiting = detail;
    this.#reportedWaitingMs = performance.now();
  }

  /** The query that leaves out the output that was printed already. */
  #query(): string {
    const { stdout, stderr } = this.#shown ? this.#printed : { stdout: ALL_BYTES, stderr: ALL_BYTES };
    return `?stdout_from=${stdout}&stderr_from=${stderr}`;
  }

  #print(execution: Execution): void {
    if (!this.#shown) return;
    for (const stream of ["stdout", "stderr"] as const) {
      const text = execution[stream];
      process[stream].write(text);
      this.#printed[stream] += Buffer.byteLength(text);
      if (stream === "stdout" && text !== "") this.endsWithinLine = !text.endsWith("\n");
    }
  }
}
