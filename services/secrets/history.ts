import { createHmac } from "node:crypto";
import type { Clock } from "#common/resilience/clock.ts";
import type { Secret } from "#common/secret.ts";
import { isBrokered } from "./brokered-secret.ts";

/** So long after it was replaced a version is still known to a sanitizer that asks for it anew. */
const REPLACED_FOR_MS = 24 * 3_600_000;
const MAX_REPLACED = 100;

/** The secrets of one project at one time: their values, and which of them are brokered where. */
export type Resolved = {
  readonly version: string;
  readonly secrets: readonly Secret[];
};

type Replaced = Resolved & { readonly sinceMs: number };

/** What each project's values were: gives each set of values its version, and remembers those that were replaced. */
export type SecretHistory = {
  /** Takes note of the values that are current from now on. */
  record(project: string, secrets: readonly Secret[]): Resolved;
  /** Exactly the values of this version; undefined: it was never current here, or has been replaced too long ago. */
  find(project: string, version: string): Resolved | undefined;
};

/** `key`: so that a version tells nothing about the values behind it. */
export function createSecretHistory(clock: Clock, key: Buffer): SecretHistory {
  const currentOf = new Map<string, Resolved>();
  const replacedOf = new Map<string, readonly Replaced[]>();

  const replacedIn = (project: string): readonly Replaced[] =>
    (replacedOf.get(project) ?? []).filter(({ sinceMs }) => clock.monotonicMs() - sinceMs < REPLACED_FOR_MS);

  return {
    record(project, secrets) {
      const current: Resolved = { version: versionOf(key, project, secrets), secrets };
      const before = currentOf.get(project);
      currentOf.set(project, current);
      const isReplaced = before !== undefined && before.version !== current.version;
      const replaced = [
        ...replacedIn(project),
        ...(isReplaced ? [{ ...before, sinceMs: clock.monotonicMs() }] : []),
      ];
      // The last time counts for a version that came back and was replaced again.
      const latest = replaced.filter(
        ({ version }, index) => replaced.findLastIndex((each) => each.version === version) === index,
      );
      replacedOf.set(project, latest.slice(-MAX_REPLACED));
      return current;
    },
    find(project, version) {
      const current = currentOf.get(project);
      if (current?.version === version) return current;
      return replacedIn(project).find((each) => each.version === version);
    },
  };
}

function versionOf(key: Buffer, project: string, secrets: readonly Secret[]): string {
  // How a secret is used, too: a brokered value is given to no script, and a sanitizer must not look for it.
  const pairs = secrets
    .map((secret) =>
      JSON.stringify([secret.name, secret.reveal(), isBrokered(secret) ? secret.injection : null]),
    )
    .sort();
  return createHmac("sha256", key)
    .update(JSON.stringify([project, pairs]))
    .digest("base64url")
    .slice(0, 22);
}
