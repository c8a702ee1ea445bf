import { createHmac, randomBytes } from "node:crypto";
import { link, mkdir, readFile, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { HoldRouteRequest } from "#proto/egress.ts";

/** What a run is given once, in its environment, and is known by until its end. */
export type RunMarks = {
  readonly username: string;
  readonly password: string;
  /** What makes the placeholder of this secret the run's own. */
  ofSecret(name: string): string;
};

const KEY_BYTES = 32;
const FILE = "egress-route-key";

/**
 * The marks of a run follow from it and from a key, so that whichever egress service has the run's route later, another replica or this
 * one after a restart, knows the run by what its script was given. Without the key they tell nothing.
 */
export function marksOf(
  key: Buffer,
  { project, executionId, workerId }: Pick<HoldRouteRequest, "project" | "executionId" | "workerId">,
): RunMarks {
  const mark = (bytes: number, ...what: string[]) =>
    createHmac("sha256", key)
      .update(JSON.stringify([project, executionId, workerId, ...what]))
      .digest("hex")
      .slice(0, 2 * bytes);
  return {
    username: mark(12, "username"),
    password: mark(24, "password"),
    ofSecret: (name) => mark(18, "placeholder", name),
  };
}

/** The key of this data directory, which all replicas share; the first time it is made, readable by its owner only. */
export async function openRouteKey(directory: string): Promise<Buffer> {
  const path = join(directory, FILE);
  const known = await read(path);
  if (known) return known;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // Whole or not at all: another replica may look at the same moment.
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  await writeFile(draft, randomBytes(KEY_BYTES).toString("hex"), { mode: 0o600, flag: "wx" });
  try {
    await link(draft, path);
  } catch (error) {
    // Another one was first: its key is everybody's.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    await unlink(draft);
  }
  const stored = await read(path);
  if (!stored) throw new Error(`${FILE} was not stored`);
  return stored;
}

async function read(path: string): Promise<Buffer | undefined> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const key = Buffer.from(text.trim(), "hex");
  if (key.length !== KEY_BYTES) throw new Error(`${FILE} is damaged; remove it to have a new one made`);
  return key;
}
