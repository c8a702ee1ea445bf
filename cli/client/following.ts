import { setTimeout as sleep } from "node:timers/promises";
import { quoted } from "../terminal/terminal.ts";
import { type Execution, hasEnded } from "./execution.ts";
import { type LineReader, openLineReader } from "./line-reader.ts";
import type { RestClient } from "./rest-client.ts";
import { RestError } from "./rest-error.ts";

const POLL_MS = 150;
const RETRY_MS = 500;
// What passes within a moment is not worth a line, and neither is each place in a long queue.
const TELL_WAITING_MS = 2_000;
// Longer than an Airlock that restarts takes: its runs have ten seconds, its workers some more.
const AWAY_MS = 60_000;
// More than any output has.
const ALL_BYTES = 2 ** 40;
const AWAY_STATUSES: readonly (number | undefined)[] = [undefined, 502, 503, 504];

/** Follows one execution to its end. */
export class Following {
  readonly #client: RestClient;
  readonly #executionId: string;
  readonly #path: string;
  readonly #shown: boolean;
  readonly #stdinIsTaken: boolean;
  // In bytes of UTF-8; what is not shown is not asked for before the end.
  readonly #printed = { stdout: 0, stderr: 0 };
  #answers: LineReader | undefined;
  /** Whether the standard output that was shown ends without a line end. */
  endsWithinLine = false;
  #toldWaiting = "";
  #toldWaitingMs = performance.now();

  constructor(client: RestClient, executionId: string, shown: boolean, stdinIsTaken: boolean) {
    this.#client = client;
    this.#executionId = executionId;
    this.#path = `/executions/${executionId}`;
    this.#shown = shown;
    this.#stdinIsTaken = stdinIsTaken;
  }

  /**
   * Shows output, asks for answers, cancels when `interrupt` aborts. Resolves to the final execution as it was sent, without the
   * output that was shown before.
   */
  async toTheEnd(interrupt: AbortSignal): Promise<string> {
    let isCancelled = false;
    try {
      for (;;) {
        if (interrupt.aborted && !isCancelled) {
          isCancelled = true;
          await this.#postUnlessTooLate("cancel");
        }
        const body = await this.#patiently(() => this.#client.get(this.#path + this.#query()));
        const execution: Execution = JSON.parse(body);
        this.#print(execution);
        this.#tellWaiting(execution);
        if (hasEnded(execution)) {
          if (this.#shown) return body;
          return await this.#patiently(() => this.#client.get(this.#path));
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

  /** Asks for an answer and sends it; false when there is nobody to ask and the execution is being cancelled. */
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

  /** The execution may have ended, or been answered by another caller, in the meantime: the next poll tells. */
  async #postUnlessTooLate(action: "cancel" | "respond", body?: string): Promise<void> {
    await this.#patiently(() => this.#client.post(`${this.#path}/${action}`, body)).catch(
      (error: unknown) => {
        if (!(error instanceof RestError && error.status === 409)) throw error;
      },
    );
  }

  /** Makes the call again while Airlock is away: one that restarts knows the execution afterwards. */
  async #patiently(call: () => Promise<string>): Promise<string> {
    const startedMs = performance.now();
    let isTold = false;
    for (;;) {
      try {
        return await call();
      } catch (error) {
        if (!(error instanceof RestError && AWAY_STATUSES.includes(error.status))) throw error;
        if (performance.now() - startedMs > AWAY_MS) throw this.#lostSight(error);
        if (!isTold)
          process.stderr.write(`(Airlock does not answer; trying again for ${AWAY_MS / 1_000} s)\n`);
        isTold = true;
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

  /** Says what a pending execution waits for, when that has changed and some time has passed. */
  #tellWaiting({ waiting_on: waitingOn }: Execution): void {
    const detail = waitingOn?.detail ?? "";
    if (!this.#shown || detail === "" || detail === this.#toldWaiting) return;
    if (performance.now() - this.#toldWaitingMs < TELL_WAITING_MS) return;
    process.stderr.write(`(waiting: ${quoted(detail)})\n`);
    this.#toldWaiting = detail;
    this.#toldWaitingMs = performance.now();
  }

  /** Leaves out the output that is here already. */
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
