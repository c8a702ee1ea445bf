import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** A process that answers every line of JSON with one. */
export type LineProcess = {
  readonly pid: number;
  /** What it said first, once it was ready. */
  readonly greeting: unknown;
  ask<Answer>(question: unknown): Promise<Answer>;
  close(): Promise<void>;
};

const KEPT_ERROR_CHARACTERS = 4_000;

/** Starts it and waits for its first line. Rejects with what it wrote to standard error when it ends before. */
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
  // One that died is noticed by the next question.
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
