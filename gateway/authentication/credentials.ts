import { createHash } from "node:crypto";
import { AirlockError } from "#common/errors.ts";
import { keepAnswers } from "#common/identity/kept-answers.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Authenticated, AuthorityBackend } from "../backends/authority.ts";

// Bytes of the longest credential; a JWT of an OpenID provider has one or two thousand.
const MAX_CREDENTIAL = 8_192;

export type Credentials = {
  /**
   * Says who shows the credential, in `tenant`, or in the only tenant that it may act in. Rejects with
   * `unauthenticated` when it proves nothing, with `no_grant` and `tenant_required`, with `issuer_unavailable`,
   * and with `unavailable` when the authority cannot be reached and has not answered for this credential lately.
   */
  whose(credential: string, tenant?: string): Promise<Authenticated>;
  /** Stops following the authority's changes. */
  close(): void;
};

/**
 * Asks the authority about each credential, and keeps the answer for a second, unless a key, a grant or a
 * principal changes before. While the authority is away, answers of the last five minutes still count, and
 * credentials without one are refused.
 */
export function createCredentials(authority: AuthorityBackend, clock: Clock): Credentials {
  const answers = keepAnswers<Authenticated>((signal) => authority.watchChanges(signal), clock);
  return {
    async whose(credential, tenant) {
      if (credential.length > MAX_CREDENTIAL) throw tooLong();
      // By the credential's hash, so that a heap dump shows no credential for long.
      const id = createHash("sha256")
        .update(`${credential}\n${tenant ?? ""}`)
        .digest("base64");
      return await answers.get(id, () => authority.authenticate(credential, tenant));
    },
    close: () => answers.close(),
  };
}

function tooLong(): AirlockError {
  return new AirlockError(
    "unauthenticated",
    `The credential is longer than ${MAX_CREDENTIAL} characters. Send an API key of Airlock (alk_...) or a shorter token.`,
  );
}
