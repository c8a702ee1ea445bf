import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ConfigError } from "../services/common/environment.ts";
import { parseFlags, usageError } from "./flags.ts";
import { logPathOf } from "./log-file.ts";
import { LOG_LEVELS, type LogFilter, readableLogLine } from "./log-lines.ts";

const POLL_MS = 200;

/** `./airlock logs`: one readable line per event. */
export async function logs(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseFlags("logs", args, {
    follow: { type: "boolean", short: "f", default: false },
    level: { type: "string", default: "trace" },
    project: { type: "string" },
    data: { type: "string" },
  });
  if (positionals.length > 1) throw usageError("logs", "logs takes one execution id at most.");
  const minLevel = LOG_LEVELS.get(values.level);
  if (minLevel === undefined) {
    throw usageError(
      "logs",
      `--level must be one of ${[...LOG_LEVELS.keys()].join(", ")}, not "${values.level}".`,
    );
  }
  const filter: LogFilter = { minLevel, executionId: positionals[0], project: values.project };
  const data = values.data || process.env.AIRLOCK_DATA_DIR || join(import.meta.dirname, "..", ".airlock");
  const path = logPathOf(resolve(data));
  const print = (line: string) => {
    const readable = readableLogLine(line, filter);
    if (readable !== undefined) process.stdout.write(`${readable}\n`);
  };
  const first = await identityOf(path);
  if (!first && !values.follow)
    throw new ConfigError([`There is no log at ${path} yet; ./airlock up writes it.`]);
  const position = first ? await printFrom(path, 0, print) : 0;
  return values.follow ? await follow(path, first?.ino, position, print) : 0;
}

/** Prints what is appended, also after the file was rotated away. Never resolves. */
async function follow(
  path: string,
  firstInode: number | undefined,
  firstPosition: number,
  print: (line: string) => void,
): Promise<number> {
  let inode = firstInode;
  let position = firstPosition;
  for (;;) {
    await sleep(POLL_MS);
    const now = await identityOf(path);
    if (!now) continue;
    if (now.ino !== inode || now.size < position) position = 0;
    inode = now.ino;
    if (now.size > position) position = await printFrom(path, position, print);
  }
}

async function identityOf(path: string): Promise<{ ino: number; size: number } | undefined> {
  return await stat(path).catch(() => undefined);
}

/** Prints the complete lines from `start` on; resolves to where the next one begins. */
async function printFrom(path: string, start: number, print: (line: string) => void): Promise<number> {
  let rest = "";
  let position = start;
  const input = createReadStream(path, { start, encoding: "utf8" });
  for await (const chunk of input) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      position += Buffer.byteLength(line) + 1;
      print(line);
    }
  }
  return position;
}
