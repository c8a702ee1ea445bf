import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { readApiKey } from "#common/identity/api-key.ts";
import { ConfigError } from "#common/service/environment.ts";
import { airlockUrl, connect } from "../client/connect.ts";
import { forgetKey, storeKey } from "../client/stored-keys.ts";
import { parseFlags, usageError } from "../flags.ts";
import { forOutput } from "../terminal/terminal.ts";

/**
 * `./airlock login` reads an API key from standard input, asks Airlock whose it is, and keeps it for later commands.
 * A key that Airlock refuses is not kept.
 */
export async function login(args: readonly string[]): Promise<number> {
  const { positionals } = parseFlags("login", args, {});
  if (positionals.length > 0)
    throw usageError("login", "login takes no arguments; it reads the key from standard input.");
  const url = airlockUrl(process.env);
  const key = (await readKey(url)).trim();
  if (!readApiKey(key))
    throw new ConfigError(["That is no API key (alk_...); ./airlock keys create, or an admin, makes one."]);
  const { principal, role } = await connect({ ...process.env, AIRLOCK_KEY: key }).me();
  const path = await storeKey(url, key, process.env);
  process.stdout.write(forOutput(`You are ${principal} (${role}). The key is kept in ${path}.\n`));
  return 0;
}

/** `./airlock logout` forgets the key that `login` kept. The key itself stays valid. */
export async function logout(args: readonly string[]): Promise<number> {
  const { positionals } = parseFlags("logout", args, {});
  if (positionals.length > 0) throw usageError("logout", "logout takes no arguments.");
  const had = await forgetKey(airlockUrl(process.env), process.env);
  process.stdout.write(
    had
      ? "The key is forgotten here. It stays valid: ./airlock keys revoke ends one.\n"
      : "No key was kept for this Airlock.\n",
  );
  return 0;
}

/** Reads the key: at a terminal one line that is not shown, otherwise all of standard input. */
async function readKey(url: string): Promise<string> {
  if (!process.stdin.isTTY) return await text(process.stdin);
  process.stderr.write(`API key for ${new URL(url).origin} (not shown): `);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  try {
    const ended = new Promise<string>((resolve) => lines.once("close", () => resolve("")));
    return await Promise.race([lines.question(""), ended]);
  } finally {
    lines.close();
    process.stderr.write("\n");
  }
}
