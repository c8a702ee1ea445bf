import { readFile } from "node:fs/promises";
import { Secret } from "#common/secret.ts";
import { ConfigError, type EnvironmentReader } from "#common/service/environment.ts";
import { systemReason } from "#common/system-reason.ts";

/** How to reach a vault: HashiCorp Vault or OpenBao. */
export type VaultSettings = {
  /** The vault's URL, without a slash at its end. */
  readonly address: string;
  /** The token itself, or the file with the token, which is read anew for every request. */
  readonly token: Secret | { readonly file: string };
  /** The vault's namespace, which is sent with each request; undefined sends none. */
  readonly namespace: string | undefined;
  /** A PEM file with the authorities to trust instead of the system's; undefined means the system's. */
  readonly caFile: string | undefined;
  /**
   * Milliseconds that a value is used before the vault is asked again. A rotated value may go unnoticed for
   * so long.
   */
  readonly cacheMs: number;
};

/**
 * Checks at the start that the file of the vault's certificate authorities (AIRLOCK_VAULT_CACERT) can be
 * read; rejects with a ConfigError if not. Does nothing without a vault or without such a file.
 */
export async function checkVaultAuthorities(vault: VaultSettings | undefined): Promise<void> {
  if (vault?.caFile === undefined) return;
  await readFile(vault.caFile).catch((error: unknown) => {
    throw new ConfigError([`AIRLOCK_VAULT_CACERT: ${vault.caFile} cannot be read (${systemReason(error)}).`]);
  });
}

/**
 * Reads the settings AIRLOCK_VAULT_*; undefined when AIRLOCK_VAULT_ADDR is not set. Problems are collected in
 * `read`, and the caller throws them together.
 */
export function readVaultSettings(read: EnvironmentReader): VaultSettings | undefined {
  const address = read.optionalText("AIRLOCK_VAULT_ADDR");
  const token = read.optionalText("AIRLOCK_VAULT_TOKEN");
  const tokenFile = read.optionalText("AIRLOCK_VAULT_TOKEN_FILE");
  const cacheMs = read.durationMs("AIRLOCK_VAULT_CACHE_TTL", "30s");
  if (address === undefined) return undefined;
  if (!/^https?:$/.test(URL.parse(address)?.protocol ?? "")) {
    const given = address.includes("@") ? "" : `, not "${address}"`;
    read.refuse(`AIRLOCK_VAULT_ADDR must be a URL such as https://vault.example:8200${given}`);
  }
  if ((token === undefined) === (tokenFile === undefined)) {
    const set = token === undefined ? "neither is" : "both are";
    read.refuse(
      `AIRLOCK_VAULT_ADDR needs one of AIRLOCK_VAULT_TOKEN and AIRLOCK_VAULT_TOKEN_FILE, and ${set} set`,
    );
  }
  return {
    address: address.replace(/\/+$/, ""),
    token: token === undefined ? { file: tokenFile ?? "" } : new Secret("AIRLOCK_VAULT_TOKEN", token),
    namespace: read.optionalText("AIRLOCK_VAULT_NAMESPACE"),
    caFile: read.optionalText("AIRLOCK_VAULT_CACERT"),
    cacheMs,
  };
}
