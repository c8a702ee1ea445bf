import { createHmac, randomBytes } from "node:crypto";
import { link, mkdir, readFile, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { HoldRouteRequest } from "#proto/egress.ts";

/**
 * The texts by which the egress service recognises one run: user name and password for the proxy, and the end
 * of each placeholder. The script gets them in its environment, and they do not change during the run.
 */
export type RunMarks = {
  readonly username: string;
  readonly password: string;
  /** The part of this secret's placeholder that is unique to the run. */
  ofSecret(name: string): string;
};

const KEY_BYTES = 32;
const FILE = "egress-route-key";

/**
 * Derives the proxy credentials and placeholders of a run from its ids and a key. Any replica of the egress
 * service, also after a restart, derives the same texts and so recognises the run by what its script was
 * given. Without the key the texts reveal nothing.
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

/**
 * Reads the key for `marksOf` from this data directory, which all replicas of the egress service share. When
 * the directory has none, a new key is made, in a file that only its owner can read. Rejects when the file is
 * damaged.
 */
export async function openRouteKey(directory: string): Promise<Buffer> {
  const path = join(directory, FILE);
  const known = await read(path);
  if (known) return known;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // The file is written under another name and then linked, so that another replica of the egress service
  // never reads a half-written key.
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  await writeFile(draft, randomBytes(KEY_BYTES).toString("hex"), { mode: 0o600, flag: "wx" });
  try {
    await link(draft, path);
  } catch (error) {
    // Another replica of the egress service has written the file first, so all replicas use that replica's
    // key.
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
