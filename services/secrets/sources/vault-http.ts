import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Clock } from "#common/resilience/clock.ts";
import { Secret } from "#common/secret.ts";
import { readSettled } from "./settled-file.ts";
import { UnresolvedSecret } from "./source.ts";
import type { VaultSettings } from "./vault-settings.ts";

/** A response of the vault. `body` is its parsed JSON; undefined when it is not JSON. */
export type VaultAnswer = { readonly status: number; readonly body: unknown };

// Milliseconds for one request to the vault; less than the callers of the secrets service wait for its
// answer, which is 2 s or more.
const TIMEOUT_MS = 1_500;
const MAX_ANSWER_BYTES = 2 * 1024 * 1024;
// Bytes of the largest token file or CA file.
const MAX_FILE_BYTES = 1024 * 1024;

/**
 * Sends one GET to the vault. Redirects are not followed, because the token is for this address only. Rejects
 * with an UnresolvedSecret when there is no response. Errors never contain the token or the response.
 */
export async function askVault(vault: VaultSettings, path: string, clock: Clock): Promise<VaultAnswer> {
  const headers: Record<string, string> = {
    "x-vault-request": "true",
    "x-vault-token": await tokenOf(vault, clock),
    ...(vault.namespace !== undefined && { "x-vault-namespace": vault.namespace }),
  };
  const ca =
    vault.caFile === undefined ? undefined : await readText(vault.caFile, "the vault's CA file", clock);
  const url = new URL(vault.address + path);
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      // No agent, so that each request opens a connection of its own. A connection that is kept open would
      // still use the old certificates after they change.
      const options = { headers, signal, agent: false, ...(ca !== undefined && { ca }) };
      const start = url.protocol === "https:" ? httpsRequest : httpRequest;
      start(url, options, resolve).on("error", reject).end();
    });
    return { status: response.statusCode ?? 0, body: parsed(await bodyOf(response)) };
  } catch (error) {
    if (error instanceof UnresolvedSecret) throw error;
    throw new UnresolvedSecret(...unreachable(error as NodeJS.ErrnoException));
  }
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response) {
    length += (chunk as Buffer).length;
    if (length > MAX_ANSWER_BYTES) throw new UnresolvedSecret("the vault's answer is larger than 2 MiB");
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function tokenOf({ token }: VaultSettings, clock: Clock): Promise<string> {
  const text =
    token instanceof Secret ? token.reveal() : await readText(token.file, "the vault's token file", clock);
  const trimmed = text.trim();
  if (/^[\x21-\x7e]+$/.test(trimmed)) return trimmed;
  throw new UnresolvedSecret("the vault's token is empty or contains characters that tokens do not have");
}

/** Reads the file when it is complete, because programs that renew a token write its file anew. */
async function readText(path: string, what: string, clock: Clock): Promise<string> {
  try {
    return (await readSettled(path, MAX_FILE_BYTES, clock)).toString("utf8");
  } catch (error) {
    const isPassing = error instanceof UnresolvedSecret && error.isPassing;
    throw new UnresolvedSecret(`${what} cannot be read by the secrets service`, { isPassing });
  }
}

function unreachable({ code = "" }: NodeJS.ErrnoException): [string, { isPassing: boolean }] {
  if (/^(CERT_|ERR_TLS_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_)/.test(code)) {
    return ["the vault's certificate is not trusted (AIRLOCK_VAULT_CACERT)", { isPassing: false }];
  }
  return ["the vault cannot be reached", { isPassing: true }];
}
