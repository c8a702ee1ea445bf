import { readFile } from "node:fs/promises";
import { AirlockError } from "#common/errors.ts";
import { systemReason } from "#common/system-reason.ts";

/**
 * Files that the installers in an image build can read, by the names under which the Dockerfile mounts them.
 * No layer of the built image contains them.
 */
export type BuildSecrets = ReadonlyMap<string, Buffer>;

// The environment variables that an image build is given: where packages come from, and how to connect there.
// All other variables of the operator's environment stay out, because a package's build script is foreign
// code and may read them.
const PASSED_ON =
  /^((UV|PIP)_(DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|INSECURE_HOST|INDEX_STRATEGY|TIMEOUT|DEFAULT_TIMEOUT|HTTP_TIMEOUT)|UV_INDEX_[A-Z0-9_]+_(USERNAME|PASSWORD)|(HTTPS?|ALL|NO)_PROXY)$/i;

/**
 * Makes the secret files of an image build. `settings`: shell assignments, one a line. `authorities`: the PEM
 * file that SSL_CERT_FILE names, empty without one. Rejects with `start_failed` when that file cannot be
 * read.
 */
export async function readBuildSecrets(env: NodeJS.ProcessEnv): Promise<BuildSecrets> {
  const passed = Object.entries(env).filter(([name, value]) => PASSED_ON.test(name) && value);
  // The package index is named in pip's variable too, because pip installs the worker's own packages and does
  // not know uv's variables.
  const index = env.UV_DEFAULT_INDEX || env.UV_INDEX_URL;
  if (index && !env.PIP_INDEX_URL) passed.push(["PIP_INDEX_URL", index]);
  const settings = passed.map(([name, value]) => `${name}=${quoted(value as string)}\n`).join("");
  return new Map([
    ["settings", Buffer.from(settings)],
    ["authorities", env.SSL_CERT_FILE ? await readAuthorities(env.SSL_CERT_FILE) : Buffer.alloc(0)],
  ]);
}

function quoted(value: string): string {
  return `'${value.replaceAll("'", `'\\''`)}'`;
}

async function readAuthorities(path: string): Promise<Buffer> {
  return await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    throw new AirlockError(
      "start_failed",
      `The authorities for image builds cannot be read (${systemReason(cause)}); the operator corrects SSL_CERT_FILE.`,
      { cause },
    );
  });
}
