import { createHmac } from "node:crypto";
import type { Clock } from "../common/clock.ts";
import type { Secret } from "../common/secret.ts";

/** Runs that saw a value have ended, or hold their own needles, long before this. */
const RETIRED_FOR_MS = 24 * 3_600_000;
const MAX_RETIRED = 1_000;
const MAX_RETIRED_VERSIONS = 100;

type Retired = { readonly secret: Secret; readonly sinceMs: number };
type Current = { readonly version: string; readonly secrets: readonly Secret[] };

export type Resolved = Current & {
  readonly retired: readonly Secret[];
  /** Earlier versions of which every value is current or retired. */
  readonly retiredVersions: readonly string[];
};

/** What one project's values were: it gives each set of values its version and remembers those that were replaced. */
export type SecretHistory = {
  /** Takes note of the values that are current from now on. */
  record(project: string, secrets: readonly Secret[]): Resolved;
};

/** `key`: so that a version tells nothing about the values behind it. */
export function createSecretHistory(clock: Clock, key: Buffer): SecretHistory {
  const currentOf = new Map<string, Current>();
  const retiredOf = new Map<string, Retired[]>();
  const earlierOf = new Map<string, readonly Current[]>();

  return {
    record(project, secrets) {
      const nowMs = clock.now();
      const values = new Set(secrets.map((secret) => secret.reveal()));
      const replaced = (currentOf.get(project)?.secrets ?? [])
        .filter((secret) => !values.has(secret.reveal()))
        .map((secret) => ({ secret, sinceMs: nowMs }));
      const again = new Set(replaced.map(({ secret }) => secret.reveal()));
      const kept = (retiredOf.get(project) ?? []).filter(
        ({ secret, sinceMs }) =>
          nowMs - sinceMs < RETIRED_FOR_MS && !values.has(secret.reveal()) && !again.has(secret.reveal()),
      );
      const retired = [...kept, ...replaced].slice(-MAX_RETIRED);
      retiredOf.set(project, retired);
      const current = { version: versionOf(key, project, secrets), secrets };
      const known = new Set([...values, ...retired.map(({ secret }) => secret.reveal())]);
      const before = currentOf.get(project);
      const earlier = [...(earlierOf.get(project) ?? []), ...(before ? [before] : [])]
        .filter(({ version }, index, all) => all.findLastIndex((each) => each.version === version) === index)
        .filter((each) => each.version !== current.version)
        .filter((each) => each.secrets.every((secret) => known.has(secret.reveal())))
        .slice(-MAX_RETIRED_VERSIONS);
      earlierOf.set(project, earlier);
      currentOf.set(project, current);
      return {
        ...current,
        retired: retired.map(({ secret }) => secret),
        retiredVersions: earlier.map(({ version }) => version),
      };
    },
  };
}

function versionOf(key: Buffer, project: string, secrets: readonly Secret[]): string {
  const pairs = secrets.map((secret) => [secret.name, secret.reveal()]).sort();
  return createHmac("sha256", key)
    .update(JSON.stringify([project, pairs]))
    .digest("base64url")
    .slice(0, 22);
}
