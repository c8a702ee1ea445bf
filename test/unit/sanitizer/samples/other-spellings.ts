import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { inspect } from "node:util";
import type { SpelledSecret } from "./spelled-secrets.ts";

/** A secret as some program writes it. */
export type Spelled = { readonly kind: string; readonly spelling: string; readonly written: Buffer };

const ROOT = join(import.meta.dirname, "..", "..", "..", "..");
const PYTHON = process.env.AIRLOCK_PYTHON ?? join(ROOT, ".venv", "bin", "python");

/** The spellings of these secrets by the standard libraries of Python and Node.js and by the shell, each text once. */
export function spelledOf(secrets: readonly SpelledSecret[]): Spelled[] {
  const texts = new Map<string, Spelled>();
  for (const spelled of [...byPython(secrets), ...secrets.flatMap(byNode), ...secrets.flatMap(byShell)]) {
    const key = `${spelled.kind} ${spelled.written.toString("latin1")}`;
    if (!texts.has(key)) texts.set(key, spelled);
  }
  return [...texts.values()];
}

function byPython(secrets: readonly SpelledSecret[]): Spelled[] {
  const rows = JSON.parse(
    outputOf(PYTHON, [join(import.meta.dirname, "spellings.py")], JSON.stringify(secrets)),
  ) as { kind: string; spelling: string; written: string }[];
  return rows.map((row) => ({ ...row, written: Buffer.from(row.written, "base64") }));
}

const NODE: Readonly<Record<string, (text: string) => string>> = {
  "JSON.stringify": (text) => JSON.stringify(text),
  "JSON.stringify of a member": (text) => JSON.stringify({ level: 30, msg: text }),
  encodeURIComponent,
  encodeURI,
  escape,
  URLSearchParams: (text) => new URLSearchParams({ a: "1", key: text }).toString(),
  "URL.searchParams": (text) => {
    const url = new URL("https://api.example.com/v1");
    url.searchParams.set("key", text);
    return url.href;
  },
  "util.inspect": (text) => inspect(text),
  "util.inspect of a member": (text) => inspect({ name: "x", list: [text] }),
  "util.inspect with colours": (text) => inspect({ text }, { colors: true }),
  "util.inspect of a URL": (text) => inspect(new URLSearchParams({ key: text })),
  "Buffer, inspected": (text) => inspect(Buffer.from(text)),
  "Buffer in hex": (text) => Buffer.from(text).toString("hex"),
  "Buffer in base64": (text) => Buffer.from(text).toString("base64"),
  "Buffer in base64url": (text) => Buffer.from(text).toString("base64url"),
  "btoa of JSON": (text) => Buffer.from(JSON.stringify({ text })).toString("base64"),
  "String.raw in a template": (text) => `const key = \`${text}\`;`,
  "error stack": (text) => new Error(`refused: ${text}`).stack ?? "",
};

/** One after another, with those that are most often written over others. */
function byNode({ kind, value }: SpelledSecret): Spelled[] {
  const over = ["JSON.stringify", "encodeURIComponent", "util.inspect"];
  return Object.entries(NODE).flatMap(([name, write]) => {
    const once = { kind, spelling: name, written: Buffer.from(write(value)) };
    const twice = over.map((outer) => ({
      kind,
      spelling: `${name} in ${outer}`,
      written: Buffer.from((NODE[outer] as (text: string) => string)(write(value))),
    }));
    return [once, ...twice];
  });
}

const SHELL: Readonly<Record<string, string>> = {
  "printf %q": `printf %q "$1"`,
  "declare -p": `key=$1; declare -p key`,
  "declare -p of an array": `keys=(a "$1"); declare -p keys`,
  "export -p": `unset OLDPWD; export key=$1; export -p | sed -n '/key=/,$p'`,
  set: `key=$1; set | sed -n '/^key=/,/^piped=/p'`,
  "set -x": `exec 2>&1; set -x; : curl -H "Authorization: $1"`,
  "@Q": `printf %s "\${1@Q}"`,
  base64: `printf %s "$1" | base64`,
  "base64 of a line": `printf '%s\\n' "$1" | base64 -w 0`,
  od: `printf %s "$1" | od -An -v -tx1`,
  "od of characters": `printf %s "$1" | od -An -v -w4096 -tx1`,
};

/** The spellings that Bash and common tools print; od and base64 exist on every system. */
function byShell({ kind, value }: SpelledSecret): Spelled[] {
  return Object.entries(SHELL).map(([spelling, script]) => {
    return { kind, spelling, written: Buffer.from(outputOf("bash", ["-c", script, "bash", value])) };
  });
}

function outputOf(file: string, args: readonly string[], input = ""): string {
  const { status, stdout, stderr } = spawnSync(file, args, {
    input,
    encoding: "utf8",
    maxBuffer: 256 * 1024 * 1024,
    env: { ...process.env, LC_ALL: "C.UTF-8" },
  });
  if (status !== 0) throw new Error(`${file} failed: ${stderr}`);
  return stdout;
}
