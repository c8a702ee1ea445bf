import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, exportSPKI, generateKeyPair, type JWTHeaderParameters, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "#common/resilience/clock.ts";
import { Secret } from "#common/secret.ts";
import { createLog } from "#common/service/log.ts";
import { openTokens, type Tokens } from "../../../services/authority/tokens/tokens.ts";

const SECRET = "3f9ac2d4471e8b0c6655d1f7a92e40b8";
const KEY = Buffer.from(SECRET);
const nowS = () => Math.floor(Date.now() / 1_000);
const pairs = {
  RS256: await generateKeyPair("RS256", { extractable: true }),
  ES256: await generateKeyPair("ES256", { extractable: true }),
  EdDSA: await generateKeyPair("EdDSA", { extractable: true }),
};
type Algorithm = keyof typeof pairs;

let issuer: string;
let tokens: Tokens;
let requests = 0;
const server = createServer(async (request, response) => {
  requests++;
  const keys = await Promise.all(
    Object.entries(pairs).map(async ([alg, { publicKey }]) => ({
      ...(await exportJWK(publicKey)),
      alg,
      kid: alg,
      use: "sig",
    })),
  );
  const isKeys = request.url === "/keys";
  response.end(JSON.stringify(isKeys ? { keys } : { issuer, jwks_uri: `${issuer}/keys` }));
});

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  tokens = await openTokens(
    {
      shared: { secret: new Secret("JWT_SECRET", SECRET), issuer: "airlock", audience: "airlock" },
      provider: { issuer, audience: "https://airlock.example" },
    },
    systemClock,
    createLog("authority", "silent"),
  );
});
afterAll(() => {
  tokens.close();
  server.closeAllConnections();
  server.close();
});

const claimsOf = (changes: Record<string, unknown>) =>
  JSON.parse(
    JSON.stringify({
      iss: "airlock",
      aud: "airlock",
      sub: "alice",
      iat: nowS(),
      exp: nowS() + 600,
      ...changes,
    }),
  );
const shared = (
  changes: Record<string, unknown> = {},
  header: Partial<JWTHeaderParameters> = {},
  key = KEY,
) => new SignJWT(claimsOf(changes)).setProtectedHeader({ alg: "HS256", ...header }).sign(key);
const provided = (alg: Algorithm, changes: Record<string, unknown> = {}, kid: string = alg) =>
  new SignJWT(claimsOf({ iss: issuer, aud: "https://airlock.example", ...changes }))
    .setProtectedHeader({ alg, kid, typ: "at+jwt" })
    .sign(pairs[alg].privateKey);
