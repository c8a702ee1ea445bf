import { AirlockError } from "#common/errors.ts";
import type { Project } from "#common/projects/file.ts";
import type { SecretReference } from "#common/projects/sections/secrets.ts";
import { textMeant } from "#common/redaction/needles/secret-parts.ts";
import { Secret } from "#common/secret.ts";
import { BrokeredSecret } from "./brokered-secret.ts";
import { parseReference } from "./reference.ts";
import { type SecretSources, UnresolvedSecret } from "./sources/source.ts";

/**
 * Bytes that a secret value must have at least. A shorter value would also occur in harmless output, and
 * redacting it there would mangle every line.
 */
const MIN_VALUE_BYTES = 6;

/**
 * Characters that a brokered value must have at least, so that a script cannot find it by guessing. The
 * egress service redacts the value in the responses of the host to which the value is sent. If this host
 * echoes what a script sends, the script sees from the redaction that a guess was right, and it can send many
 * millions of guesses.
 */
const MIN_BROKERED_CHARACTERS = 16;

/**
 * Reads the current values of a project's secrets. Rejects with one AirlockError that names every secret with
 * a problem and the kind of its reference:
 *
 * - `project_invalid` when the project file must change
 * - `unavailable` when all problems are transient: an unreachable vault, a file that is being written
 * - `start_failed` otherwise
 */
export async function resolveSecrets(project: Project, sources: SecretSources): Promise<Secret[]> {
  const results = await Promise.all(project.secrets.map((reference) => resolveOne(reference, sources)));
  const problems = results.filter((result) => "problem" in result);
  if (problems.length === 0) return results.filter((result) => result instanceof Secret);
  throw new AirlockError(
    GRAVEST_FIRST.find((code) => problems.some((problem) => problem.code === code)) ?? "start_failed",
    `Project "${project.name}" cannot be given its secrets. ${problems.map((each) => each.problem).join(" ")}`,
  );
}

/**
 * The secrets of a project that can be read without asking another system (a vault), and a sentence for each
 * one that cannot be used, unless its problem is transient.
 */
export type LocalSecrets = { readonly secrets: readonly Secret[]; readonly problems: readonly string[] };

/**
 * Reads the secrets that are not in a vault, so that problems can be reported as soon as the project file
 * exists.
 */
export async function localSecrets(project: Project, sources: SecretSources): Promise<LocalSecrets> {
  const local = project.secrets.filter(({ reference }) => {
    const kind = parseReference(reference)?.kind;
    return kind === undefined || !sources[kind].isRemote;
  });
  const results = await Promise.all(local.map((reference) => resolveOne(reference, sources)));
  return {
    secrets: results.filter((result) => result instanceof Secret),
    // A transient problem, such as a file that is being written, is not reported, because an execution that
    // meets the problem waits until it is over.
    problems: results.flatMap((result) =>
      "problem" in result && result.code !== "unavailable" ? result.problem : [],
    ),
  };
}

const GRAVEST_FIRST = ["project_invalid", "start_failed", "unavailable"] as const;

type Problem = { readonly code: (typeof GRAVEST_FIRST)[number]; readonly problem: string };

async function resolveOne(
  { name, reference: text, inject }: SecretReference,
  sources: SecretSources,
): Promise<Secret | Problem> {
  const reference = parseReference(text);
  if (!reference) {
    const problem = `Secret ${name} is neither \${env:NAME}, \${file:path}, \${vault:mount/path#field} nor plain text; nothing may stand before or behind a reference.`;
    return { code: "project_invalid", problem };
  }
  const kind = reference.kind === "plain" ? "plain text" : `a \${${reference.kind}:} reference`;
  const refuse = (reason: string, isPassing = false): Problem => ({
    code: reference.kind === "plain" ? "project_invalid" : isPassing ? "unavailable" : "start_failed",
    problem: `Secret ${name} (${kind}) cannot be used: ${reason}.`,
  });
  try {
    const value = await sources[reference.kind].read(reference.location);
    const fault = faultOf(value) ?? (inject && brokeredFaultOf(value));
    if (fault) return refuse(fault);
    return inject ? new BrokeredSecret(name, value, inject) : new Secret(name, value);
  } catch (error) {
    if (error instanceof UnresolvedSecret) return refuse(error.reason, error.isPassing);
    throw error;
  }
}

function faultOf(value: string): string | undefined {
  const bytes = Buffer.byteLength(value);
  if (bytes === 0) return "its value is empty";
  if (bytes < MIN_VALUE_BYTES) {
    return `its value is shorter than ${MIN_VALUE_BYTES} bytes, and redacting so short a text would mangle every output`;
  }
  if (value.trim() === "") return "its value is nothing but blanks";
  if (value.includes("\0")) return "its value contains a NUL byte";
  if (!value.isWellFormed()) return "its value is not well-formed Unicode";
  return undefined;
}

function brokeredFaultOf(value: string): string | undefined {
  if (!/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value)) {
    return "its value is not printable ASCII, which a header needs";
  }
  if (value.length < MIN_BROKERED_CHARACTERS) {
    return `it is brokered (inject) and its value is shorter than ${MIN_BROKERED_CHARACTERS} characters, so that a script could find it by trying; use a longer random value, or remove inject`;
  }
  if (unknownPartOf(value).length < MIN_BROKERED_CHARACTERS) {
    return `it is brokered (inject), and the password that it stands for is shorter than ${MIN_BROKERED_CHARACTERS} characters, so that a script could find it by trying; use a longer random password, or remove inject`;
  }
  return undefined;
}

/**
 * The part of a brokered value that a script cannot guess: without a word such as `Basic` before it, decoded
 * from Base64, and without the user name.
 */
function unknownPartOf(value: string): string {
  const bare = value.replace(/^[A-Za-z]+\s+/, "");
  const meant = textMeant(bare) ?? bare;
  return /^[^:\s]+:(.+)$/.exec(meant)?.[1] ?? meant;
}
