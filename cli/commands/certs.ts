import { CLIENT_NAME } from "#common/identity/identity.ts";
import { DEFAULT_TENANT, TENANT } from "#common/identity/principal.ts";
import { KEY_ROLES } from "#common/identity/roles.ts";
import { ConfigError } from "#common/service/environment.ts";
import { type Renewed, renewCertificates } from "../certificates/certs-directory.ts";
import { appendGrant, grantsFileFor } from "../certificates/grants-file.ts";
import { parseFlags } from "../flags.ts";

const OPTIONS = {
  client: { type: "string", multiple: true },
  role: { type: "string" },
  tenant: { type: "string" },
  days: { type: "string", default: "30" },
  "new-ca": { type: "boolean", default: false },
  "drop-old-ca": { type: "boolean", default: false },
} as const;
const MAX_DAYS = 397;

/**
 * `./airlock certs DIR` makes an authority, if there is none, and issues new certificates for every service.
 */
export async function certs(args: readonly string[]): Promise<number> {
  const { positionals, values } = parseFlags("certs", args, OPTIONS);
  const [directory, ...more] = positionals;
  const days = Number(values.days);
  const problems = [
    ...(directory === undefined || more.length > 0
      ? ["Usage: ./airlock certs DIR [--client NAME [--role R [--tenant T]]]..."]
      : []),
    ...(Number.isInteger(days) && days >= 1 && days <= MAX_DAYS
      ? []
      : [`--days must be a whole number from 1 to ${MAX_DAYS}, not "${values.days}"`]),
    ...(values.client ?? [])
      .filter((name) => !CLIENT_NAME.test(name))
      .map((name) => `--client must be of a-z, 0-9 and -, not "${name}"`),
    ...(values.role === undefined || KEY_ROLES.some((role) => role === values.role)
      ? []
      : [`--role must be one of ${KEY_ROLES.join(", ")}, not "${values.role}"`]),
    ...(values.role !== undefined && (values.client ?? []).length === 0
      ? ["--role says what a client may do; name the client with --client NAME"]
      : []),
    ...(values.tenant !== undefined && values.role === undefined
      ? ["--tenant says where a role counts; give --role, too"]
      : []),
    ...(values.tenant === undefined || TENANT.test(values.tenant)
      ? []
      : [`--tenant must be 1 to 40 of a-z, 0-9 and -, not "${values.tenant}"`]),
    ...(values["new-ca"] && values["drop-old-ca"] ? ["--new-ca and --drop-old-ca are two steps"] : []),
  ];
  if (problems.length > 0) throw new ConfigError(problems);
  const made = await renewCertificates(directory as string, {
    clients: values.client ?? [],
    days,
    newAuthority: values["new-ca"],
    dropOldAuthorities: values["drop-old-ca"],
    now: new Date(),
  });
  process.stdout.write(
    `${made.names.map((name) => `${name}\n`).join("")}in ${directory} are valid until ${made.validTo.toISOString().slice(0, 10)}.\nGive each service its own directory as AIRLOCK_TLS_DIR, and no service the directory ca.\n`,
  );
  await grantRoles(directory as string, values);
  process.stdout.write(stepOf(directory as string, values, made));
  return 0;
}

/** Appends the role that was asked for to the file of grants, for each client that was named. */
async function grantRoles(
  directory: string,
  { client = [], role, tenant = DEFAULT_TENANT }: { client?: string[]; role?: string; tenant?: string },
): Promise<void> {
  if (role === undefined) return;
  const path = await grantsFileFor(directory, process.env.AIRLOCK_GRANTS_FILE);
  for (const cert of client) await appendGrant(path, { cert, role, tenant });
  process.stdout.write(
    `${path} grants ${client.join(" and ")} the role ${role}; the authority reads it as AIRLOCK_GRANTS_FILE.\n`,
  );
}

/**
 * The sentence that says which of the three steps to a new certificate authority this call was, and what to
 * do next; empty when there is only one authority.
 */
function stepOf(
  directory: string,
  asked: { readonly "new-ca": boolean; readonly "drop-old-ca": boolean },
  { trusted, dropped }: Renewed,
): string {
  if (asked["drop-old-ca"]) {
    return dropped > 0
      ? "Step 3 of 3: the old authority is forgotten.\n"
      : "There was no old authority to forget: --new-ca makes a new one.\n";
  }
  const next = `When every service has had its files for five seconds: ./airlock certs ${directory}`;
  if (asked["new-ca"])
    return `Step 1 of 3: every service trusts a new authority, too; the old one still issues.\n${next}\n`;
  return trusted > 1
    ? `Step 2 of 3: the new authority issues; the old one is still trusted.\n${next} --drop-old-ca\n`
    : "";
}