const raw = (header: object, payload: object, signature = "") =>
  [
    ...[header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")),
    signature,
  ].join(".");

describe("tokens", () => {
  it("tokens that JWT_SECRET signed say issuer, subject, claims and end", async () => {
    const exp = nowS() + 600;
    expect(await tokens.read(await shared({ exp, role: "admin" }))).toMatchObject({
      issuer: "airlock",
      sub: "alice",
      claims: { role: "admin" },
      expiresAtMs: exp * 1_000,
    });
    await expect(
      tokens.read(await shared({ aud: ["other", "airlock"] }, { typ: "JWT" })),
    ).resolves.toBeDefined();
  });

  it.each(["RS256", "ES256", "EdDSA"] as const)(
    "tokens that the provider signed with %s are read",
    async (alg) => {
      expect(await tokens.read(await provided(alg))).toMatchObject({ issuer, sub: "alice" });
    },
  );

  it("tokens count for 30 seconds before and after, because clocks differ", async () => {
    await expect(tokens.read(await shared({ iat: nowS() - 100, exp: nowS() - 20 }))).resolves.toBeDefined();
    await expect(tokens.read(await shared({ iat: nowS() + 20 }))).resolves.toBeDefined();
    await expect(tokens.read(await shared({ exp: nowS() + 24 * 3_600 }))).resolves.toBeDefined();
  });

  const refusals: readonly (readonly [string, () => Promise<string> | string, string])[] = [
    ["garbage", () => "garbage", "neither an API key"],
    ["three dots", () => "...", "neither an API key"],
    ["a header that is no JSON", () => "aGVsbG8.e30.", "neither an API key"],
    ["no signature", () => raw({ alg: "none" }, claimsOf({})), "HS256, RS256, ES256, EdDSA"],
    ["no signature, in other letters", () => raw({ alg: "nOnE" }, claimsOf({})), "algorithm"],
    ["an HS256 header without a signature", () => raw({ alg: "HS256" }, claimsOf({})), "signature"],
    [
      "an algorithm that is not in the list",
      () => shared({}, { alg: "HS512" }, Buffer.alloc(64, 1)),
      "algorithm",
    ],
    ["the wrong secret", () => shared({}, {}, Buffer.alloc(32, 7)), "signature"],
    [
      "HS256 with the provider's public key as the secret",
      async () => shared({}, {}, Buffer.from(await exportSPKI(pairs.RS256.publicKey))),
      "signature",
    ],
    [
      "HS256 with the provider's public key as the secret and the provider as its issuer",
      async () =>
        shared(
          { iss: issuer, aud: "https://airlock.example" },
          {},
          Buffer.from(await exportSPKI(pairs.RS256.publicKey)),
        ),
      'another issuer than "airlock"',
    ],
    [
      "another issuer, whose key is unknown",
      () => provided("RS256", { iss: "http://other.example" }, "other"),
      'its "iss" is "http://other.example"',
    ],
    [
      "another issuer and another secret",
      () => shared({ iss: "http://other.example" }, {}, Buffer.alloc(32, 7)),
      'another issuer than "airlock": its "iss" is "http://other.example"',
    ],
    [
      "an issuer that cannot be shown",
      () => shared({ iss: "a\nb" }),
      'another issuer than "airlock". Send one of "airlock"',
    ],
    ["a number as its issuer", () => shared({ iss: 7 }), 'another issuer than "airlock"'],
    [
      "no issuer, and an unknown key",
      () => provided("RS256", { iss: undefined }, "other"),
      'lacks the claim "iss"',
    ],
    [
      "HS256 that claims the provider as its issuer",
      () => shared({ iss: issuer }),
      'another issuer than "airlock"',
    ],
    [
      "a provider's token with the shared secret's issuer",
      () => provided("RS256", { iss: "airlock" }),
      "another issuer",
    ],
    ["a key of another algorithm", () => provided("ES256", {}, "RS256"), "does not publish"],
    ["an unknown key", () => provided("RS256", {}, "other"), "does not publish"],
    ["the wrong audience", () => shared({ aud: "other" }), 'for "airlock"'],
    [
      "the wrong audience from the provider",
      () => provided("RS256", { aud: "airlock" }),
      "https://airlock.example",
    ],
    ...["exp", "iat", "iss", "aud", "sub"].map(
      (claim) => [`no ${claim}`, () => shared({ [claim]: undefined }), `lacks the claim "${claim}"`] as const,
    ),
    ["an end in the past", () => shared({ iat: nowS() - 600, exp: nowS() - 31 }), "has expired"],
    ["a beginning in the future", () => shared({ nbf: nowS() + 300 }), "not valid yet"],
    ["an issue in the future", () => shared({ iat: nowS() + 60 }), "issued in the future"],
    ["a life of more than a day", () => shared({ exp: nowS() + 24 * 3_600 + 1 }), "longer than 24 hours"],
    ["an issue at the beginning of time", () => shared({ iat: 0 }), "longer than 24 hours"],
    ["an end before its issue", () => shared({ iat: nowS() + 10, exp: nowS() + 5 }), "ends before"],
    ["a text as its issue", () => shared({ iat: "1" }), '"iat"'],
    ["a text as its end", () => shared({ exp: "9999999999" }), '"exp"'],
    ["an end that is no moment", () => shared({ iat: 1e300, exp: 1e300 }), "seconds"],
    ["an empty subject", () => shared({ sub: "" }), '"sub"'],
    ["a number as its subject", () => shared({ sub: 7 }), '"sub"'],
    ["a long subject", () => shared({ sub: "a".repeat(256) }), '"sub"'],
    ["a subject with a line end", () => shared({ sub: "a\nb" }), '"sub"'],
    ["a subject with a NUL", () => shared({ sub: "a\0b" }), '"sub"'],
    ["the subject of Airlock itself", () => shared({ sub: "system:airlock" }), "must not begin with system:"],
    ["another type", () => shared({}, { typ: "logout+jwt" }), "type"],
    [
      "an unknown critical header",
      () => raw({ alg: "HS256", crit: ["x"], x: 1 }, claimsOf({}), "AA"),
      "malformed",
    ],
    ["an encrypted token", () => `${raw({ alg: "dir", enc: "A256GCM" }, {})}.a.b`, "algorithm"],
  ];
  it.each(refusals)("tokens are refused with %s", async (_, make, words) => {
    const text = await make();
    const error = await tokens.read(text).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "unauthenticated", message: expect.stringContaining(words) });
    if (text.length > 20) expect((error as Error).message).not.toContain(text.slice(0, 20));
  });

  it("tokens of another issuer, or of none, never have the provider asked", async () => {
    const before = requests;
    for (const iss of ["http://other.example", `${issuer}/`, undefined])
      for (let n = 0; n < 3; n++)
        await expect(tokens.read(await provided("RS256", { iss }, `other-${n}`))).rejects.toMatchObject({
          code: "unauthenticated",
        });
    expect(requests).toBe(before);
  });

  it("tokens are refused where the operator has set neither a secret nor a provider", async () => {
    const none = await openTokens({}, systemClock, createLog("authority", "silent"));
    await expect(none.read(await shared())).rejects.toMatchObject({ code: "unauthenticated" });
  });
});
