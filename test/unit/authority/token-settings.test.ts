import { describe, expect, it } from "vitest";
import { readEnvironment } from "#common/service/environment.ts";
import { problemOfSecret } from "../../../services/authority/tokens/secret-strength.ts";
import { readTokenSettings } from "../../../services/authority/tokens/settings.ts";

const GOOD = "3f9ac2d4471e8b0c6655d1f7a92e40b8";

function problemsOf(env: Record<string, string>): string {
  const read = readEnvironment(env);
  readTokenSettings(read);
  try {
    read.check();
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

describe("the secret of tokens", () => {
  it.each([GOOD, "Zm9yIHRlc3RzIG9ubHksIG5vdCByYW5kb20gYXQgYWxs", "correct horse battery staple, 7 times!"])(
    "the secret of tokens may be %s",
    (secret) => {
      expect(problemOfSecret(secret)).toBeUndefined();
    },
  );

  it.each([
    ["31 bytes", GOOD.slice(1)],
    ["jwt.io's example", "a-string-secret-at-least-256-bits-long"],
    ["jwt.io's earlier example", "your-256-bit-secret-your-256-bit-secret"],
    [
      "jwt.io's example for HS512",
      "a-valid-string-secret-that-is-at-least-512-bits-long-your-512-bit-secret",
    ],
    [
      "RFC 7515's example",
      "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    ],
    ["a tutorial's", "my-32-character-ultra-secure-and-ultra-long-secret"],
    ["a filler", "changeme-changeme-please-0123456789abc"],
    ["one letter", "a".repeat(64)],
    ["one word", "secretsecretsecretsecretsecretsecret"],
    ["digits in their order", "0123456789abcdef0123456789abcdef"],
    ["letters in their order", "abcdefghijklmnopqrstuvwxyz0123456789"],
    ["few letters", "abbaabababbbaaababababbbbaaabaabab"],
  ])("the secret of tokens may not be %s", (_, secret) => {
    expect(problemOfSecret(secret)).toContain("openssl rand -hex 32");
    expect(problemsOf({ JWT_SECRET: secret })).toContain("JWT_SECRET");
    expect(problemsOf({ JWT_SECRET: secret })).not.toContain(secret);
  });
});

describe("the settings of tokens", () => {
  it("the settings of tokens are empty unless given", () => {
    expect(readTokenSettings(readEnvironment({}))).toEqual({});
  });

  it("the settings of tokens name airlock as issuer and audience unless given", () => {
    const env = { JWT_SECRET: GOOD, AIRLOCK_OIDC_ISSUER: "https://login.example.com" };
    expect(readTokenSettings(readEnvironment(env))).toMatchObject({
      shared: { issuer: "airlock", audience: "airlock" },
      provider: { issuer: "https://login.example.com", audience: "airlock" },
    });
    expect(problemsOf(env)).toBe("");
  });

  it.each([
    [{ JWT_SECRET: GOOD, JWT_SECRET_FILE: "/x" }, "set one of them"],
    [{ JWT_SECRET_FILE: "/nowhere/secret" }, "JWT_SECRET_FILE cannot be read"],
    [{ JWT_SECRET: GOOD, JWT_ISSUER: "a#b" }, "JWT_ISSUER"],
    [{ AIRLOCK_OIDC_ISSUER: "http://login.example.com" }, "https URL"],
    [{ AIRLOCK_OIDC_ISSUER: "login" }, "https URL"],
    [{ AIRLOCK_OIDC_ISSUER: "https://user:pw@login.example.com" }, "https URL"],
    [
      { JWT_SECRET: GOOD, JWT_ISSUER: "https://a.example", AIRLOCK_OIDC_ISSUER: "https://a.example" },
      "claim to be any user",
    ],
  ])("the settings of tokens refuse %j", (env, words) => {
    expect(problemsOf(env as Record<string, string>)).toContain(words);
  });
});
