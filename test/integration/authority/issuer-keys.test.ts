import { decodeProtectedHeader, type FlattenedJWSInput, jwtVerify } from "jose";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "#common/resilience/clock.ts";
import { createLog } from "#common/service/log.ts";
import { followIssuerKeys, type IssuerKeys } from "../../../services/authority/tokens/issuer-keys.ts";
import { startOpenIdProvider, type TestProvider } from "../../harness/openid-provider.ts";

const AUDIENCE = "https://airlock.example";
let provider: TestProvider;
let keys: IssuerKeys;

beforeAll(async () => {
  provider = await startOpenIdProvider();
});
afterAll(() => provider.stop());
beforeEach(() => {
  keys = followIssuerKeys(provider.issuer, systemClock, createLog("authority", "silent"));
});
afterEach(() => keys.close());

const verify = (token: string) =>
  jwtVerify(token, keys.keyFor, { issuer: provider.issuer, audience: AUDIENCE }).then(() => "valid");
const outcome = (token: string) => verify(token).catch((error: { code: string }) => error.code);

describe("the keys of an OpenID provider", () => {
  it("the keys of an OpenID provider are followed when they rotate, and withdrawn ones are forgotten", async () => {
    const old = await provider.token(AUDIENCE);
    expect(await outcome(old)).toBe("valid");
    await provider.stop();
    await provider.start();
    const fresh = await provider.token(AUDIENCE);
    expect(decodeProtectedHeader(fresh).kid).not.toBe(decodeProtectedHeader(old).kid);
    await expect.poll(() => outcome(fresh)).toBe("valid");
    expect(await outcome(old)).toBe("ERR_JWKS_NO_MATCHING_KEY");
  });

  it("the keys of an OpenID provider that is away stay in use, and nothing says whether others are its own", async () => {
    const token = await provider.token(AUDIENCE);
    expect(await outcome(token)).toBe("valid");
    const other = `${Buffer.from('{"alg":"RS256","kid":"other"}').toString("base64url")}.e30.AA`;
    expect(await outcome(other)).toMatch(/ERR_JW/);
    await provider.stop();
    await expect.poll(() => outcome(other)).toBe("issuer_unavailable");
    expect(await outcome(token)).toBe("valid");
    await provider.start();
    await expect.poll(() => outcome(other)).toBe("ERR_JWKS_NO_MATCHING_KEY");
  });

  it("the keys of a slow OpenID provider delay only tokens with an unknown key", async () => {
    const token = await provider.token(AUDIENCE);
    expect(await outcome(token)).toBe("valid");
    const release = provider.hold();
    try {
      const other = { protected: "", payload: "", signature: "" } satisfies FlattenedJWSInput;
      const ask = async () => keys.keyFor({ alg: "RS256", kid: "other" }, other);
      const unknown = async () => {
        // The first fetches come too soon after the last one and are left out.
        for (;;) {
          const error = await ask().catch((thrown: unknown) => thrown);
          if ((error as { code: string }).code === "issuer_unavailable") return;
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      };
      let isOver = false;
      const waiting = unknown().then(() => {
        isOver = true;
      });
      let checked = 0;
      while (!isOver) {
        expect(await outcome(token)).toBe("valid");
        checked++;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await waiting;
      expect(checked).toBeGreaterThan(10);
    } finally {
      release();
    }
  });

  it("the keys of an OpenID provider that calls itself by another name are not used", async () => {
    keys.close();
    const configured = provider.issuer.replace("127.0.0.1", "localhost");
    const lines: string[] = [];
    const log = createLog("authority", "info", { write: (line) => void lines.push(line) });
    keys = followIssuerKeys(configured, systemClock, log);
    const token = await provider.token(AUDIENCE);
    expect(await outcome(token)).toBe("issuer_unavailable");
    const error = (await verify(token).catch((thrown: unknown) => thrown)) as Error;
    expect(error.message).toContain("the operator finds the reason in the log of the authority");
    expect(error.message).not.toMatch(/does not answer|Try again/);
    expect(lines.map((line) => JSON.parse(line).err?.message)).toEqual([
      `the issuer calls itself "${provider.issuer}", and AIRLOCK_OIDC_ISSUER is "${configured}"`,
    ]);
  });

  it("the keys of an OpenID provider that was away are looked for again, and another reason is logged, too", async () => {
    keys.close();
    await provider.stop();
    const lines: string[] = [];
    const log = createLog("authority", "info", { write: (line) => void lines.push(line) });
    keys = followIssuerKeys(provider.issuer.replace("127.0.0.1", "localhost"), systemClock, log);
    const token = `${Buffer.from('{"alg":"RS256","kid":"other"}').toString("base64url")}.e30.AA`;
    const said = () => verify(token).catch((error: Error) => error.message);
    try {
      expect(await said()).toContain("does not answer. Try again");
    } finally {
      await provider.start();
    }
    await expect.poll(said, { timeout: 10_000 }).toContain("the operator finds the reason");
    expect(lines).toHaveLength(2);
    expect(lines[1]).toContain("calls itself");
  });
});
