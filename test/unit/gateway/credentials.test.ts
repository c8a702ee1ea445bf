import { beforeEach, describe, expect, it } from "vitest";
import { AirlockError } from "#common/errors.ts";
import { type Credentials, createCredentials } from "../../../gateway/authentication/credentials.ts";
import type { Authenticated, AuthorityBackend } from "../../../gateway/backends/authority.ts";
import { createFakeClock, type FakeClock, settle } from "../../support/fake-clock.ts";

const ANSWER: Authenticated = {
  principal: { id: "agent:a", kind: "agent", tenant: "default", role: "agent", maker: "human:h" } as never,
  expiresAtMs: undefined,
  version: 1,
};
const REFUSED = new AirlockError("unauthenticated", "The principal that made the key has no key any more.");

let clock: FakeClock;
let answer: () => Promise<Authenticated>;
let asked: number;
let version: number;
let credentials: Credentials;

beforeEach(async () => {
  clock = createFakeClock();
  asked = 0;
  version = 1;
  answer = async () => ANSWER;
  const backend: Pick<AuthorityBackend, "authenticate" | "watchChanges"> = {
    authenticate() {
      asked++;
      return answer();
    },
    // An authority of which no key and no principal changes: it says the same version every half second.
    async *watchChanges(signal) {
      while (!signal.aborted) {
        yield version;
        await new Promise<void>((resolve) => clock.after(500, resolve));
      }
    },
  };
  credentials = createCredentials(backend as AuthorityBackend, clock);
  await settle();
});

describe("the gateway's answers about credentials", () => {
  it("an answer about a credential is kept for a second, however many requests show it", async () => {
    for (let n = 0; n < 5; n++) await credentials.whose("alk_x");
    await clock.advance(999);
    await credentials.whose("alk_x");
    expect(asked).toBe(1);
  });

  it("a key that ends with its maker's, which changes no version, is refused within a second", async () => {
    await credentials.whose("alk_x");
    answer = () => Promise.reject(REFUSED);
    await clock.advance(1_000);
    await expect(credentials.whose("alk_x")).rejects.toBe(REFUSED);
    answer = async () => ANSWER;
    await expect(credentials.whose("alk_x")).resolves.toBe(ANSWER);
  });

  it("an authority that does not answer is not missed for five minutes, and then is", async () => {
    await credentials.whose("alk_x");
    answer = () => Promise.reject(new AirlockError("unavailable", "away"));
    await clock.advance(299_000);
    await expect(credentials.whose("alk_x")).resolves.toBe(ANSWER);
    await clock.advance(2_000);
    await expect(credentials.whose("alk_x")).rejects.toMatchObject({ code: "unavailable" });
  });

  it("a token whose issuer does not answer lets no other credential be taken for current, because the authority answers", async () => {
    await credentials.whose("alk_x");
    answer = () => Promise.reject(new AirlockError("issuer_unavailable", "slow"));
    await clock.advance(1_000);
    await expect(credentials.whose("eyJ")).rejects.toMatchObject({ code: "issuer_unavailable" });
    answer = () => Promise.reject(REFUSED);
    await expect(credentials.whose("alk_x")).rejects.toBe(REFUSED);
  });

  it("an answer for one tenant does not count for another", async () => {
    await credentials.whose("eyJ", "default");
    answer = () => Promise.reject(new AirlockError("no_grant", "none there"));
    await expect(credentials.whose("eyJ", "acme")).rejects.toMatchObject({ code: "no_grant" });
    await expect(credentials.whose("eyJ")).rejects.toMatchObject({ code: "no_grant" });
    await expect(credentials.whose("eyJ", "default")).resolves.toBe(ANSWER);
  });

  it("an answer from before a change does not count while the authority is away, because it may have been revoked", async () => {
    await credentials.whose("alk_x");
    await credentials.whose("alk_y");
    version = 2;
    answer = async () => ({ ...ANSWER, version });
    await clock.advance(1_000);
    await credentials.whose("alk_y");
    answer = () => Promise.reject(new AirlockError("unavailable", "away"));
    await clock.advance(10_000);
    await expect(credentials.whose("alk_y")).resolves.toMatchObject({ version: 2 });
    await expect(credentials.whose("alk_x")).rejects.toMatchObject({ code: "unavailable" });
  });
});
