import { realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { worldReadableScript } from "../support/world-readable.ts";

const ROOT = join(import.meta.dirname, "..", "..");
// A user id that no machine assigns, so that the account owns no file and belongs to no group.
const ORDINARY_UID = 54_321;

/** The user that runs a process of the tests. */
export type Account = { readonly name: "root" | "an ordinary user"; readonly uid: number };

const own = process.getuid?.() ?? 0;

export const ROOT_ACCOUNT: Account = { name: "root", uid: 0 };
export const ORDINARY_ACCOUNT: Account = { name: "an ordinary user", uid: own === 0 ? ORDINARY_UID : own };
export const OTHER_ACCOUNT: Account = { name: "an ordinary user", uid: ORDINARY_UID + 1 };
/** The kernel's overflow user, which owns files without an owner. */
export const NOBODY_ACCOUNT: Account = { name: "an ordinary user", uid: 65_534 };

/** The reason why this machine can run nothing as the account; undefined when it can. */
export function accountMissing({ uid }: Account): string | undefined {
  return own === 0 || own === uid ? undefined : `only root can start something as user ${uid}`;
}

export type Command = { readonly file: string; readonly args: readonly string[] };

/**
 * The command line that runs a command of this checkout as the account; the command may start the interpreter
 * `python`. When root starts the command for another user, the command gets no group and no capability of root. It
 * gets its own mount namespace, so that mounts of other processes do not count as its own. The spawned process itself
 * becomes the command. `aside` is an empty directory.
 */
export function asAccount({ uid }: Account, { file, args }: Command, python: string, aside: string): Command {
  if (own !== 0) return { file, args };
  const unshare = ["--mount", "--propagation=private"];
  if (uid === own) return { file: "unshare", args: [...unshare, file, ...args] };
  const installations = [file, python].map((program) => dirname(dirname(realpathSync(program))));
  const script = `${worldReadableScript([ROOT, ...installations], aside)}\nexec "$@"`;
  const drop = ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--inh-caps=-all"];
  return { file: "unshare", args: [...unshare, "sh", "-ec", script, "sh", ...drop, file, ...args] };
}
