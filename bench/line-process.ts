import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** A process that answers each line of JSON on its standard input with one line of JSON. */
export type LineProcess = {
  readonly pid: number;
  /** The process's first line, which says that it is ready. */
  readonly greeting: unknown;
  ask<Answer>(question: unknown): Promise<Answer>;
  close(): Promise<void>;
};

const KEPT_ERROR_CHARACTERS = 4_000;

/**
 * Starts the process and waits for its first line. Rejects with its standard error when it ends before that.
 */
export async function startLineProcess(
  command: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<LineProcess> {
  const [file = "", ...args] = command;
  const child = spawn(file, args, { env, stdio: "pipe" });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-KEPT_ERROR_CHARACTERS);
  });
  // A write to a process that has died fails quietly, because the next `ask` reports its end.
  child.stdin.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  child.once("error", failed.reject);
  void closed.then(() => failed.reject(new Error(`${file} ended: ${errors.trim()}`)));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    const { value, done } = await Promise.race([lines.next(), failed.promise]);
    return done ? await failed.promise : JSON.parse(value);
  };
  return {
    greeting: await answer(),
    pid: child.pid as number,
    async ask(question) {
      child.stdin.write(`${JSON.stringify(question)}\n`);
      return await answer();
    },
    async close() {
      child.stdin.end();
      await closed;
    },
  };
}
