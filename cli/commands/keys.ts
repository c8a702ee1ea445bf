import type { Key, KeyRequest } from "#sdk/keys.ts";
import { connect } from "../client/connect.ts";
import { parseFlags, usageError } from "../flags.ts";
import { table } from "../terminal/table.ts";
import { forOutput } from "../terminal/terminal.ts";

const OPTIONS = {
  role: { type: "string" },
  kind: { type: "string" },
  project: { type: "string", multiple: true },
  "expires-in": { type: "string" },
  rate: { type: "string" },
  principal: { type: "string" },
  json: { type: "boolean", default: false },
} as const;
const DAY_S = 24 * 3_600;

/** `./airlock whoami` says who the key of this user stands for, and what it may do. */
export async function whoami(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseFlags("whoami", args, { json: { type: "boolean", default: false } });
  if (positionals.length > 0) throw usageError("whoami", "whoami takes no arguments.");
  const me = await connect(process.env).me();
  if (values.json) process.stdout.write(`${forOutput(JSON.stringify(me))}\n`);
  else {
    const projects = me.projects.length > 0 ? `projects: ${me.projects.join(", ")}\n` : "";
    const rate = me.rate
      ? `changes left this minute: ${me.rate.remaining} of ${me.rate.limit}, all again in ${me.rate.reset} s\n`
      : "";
    process.stdout.write(
      forOutput(
        `${me.principal} (${me.kind}, ${me.role}) in the tenant ${me.tenant}\nmay: ${me.permissions.join(", ")}\n${projects}${rate}the credential ends: ${me.expires_at ?? "never"}\n`,
      ),
    );
  }
  return 0;
}

/** `./airlock keys create NAME`, `keys list` and `keys revoke KEY_ID`. */
export async function keys(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseFlags("keys", args, OPTIONS);
  const [action, name, ...more] = positionals;
  if (more.length > 0) throw usageError("keys", `keys ${action} takes one argument.`);
  const client = connect(process.env).keys;
  switch (action) {
    case "create": {
      if (name === undefined) throw usageError("keys", "keys create takes the name of the key.");
      const made = await client.create(requestOf(name, values));
      // The key stands alone on standard output, so that it can be redirected into a file.
      process.stdout.write(`${values.json ? JSON.stringify(made) : made.key}\n`);
      process.stderr.write(
        `The key ${made.key_id} of ${made.principal} ends ${made.expires_at ?? "never"}. It is shown only now.\n`,
      );
      return 0;
    }
    case "list":
    case undefined: {
      const listed = await client.list();
      process.stdout.write(
        values.json ? `${forOutput(JSON.stringify({ keys: listed }))}\n` : tableOf(listed),
      );
      return 0;
    }
    case "revoke":
      if (name === undefined) throw usageError("keys", "keys revoke takes a key's id; keys list shows them.");
      await client.revoke(name);
      process.stdout.write(forOutput(`${name} is revoked: every gateway refuses it within a second.\n`));
      return 0;
    default:
      throw usageError("keys", `keys takes create, list or revoke, not "${action}".`);
  }
}

function requestOf(
  name: string,
  values: ReturnType<typeof parseFlags<typeof OPTIONS>>["values"],
): KeyRequest {
  const { role, kind, project, principal, rate, "expires-in": expiresIn } = values;
  const days = expiresIn === undefined ? undefined : /^([1-9]\d*)d$/.exec(expiresIn)?.[1];
  if (expiresIn !== undefined && days === undefined)
    throw usageError("keys", `--expires-in must be a number of days such as 30d, not "${expiresIn}".`);
  if (rate !== undefined && !/^[1-9]\d{0,6}$/.test(rate))
    throw usageError("keys", `--rate must be a number of requests a minute such as 60, not "${rate}".`);
  return {
    name,
    // The gateway refuses a role or a kind that does not exist, and names those that do.
    ...(role !== undefined && { role: role as NonNullable<KeyRequest["role"]> }),
    ...(kind !== undefined && { kind: kind as NonNullable<KeyRequest["kind"]> }),
    ...(project !== undefined && { projects: project }),
    ...(principal !== undefined && { principal }),
    ...(days !== undefined && { expires_in: Number(days) * DAY_S }),
    ...(rate !== undefined && { rate: Number(rate) }),
  };
}

function tableOf(keys: readonly Key[]): string {
  const rows = keys.map((key) => [
    key.key_id,
    key.name,
    key.principal,
    `${key.role} (${key.kind})`,
    key.projects.join(", ") || "all",
    stateOf(key),
    key.last_used_at ?? "never",
  ]);
  return table(["KEY_ID", "NAME", "PRINCIPAL", "ROLE", "PROJECTS", "STATE", "LAST USED"], rows);
}

function stateOf({ revoked_at, expires_at }: Key): string {
  if (revoked_at) return `revoked ${revoked_at}`;
  if (!expires_at) return "in force";
  return new Date(expires_at) <= new Date() ? `expired ${expires_at}` : `in force until ${expires_at}`;
}
