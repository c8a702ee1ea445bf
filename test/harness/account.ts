import { realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { openDoorsScript } from "../support/world-readable.ts";

const ROOT = join(import.meta.dirname, "..", "..");
// Nobody's on any machine: it owns no file and belongs to no group.
const ORDINARY_UID = 54_321;

/** The user that a process runs as. */
export type Account = { readonly name: "root" | "an ordinary user"; readonly uid: number };

const own = process.getuid?.() ?? 0;

export const ROOT_ACCOUNT: Account = { name: "root", uid: 0 };
export const ORDINARY_ACCOUNT: Account = { name: "an ordinary user", uid: own === 0 ? ORDINARY_UID : own };
export const OTHER_ACCOUNT: Account = { name: "an ordinary user", uid: ORDINARY_UID + 1 };
/** Whom files without an owner belong to. */
export const NOBODY_ACCOUNT: Account = { name: "an ordinary user", uid: 65_534 };

/** Why nothing can run as this account here; undefined when it can. */
export function accountMissing({ uid }: Account): string | undefined {
  return own === 0 || own === uid ? undefined : `only root can start something as user ${uid}`;
}

export type Command = { readonly file: string; readonly args: readonly string[] };

/**
 * What to spawn so that a command of this checkout, which may start the interpreter `python`, runs as the account: without
 * a group or a capability of root where root starts it for somebody else, and in a mount namespace of its own, so that
 * nobody else's mounts count as its. The spawned process itself becomes the command. `aside`: an empty directory.
 */
export function asAccount({ uid }: Account, { file, args }: Command, python: string, aside: string): Command {
  if (own !== 0) return { file, args };
  const unshare = ["--mount", "--propagation=private"];
  if (uid === own) return { file: "unshare", args: [...unshare, file, ...args] };
  const installations = [file, python].map((program) => dirname(dirname(realpathSync(program))));
  const script = `${openDoorsScript([ROOT, ...installations], aside)}\nexec "$@"`;
  const drop = ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--inh-caps=-all"];
  return { file: "unshare", args: [...unshare, "sh", "-ec", script, "sh", ...drop, file, ...args] };
}
