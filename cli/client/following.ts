import { setTimeout as sleep } from "node:timers/promises";
import { AirlockError } from "#common/errors.ts";
import type { Airlock } from "#sdk/airlock.ts";
import { ApiError } from "#sdk/api-error.ts";
import type { CallOptions } from "#sdk/call.ts";
import { type Execution, hasEnded } from "#sdk/execution.ts";
import { quoted } from "../terminal/terminal.ts";
import { type LineReader, openLineReader } from "./line-reader.ts";
import { sentenceOf } from "./sentence-of.ts";

// Milliseconds between two reads of the execution at first, and after SOON_MS: a longer script would otherwise be
// read more often than a principal may read in a minute.
const POLL_MS = 150;
const LATER_POLL_MS = 500;
const SOON_MS = 10_000;
/** Milliseconds between two attempts of a call while Airlock does not answer. */
const RETRY_MS = 500;
// Milliseconds before the first line that says what a pending execution waits for, and between two such
// lines, because a short wait, or each step in a long queue, is not worth a line.
const REPORT_WAITING_MS = 2_000;
// Milliseconds for which a call is repeated while Airlock does not answer. A restart of Airlock takes less:
// ten seconds for its runs to end, some more for its workers to start.
const AWAY_MS = 60_000;
// A byte offset beyond the end of any output. A read from this offset returns no output.
const ALL_BYTES = 2 ** 40;
/** HTTP statuses that mean that Airlock does not answer; undefined: there was no HTTP answer at all. */
const AWAY_STATUSES: readonly (number | undefined)[] = [undefined, 502, 503, 504];

/** Polls one execution until it ends, for `./airlock run`. */
export class Following {
  readonly #executions: Airlock["executions"];
  readonly #executionId: string;
  readonly #shown: boolean;
  readonly #stdinIsTaken: boolean;
  // Bytes of UTF-8 of each output that were printed so far; the next read asks only for the output after
  // them. With --json nothing is printed before the execution has ended, so no output is read before either.
  readonly #printed = { stdout: 0, stderr: 0 };
  #answers: LineReader | undefined;
  /** Whether the last standard output that was printed does not end with a line end. */
  endsWithinLine = false;
  readonly #startedMs = performance.now();
  #reportedWaiting = "";
  #reportedWaitingMs = performance.now();

  constructor(airlock: Airlock, executionId: string, shown: boolean, stdinIsTaken: boolean) {
    this.#executions = airlock.executions;
    this.#executionId = executionId;
    this.#shown = shown;
    this.#stdinIsTaken = stdinIsTaken;
  }

  /**
   * Prints the script's output, asks the user for responses to llm requests, and cancels the execution when
   * `interrupt` aborts. Resolves to the ended execution, whose output lacks what was printed already.
   */
  async toTheEnd(interrupt: AbortSignal): Promise<Execution> {
    let isCancelled = false;
    try {
      for (;;) {
        if (interrupt.aborted && !isCancelled) {
          isCancelled = true;
          await this.#cancel();
        }
        const execution = await this.#poll(this.#printedBefore());
        this.#print(execution);
        this.#reportWaiting(execution);
        if (hasEnded(execution)) {
          return this.#shown ? execution : await this.#poll({});
        }
        if (execution.status === "awaiting_llm" && !isCancelled) {
          isCancelled = !(await this.#answer(execution, interrupt));
        } else {
          const wake = isCancelled ? {} : { signal: interrupt };
          const isSoon = performance.now() - this.#startedMs < SOON_MS;
          await sleep(isSoon ? POLL_MS : LATER_POLL_MS, undefined, wake).catch(() => undefined);
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
      process.stderr.write(
        "\nStandard input has ended, so no response can be read; cancelling the execution.\n",
      );
      await this.#cancel();
      return false;
    }
    await this.#unlessTooLate((options) =>
      this.#executions.respond(this.#executionId, response, { ...options, llmRequestId: request?.id }),
    );
    return true;
  }

  async #poll(outputFrom: {
    readonly stdoutFrom?: number;
    readonly stderrFrom?: number;
  }): Promise<Execution> {
    return await this.#withRetries((options) =>
      this.#executions.get(this.#executionId, { ...options, ...outputFrom }),
    );
  }

  async #cancel(): Promise<void> {
    await this.#unlessTooLate((options) => this.#executions.cancel(this.#executionId, options));
  }

  /**
   * Sends a response or a cancellation, and ignores the status 409: the execution may have ended already, or
   * another client may have responded. The next read shows the outcome.
   */
  async #unlessTooLate(change: (options: CallOptions) => Promise<Execution>): Promise<void> {
    await this.#withRetries(change).catch((error: unknown) => {
      if (!(error instanceof ApiError && error.status === 409)) throw error;
    });
  }

  /**
   * Repeats the call while Airlock does not answer, because a restarted Airlock still knows the execution.
   * Rejects with a sentence for the user after AWAY_MS.
   */
  async #withRetries(call: (options: CallOptions) => Promise<Execution>): Promise<Execution> {
    let isReported = false;
    const onRetry = ({ code, retryAfterSeconds }: ApiError) => {
      if (code === "rate_limited")
        process.stderr.write(`(too many requests; going on in ${retryAfterSeconds} s)\n`);
      else if (!isReported)
        process.stderr.write(`(Airlock does not answer; trying again for ${AWAY_MS / 1_000} s)\n`);
      isReported = true;
    };
    try {
      return await call({ retry: { forMs: AWAY_MS, delayMs: RETRY_MS, maxDelayMs: RETRY_MS, onRetry } });
    } catch (error) {
      if (!(error instanceof ApiError && AWAY_STATUSES.includes(error.status))) throw error;
      throw new AirlockError(
        "unavailable",
        `${sentenceOf(error)} What became of execution ${this.#executionId} tells GET /executions/${this.#executionId} once it answers again.`,
      );
    }
  }

  /**
   * Prints what a pending execution waits for, if the text has changed since the last such line and
   * REPORT_WAITING_MS have passed.
   */
  #reportWaiting({ waiting_on: waitingOn }: Execution): void {
    const detail = waitingOn?.detail ?? "";
    if (!this.#shown || detail === "" || detail === this.#reportedWaiting) return;
    if (performance.now() - this.#reportedWaitingMs < REPORT_WAITING_MS) return;
    process.stderr.write(`(waiting: ${quoted(detail)})\n`);
    this.#reportedWaiting = detail;
    this.#reportedWaitingMs = performance.now();
  }

  /**
   * The number of bytes at the beginning of each output that the next read leaves out: those that were
   * printed already, or all with --json.
   */
  #printedBefore(): { readonly stdoutFrom: number; readonly stderrFrom: number } {
    const { stdout, stderr } = this.#shown ? this.#printed : { stdout: ALL_BYTES, stderr: ALL_BYTES };
    return { stdoutFrom: stdout, stderrFrom: stderr };
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
