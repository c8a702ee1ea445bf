import { createHmac } from "node:crypto";
import type { Clock } from "#common/resilience/clock.ts";
import type { Secret } from "#common/secret.ts";
import { isBrokered } from "./brokered-secret.ts";

/** Milliseconds that a replaced version stays known, so that a sanitizer can ask for its values again. */
const REPLACED_FOR_MS = 24 * 3_600_000;
const MAX_REPLACED = 100;

/**
 * The secrets of one project at one time. The version stands for their values, and for where brokered secrets
 * are injected.
 */
export type Resolved = {
  readonly version: string;
  readonly secrets: readonly Secret[];
};

type Replaced = Resolved & { readonly sinceMs: number };

/**
 * The current and earlier secret values of each project. Each set of values has a version; replaced versions
 * are remembered for a day.
 */
export type SecretHistory = {
  /** Records the values that are current from now on, and returns them with their version. */
  record(project: string, secrets: readonly Secret[]): Resolved;
  /**
   * The values of exactly this version. Undefined when the version was never current in this process, or was
   * replaced more than a day ago.
   */
  find(project: string, version: string): Resolved | undefined;
};

/** `key` makes versions an HMAC of the values, so that a version reveals nothing about them. */
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
      // A version that became current again and was replaced once more is kept from its last replacement on.
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
  // The version also covers how a secret is used, because no script gets a brokered value, and a sanitizer
  // must not search for it.
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
