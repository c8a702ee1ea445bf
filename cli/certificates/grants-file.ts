import { randomBytes } from "node:crypto";
import { chmod, readFile, rename, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ConfigError } from "#common/service/environment.ts";
import { systemReason } from "#common/system-reason.ts";
import { parseGrants } from "../../services/authority/grants/parse-grants.ts";
import { neededDirectory } from "../make-directory.ts";

export type ClientGrant = { readonly cert: string; readonly role: string; readonly tenant: string };

const HEADING =
  "# What tokens and client certificates may do. The authority reads this file again when it changes.\n";

/**
 * The file of grants that goes with the certificates in `directory`: AIRLOCK_GRANTS_FILE, or the one that
 * `./airlock init` makes beside them, or else one in the directory itself.
 */
export async function grantsFileFor(directory: string, given: string | undefined): Promise<string> {
  if (given) return given;
  const ofCompose = join(directory, "..", "grants", "grants.yaml");
  const isThere = await stat(ofCompose).then(
    () => true,
    () => false,
  );
  return isThere ? ofCompose : join(directory, "grants.yaml");
}

/** Makes a file of grants without any, unless there is one. */
export async function makeGrantsFile(path: string): Promise<void> {
  if ((await textOf(path)) === "") await replace(path, HEADING);
}

/**
 * Appends a grant to the file. Does nothing when the file has it. Throws a ConfigError, and changes nothing, when
 * the file has a mistake, or another role for the same client.
 */
export async function appendGrant(path: string, { cert, role, tenant }: ClientGrant): Promise<void> {
  const text = (await textOf(path)) || HEADING;
  const now = grantsIn(path, text);
  const same = now.filter((grant) => "cert" in grant.to && grant.to.cert === cert && grant.tenant === tenant);
  if (same.some((grant) => grant.role === role)) return;
  if (same.length > 0) {
    throw new ConfigError([
      `${path} grants ${cert} the role ${same[0]?.role} in the tenant ${tenant} already, and the higher role would count. Change it there.`,
    ]);
  }
  const more = `${text.endsWith("\n") ? text : `${text}\n`}- {cert: ${cert}, role: ${role}, tenant: ${tenant}}\n`;
  // A list in brackets cannot be appended to.
  grantsIn(path, more);
  await replace(path, more);
}

function grantsIn(path: string, text: string) {
  const grants = parseGrants(path, text);
  if ("problem" in grants)
    throw new ConfigError([
      `The grant cannot be added to the file: ${grants.problem}. Correct the file first.`,
    ]);
  return grants;
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw new ConfigError([`${path} cannot be read (${systemReason(error)}).`]);
  }
}

/** Writes the file atomically, because the authority may read it at any moment. */
async function replace(path: string, text: string): Promise<void> {
  await neededDirectory(dirname(path));
  const draft = `${path}.${randomBytes(4).toString("hex")}`;
  try {
    await writeFile(draft, text, { mode: 0o644, flag: "wx" });
    await chmod(draft, 0o644);
    await rename(draft, path);
  } catch (error) {
    throw new ConfigError([`${path} cannot be written (${systemReason(error)}).`]);
  }
}
