import type { Clock } from "#common/resilience/clock.ts";
import { parseVaultLocation, type VaultLocation } from "../reference.ts";
import { type SecretSource, UnresolvedSecret } from "./source.ts";
import { askVault, type VaultAnswer } from "./vault-http.ts";
import type { VaultSettings } from "./vault-settings.ts";

/** The fields of one secret in the vault, by name, as parsed from JSON. */
type Fields = ReadonlyMap<string, unknown>;

/**
 * A source that reads secret values from KV v2 engines of HashiCorp Vault or OpenBao. One response with all
 * fields of a secret is cached for `cacheMs`, and read again after that, so that a rotation takes effect.
 * Without `settings`, every read is refused.
 */
export function vaultSource(settings: VaultSettings | undefined, clock: Clock): SecretSource {
  const kept = new Map<string, { readonly fields: Promise<Fields>; readonly until: number }>();

  const fieldsAt = (vault: VaultSettings, { mount, path }: VaultLocation): Promise<Fields> => {
    const parts = [mount, "data", ...path].map(encodeURIComponent).join("/");
    for (const [key, { until }] of kept) if (until <= clock.monotonicMs()) kept.delete(key);
    const known = kept.get(parts);
    if (known) return known.fields;
    const fields = askVault(vault, `/v1/${parts}`, clock).then(fieldsOf);
    const entry = { fields, until: clock.monotonicMs() + vault.cacheMs };
    kept.set(parts, entry);
    // A failed request is not cached, so the next call asks the vault again at once.
    fields.catch(() => kept.get(parts) === entry && kept.delete(parts));
    return fields;
  };

  return {
    isRemote: settings !== undefined,
    async read(location) {
      if (!settings) throw new UnresolvedSecret("no vault is configured (AIRLOCK_VAULT_ADDR)");
      const where = parseVaultLocation(location);
      if (!where) throw new UnresolvedSecret("its reference must have the form mount/path#field");
      const value = (await fieldsAt(settings, where)).get(where.field);
      if (value === undefined) throw new UnresolvedSecret("the secret in the vault has no such field");
      if (typeof value !== "string") {
        throw new UnresolvedSecret("this field of the secret in the vault is not a string");
      }
      return value;
    },
  };
}

/** The fields in a response of the vault. Throws an UnresolvedSecret with the reason when there are none. */
function fieldsOf({ status, body }: VaultAnswer): Fields {
  switch (status) {
    case 200:
      return fieldsIn(body);
    case 403:
      throw new UnresolvedSecret("the vault denies permission to this token");
    case 404:
      throw new UnresolvedSecret(
        wasDeleted(body) ? "the secret in the vault was deleted" : "the vault has no secret at this path",
      );
    case 412:
    case 429:
    case 472:
    case 473:
      throw new UnresolvedSecret("the vault is not ready to answer", { isPassing: true });
    case 503:
      throw new UnresolvedSecret("the vault is sealed", { isPassing: true });
    default:
      throw new UnresolvedSecret(`the vault answered with status ${status}`, { isPassing: status >= 500 });
  }
}

function fieldsIn(body: unknown): Fields {
  const fields = memberOf(memberOf(body, "data"), "data");
  if (typeof fields === "object" && fields !== null && memberOf(memberOf(body, "data"), "metadata")) {
    return new Map(Object.entries(fields));
  }
  throw new UnresolvedSecret("the data at this path of the vault is not a secret of a KV version 2 engine");
}

function wasDeleted(body: unknown): boolean {
  return Boolean(memberOf(memberOf(memberOf(body, "data"), "metadata"), "deletion_time"));
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}
