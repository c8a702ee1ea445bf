import { AirlockError, type ErrorCode } from "#common/errors.ts";
import { ownerOf, Turn, takeTurns } from "#common/event-loop/turn.ts";
import { compileSteps, type NeedleSet } from "#common/redaction/needles/needle-set.ts";
import type { Clock } from "#common/resilience/clock.ts";
import { every, retry } from "#common/resilience/retry.ts";
import type { Secret } from "#common/secret.ts";
import { TRIGGERS } from "./credentials/formats.ts";
import { outputWithheld } from "./output-withheld.ts";

/**
 * Milliseconds after their last use for which the secret values of a version of a project are kept. An open
 * stream keeps them longer.
 */
const KEPT_FOR_MS = 24 * 3_600_000;
/**
 * The most versions of a project's secrets that are kept. Beyond it the version used longest ago is
 * forgotten, unless an open stream uses it.
 */
const MAX_VERSIONS = 100;
/**
 * The number of versions of a project's secrets whose needles stay compiled although no open stream uses
 * them. The needles of other versions are compiled again from their values when a run needs them.
 */
const MAX_COMPILED = 3;
/**
 * Milliseconds in which the secrets service must answer, retries included; otherwise the output is withheld.
 * The time is enough for a restart of the secrets service, or for a standstill of ten seconds.
 */
const RESOLVE_WITHIN_MS = 12_000;
/** Milliseconds between two attempts to reach the secrets service. */
const RESOLVE_RETRY_MS = 200;

export type VersionValues = {
  /**
   * The version that these values belong to. Another version than the requested one when the secrets service
   * does not know the requested version.
   */
  readonly version: string;
  readonly secrets: readonly Secret[];
};

/** Asks the secrets service for the values that scripts were given under this version of a project. */
export type ResolveVersion = (
  project: string,
  version: string,
  signal: AbortSignal,
) => Promise<VersionValues>;

type Version = {
  readonly secrets: readonly Secret[];
  /**
   * The compiled needles. A promise that has rejected stays, because the same values would be refused again.
   * Undefined when the needles are not compiled at present.
   */
  needles: Promise<NeedleSet> | undefined;
  /** The time of the last use on the monotonic clock, in milliseconds. */
  usedMs: number;
  /** The number of open streams that use this version. While it is above 0, the version is not forgotten. */
  holders: number;
};

/**
 * The needles of each version of each project's secrets. A run's output is searched for exactly the values
 * that the run was given, because a script could guess any further value from what is redacted.
 */
export type NeedleCache = {
  /**
   * The needles for a run that was given `version` of the project's secrets. `onValues` is called when the
   * values are known and before they are compiled. Rejects with `output_withheld` when the secrets service
   * does not give the values.
   */
  needlesFor(
    project: string,
    version: string,
    signal: AbortSignal,
    onValues?: () => void,
  ): Promise<NeedleSet>;
  /**
   * Keeps the values and needles of this version in memory until the returned function is called. Has no
   * effect for a version that is not in the cache.
   */
  hold(project: string, version: string): () => void;
};

export function createNeedleCache(resolve: ResolveVersion, clock: Clock): NeedleCache {
  const projects = new Map<string, Map<string, Version>>();

  const versionsOf = (project: string): Map<string, Version> => {
    const versions = projects.get(project) ?? new Map<string, Version>();
    projects.set(project, versions);
    return versions;
  };

  const use = (project: string, versions: Map<string, Version>, found: Version): Promise<NeedleSet> => {
    found.usedMs = clock.monotonicMs();
    found.needles ??= compile(found.secrets, project);
    const { needles } = found;
    tidy(versions, clock.monotonicMs());
    return needles;
  };

  /**
   * Asks the secrets service for the values, again every RESOLVE_RETRY_MS while it cannot be reached. Rejects
   * with `output_withheld` when it does not answer within RESOLVE_WITHIN_MS, or answers that it cannot give
   * the values.
   */
  const resolveSoon = async (
    project: string,
    version: string,
    signal: AbortSignal,
  ): Promise<VersionValues> => {
    const until = clock.monotonicMs() + RESOLVE_WITHIN_MS;
    return await retry(() => resolve(project, version, signal), {
      mayRetry: (error) => !isAnswer(error) && clock.monotonicMs() < until,
      delayMs: every(RESOLVE_RETRY_MS),
      clock,
      signal,
    }).catch((error: unknown) => {
      throw outputWithheld("the project's secret values could not be read from the secrets service", error);
    });
  };

  return {
    async needlesFor(project, version, signal, onValues) {
      const versions = versionsOf(project);
      const cached = versions.get(version);
      if (cached) {
        onValues?.();
        return use(project, versions, cached);
      }
      const resolved = await resolveSoon(project, version, signal);
      onValues?.();
      if (resolved.version !== version)
        throw outputWithheld(
          "the project's secret values could not be read from the secrets service: it does not have those that the run was given",
        );
      // Another stream may have added this version to the cache while the secrets service was asked.
      const known = versions.get(version);
      if (known) return use(project, versions, known);
      const learned: Version = { secrets: resolved.secrets, needles: undefined, usedMs: 0, holders: 0 };
      versions.set(version, learned);
      return use(project, versions, learned);
    },
    hold(project, version) {
      const found = projects.get(project)?.get(version);
      if (!found) return () => undefined;
      found.holders++;
      return () => void found.holders--;
    },
  };
}

/** The error codes with which the secrets service says that it cannot give the values. */
const CANNOT_GIVE: readonly ErrorCode[] = [
  "start_failed",
  "project_invalid",
  "project_not_found",
  "output_withheld",
  "unavailable",
];

/**
 * Whether the secrets service itself answered that it cannot give the values, so that asking again is of no
 * use.
 */
function isAnswer(error: unknown): boolean {
  return error instanceof AirlockError && error.origin === "peer" && CANNOT_GIVE.includes(error.code);
}

function tidy(versions: Map<string, Version>, nowMs: number): void {
  const latestFirst = [...versions].sort(([, a], [, b]) => b.usedMs - a.usedMs);
  latestFirst.forEach(([name, version], index) => {
    if (version.holders > 0) return;
    if (index >= MAX_COMPILED) version.needles = undefined;
    if (index >= MAX_VERSIONS || nowMs - version.usedMs >= KEPT_FOR_MS) versions.delete(name);
  });
}

/**
 * Compiles needles. Other work of the process runs every few milliseconds in between, because the values of
 * one project may take seconds, and other projects must not wait for that.
 */
function compile(secrets: readonly Secret[], project: string): Promise<NeedleSet> {
  // When two secrets have the same value, redactions are counted under the name of the first.
  const nameOf = new Map<string, string>();
  for (const secret of secrets) {
    if (!nameOf.has(secret.reveal())) nameOf.set(secret.reveal(), secret.name);
  }
  const steps = compileSteps([...nameOf.keys()], [...nameOf.values()], TRIGGERS);
  return takeTurns(steps, undefined, new Turn(ownerOf(project)));
}
