import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { readSecretsConfig } from "../../../services/secrets/config.ts";
import { checkVaultAuthorities } from "../../../services/secrets/sources/vault-settings.ts";

const BASE = { AIRLOCK_LISTEN: "unix:/s", AIRLOCK_PROJECTS_DIR: "/p" };
const read = (env: Record<string, string>) => readSecretsConfig({ ...BASE, ...env });

describe("the settings of a vault", () => {
  it("the settings of a vault are empty without an address", () => {
    expect(read({}).vault).toBeUndefined();
    expect(read({ AIRLOCK_VAULT_TOKEN: "t" }).vault).toBeUndefined();
  });

  it("the settings of a vault have defaults, and print no token", () => {
    const { vault } = read({
      AIRLOCK_VAULT_ADDR: "https://vault.example:8200/",
      AIRLOCK_VAULT_TOKEN: "hvs.token",
    });
    expect(vault).toMatchObject({
      address: "https://vault.example:8200",
      cacheMs: 30_000,
      namespace: undefined,
    });
    expect(inspect(vault) + JSON.stringify(vault)).not.toContain("hvs.token");
  });

  it("the settings of a vault are all read", () => {
    const { vault } = read({
      AIRLOCK_VAULT_ADDR: "http://127.0.0.1:8200",
      AIRLOCK_VAULT_TOKEN_FILE: "/run/token",
      AIRLOCK_VAULT_NAMESPACE: "team",
      AIRLOCK_VAULT_CACERT: "/run/ca.pem",
      AIRLOCK_VAULT_CACHE_TTL: "5s",
    });
    expect(vault).toEqual({
      address: "http://127.0.0.1:8200",
      token: { file: "/run/token" },
      namespace: "team",
      caFile: "/run/ca.pem",
      cacheMs: 5_000,
    });
  });

  it("the settings of a vault are refused at the start when the file of authorities cannot be read", async () => {
    const { vault } = read({
      AIRLOCK_VAULT_ADDR: "https://v",
      AIRLOCK_VAULT_TOKEN: "t",
      AIRLOCK_VAULT_CACERT: "/no/such/ca.pem",
    });
    await expect(checkVaultAuthorities(vault)).rejects.toThrow(
      "AIRLOCK_VAULT_CACERT: /no/such/ca.pem cannot be read",
    );
    await checkVaultAuthorities(undefined);
  });

  it.each([
    [
      { AIRLOCK_VAULT_ADDR: "vault.example:8200", AIRLOCK_VAULT_TOKEN: "t" },
      "AIRLOCK_VAULT_ADDR must be a URL",
    ],
    [
      { AIRLOCK_VAULT_ADDR: "https://v" },
      "needs one of AIRLOCK_VAULT_TOKEN and AIRLOCK_VAULT_TOKEN_FILE, and neither is set",
    ],
    [
      { AIRLOCK_VAULT_ADDR: "https://v", AIRLOCK_VAULT_TOKEN: "t", AIRLOCK_VAULT_TOKEN_FILE: "/f" },
      "needs one of AIRLOCK_VAULT_TOKEN and AIRLOCK_VAULT_TOKEN_FILE, and both are set",
    ],
    [{ AIRLOCK_VAULT_CACHE_TTL: "soon" }, "AIRLOCK_VAULT_CACHE_TTL must be a length of time"],
  ])("the settings of a vault refuse %j", (env, reason) => {
    expect(() => read(env as Record<string, string>)).toThrow(reason);
  });
});
