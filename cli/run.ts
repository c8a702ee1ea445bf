import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { ConfigError } from "../services/common/environment.ts";
import { systemReason } from "../services/common/system-reason.ts";
import { type Execution, exitStatusOf, hasEnded, resultText } from "./execution.ts";
import { type LineReader, openLineReader } from "./line-reader.ts";
import { createRestClient, type RestClient } from "./rest-client.ts";
import { RestError } from "./rest-error.ts";
import { executeBody, parseRunArguments } from "./run-arguments.ts";
import { forOutput, quoted } from "./terminal.ts";

const POLL_MS = 150;
const CTRL_C = 130;

/** `./airlock run`: posts a script and follows it to its end. Resolves to the exit status. */
export async function run(args: readonly string[]): Promise<number> {
  const parsed = parseRunArguments(args);
  const code = parsed.file === "-" ? await readStdin() : await readText(parsed.file);
  const memory = parsed.memoryFile === undefined ? undefined : await readText(parsed.memoryFile);
  const client = createRestClient(process.env);
  // Before the script is sent: an interrupt while the answer is on its way would leave it running.
  const interrupt = new AbortController();
  process.on("SIGINT", () => {
    if (interrupt.signal.aborted) process.exit(CTRL_C);
    interrupt.abort();
  });
  const accepted: Execution = JSON.parse(await client.post("/execute", executeBody(parsed, code, memory)));
  const following = new Following(client, accepted.execution_id, !parsed.json, parsed.file === "-");
  const body = await following.toTheEnd(interrupt.signal);
  const execution: Execution = JSON.parse(body);
  if (parsed.json) process.stdout.write(`${forOutput(body.trimEnd())}\n`);
  else report(execution, body);
  return interrupt.signal.aborted ? CTRL_C : exitStatusOf(execution);
}

class Following {
  readonly #client: RestClient;
  readonly #path: string;
  readonly #shown: boolean;
  readonly #stdinIsTaken: boolean;
  readonly #printed = { stdout: 0, stderr: 0 };
  #answers: LineReader | undefined;

  constructor(client: RestClient, executionId: string, shown: boolean, stdinIsTaken: boolean) {
    this.#client = client;
    this.#path = `/executions/${executionId}`;
    this.#shown = shown;
    this.#stdinIsTaken = stdinIsTaken;
  }

  /** Shows output, asks for answers, cancels when `interrupt` aborts; resolves to the final execution as it was sent. */
  async toTheEnd(interrupt: AbortSignal): Promise<string> {
    let isCancelled = false;
    try {
      for (;;) {
        if (interrupt.aborted && !isCancelled) {
          isCancelled = true;
          await this.#postUnlessTooLate("cancel");
        }
        const body = await this.#client.get(this.#path);
        const execution: Execution = JSON.parse(body);
        this.#print(execution);
        if (hasEnded(execution)) return body;
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
    this.#answers ??= await openLineReader(this.#stdinIsTaken);
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

  /** The execution may have ended, or been answered by somebody else, in the meantime: the next poll tells. */
  async #postUnlessTooLate(action: "cancel" | "respond", body?: string): Promise<void> {
    await this.#client.post(`${this.#path}/${action}`, body).catch((error: unknown) => {
      if (!(error instanceof RestError && error.status === 409)) throw error;
    });
  }

  #print(execution: Execution): void {
    if (!this.#shown) return;
    for (const stream of ["stdout", "stderr"] as const) {
      const text = execution[stream];
      process[stream].write(text.slice(this.#printed[stream]));
      this.#printed[stream] = Math.max(this.#printed[stream], text.length);
    }
  }
}

function report(execution: Execution, body: string): void {
  const { error, truncated, end_reason: endReason } = execution;
  for (const stream of ["stdout", "stderr"] as const) {
    const bytes = truncated?.[stream] ?? 0;
    if (bytes > 0) process.stderr.write(`(${stream} was cut: ${bytes} bytes more)\n`);
  }
  if (execution.status !== "completed") {
    process.stderr.write(`${quoted(error ?? "It did not complete.")}\n(${execution.status}: ${endReason})\n`);
  }
  const result = resultText(body);
  if (result !== undefined) process.stdout.write(`${forOutput(result)}\n`);
}

async function readText(path: string): Promise<string> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError([`${path} cannot be read: ${systemReason(error)}.`]);
  });
  return decode(bytes);
}

/** Without the byte order mark that editors put before a text, and Python does not count as a part of it. */
function decode(bytes: Buffer): string {
  return new TextDecoder().decode(bytes);
}

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return decode(Buffer.concat(chunks));
}
