import { createHmac } from "node:crypto";
import type { Clock } from "#common/resilience/clock.ts";
import type { Secret } from "#common/secret.ts";
import { isBrokered } from "./brokered-secret.ts";

/**
 * Milliseconds (one day) that the values of a replaced version are kept, so that a sanitizer can still ask
 * for them to redact the output of a run that began with these values.
 */
const REPLACED_FOR_MS = 24 * 3_600_000;
/** The number of replaced versions that are kept for each project; the oldest are forgotten first. */
const MAX_REPLACED = 100;

/**
 * The secrets of one project at one time. The version is an opaque id, which changes when a value changes, or
 * the host or header into which a brokered value is injected.
 */
export type Resolved = {
  readonly version: string;
  readonly secrets: readonly Secret[];
};

type Replaced = Resolved & { readonly sinceMs: number };

/**
 * The current and earlier secret values of each project, in memory. Each set of values has a version. Up to
 * 100 replaced versions of a project are remembered, each for a day.
 */
export type SecretHistory = {
  /**
   * Records values that were just read from their sources as the project's current ones, and returns them
   * with their version.
   */
  record(project: string, secrets: readonly Secret[]): Resolved;
  /**
   * The values of exactly this version. Undefined when the version was never current in this process, was
   * replaced more than a day ago, or is older than the last 100 replaced versions.
   */
  find(project: string, version: string): Resolved | undefined;
};

/**
 * `key`: the key of the HMAC by which a version is made from the values, so that a version reveals nothing
 * about the values.
 */
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
      // A version is replaced twice when an operator sets earlier values again and then changes them. The day
      // for which the version is kept then begins with its last replacement.
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
  // The version also covers whether and where a secret is injected, because scripts do not get a brokered
  // value, and a sanitizer must not search output for one.
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
