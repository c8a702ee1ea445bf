import type { Clock } from "../common/clock.ts";
import { AirlockError, type ErrorCode } from "../common/errors.ts";
import { compileNeedles, type NeedleSet } from "../common/redaction/needle-set.ts";
import type { Secret } from "../common/secret.ts";
import { TRIGGERS } from "./credentials/formats.ts";
import { outputWithheld } from "./output-withheld.ts";

/** A version that nobody asked for in this time is forgotten, unless a stream that is open holds it. */
const KEPT_FOR_MS = 24 * 3_600_000;
const MAX_VERSIONS = 100;
/** A value that was rotated while a run goes on is looked for in its output this soon. */
export const CONFIRM_EVERY_MS = 1_000;
/** Long enough for a secrets service that is being restarted or that was stopped for ten seconds. */
const CONFIRM_WITHIN_MS = 12_000;
const CONFIRM_RETRY_MS = 200;

export type ResolvedSecrets = {
  readonly version: string;
  readonly secrets: readonly Secret[];
  /** Earlier versions whose every value is among `secrets`. */
  readonly retiredVersions: readonly string[];
};

/** Asks for the values of a project: the current ones first, then earlier ones. */
export type ResolveProject = (project: string, signal: AbortSignal) => Promise<ResolvedSecrets>;

type Version = { readonly secrets: readonly Secret[]; usedMs: number; holders: number };
type Compiled = { readonly values: ReadonlySet<string>; readonly needles: NeedleSet };
type Known = { readonly versions: Map<string, Version>; compiled: Compiled | undefined };
type Confirmation = { readonly askedMs: number; readonly done: Promise<void> };

/** The needles of each project: those of every version of its secrets that was seen lately, in one automaton. */
export type NeedleCache = {
  /** The needles for a run that was given `version`. Rejects with `output_withheld` unless that version is known. */
  needlesFor(project: string, version: string, signal: AbortSignal): Promise<NeedleSet>;
  /**
   * The needles for a run that goes on, with the values that were rotated meanwhile: those of `version`, and more.
   * Rejects with `output_withheld` when the secrets service does not answer.
   */
  confirm(project: string, version: string): Promise<NeedleSet>;
  /** Keeps a version that is known from being forgotten until the returned function is called. */
  hold(project: string, version: string): () => void;
};

export function createNeedleCache(resolve: ResolveProject, clock: Clock): NeedleCache {
  const projects = new Map<string, Known>();

  const confirmations = new Map<string, Confirmation>();

  const learn = (project: string, resolved: ResolvedSecrets, wanted: string) => {
    const known = projects.get(project) ?? { versions: new Map(), compiled: undefined };
    projects.set(project, known);
    const version = (name: string): Version => ({
      secrets: resolved.secrets,
      usedMs: clock.now(),
      holders: known.versions.get(name)?.holders ?? 0,
    });
    // A worker may still have what was rotated before this service first heard of it.
    if (resolved.retiredVersions.includes(wanted) && !known.versions.has(wanted)) {
      known.versions.set(wanted, version(wanted));
    }
    known.versions.set(resolved.version, version(resolved.version));
    forgetOld(known.versions, clock.now());
    const { values } = known.compiled ?? {};
    if (!resolved.secrets.every((secret) => values?.has(secret.reveal()))) known.compiled = undefined;
  };

  const lookUp = (project: string, version: string): NeedleSet | undefined => {
    const known = projects.get(project);
    const found = known?.versions.get(version);
    if (!known || !found) return undefined;
    found.usedMs = clock.now();
    known.compiled ??= compile(known.versions);
    return known.compiled.needles;
  };

  /** Asks until the secrets service answers. Rejects with `output_withheld` when it does not in time, or has no values. */
  const learnSoon = async (project: string, version: string, signal: AbortSignal): Promise<void> => {
    const until = clock.now() + CONFIRM_WITHIN_MS;
    for (;;) {
      try {
        return learn(project, await resolve(project, signal), version);
      } catch (error) {
        if (isAnswer(error) || signal.aborted || clock.now() >= until)
          throw outputWithheld("its secrets could not be checked", error);
        await new Promise<void>((wake) => clock.after(CONFIRM_RETRY_MS, wake));
      }
    }
  };

  const askAgain = async (project: string, version: string): Promise<void> => {
    try {
      await learnSoon(project, version, new AbortController().signal);
    } catch (error) {
      if (!isAnswer((error as AirlockError).cause)) throw error;
    }
  };

  return {
    async needlesFor(project, version, signal) {
      const cached = lookUp(project, version);
      if (cached) return cached;
      await learnSoon(project, version, signal);
      const learned = lookUp(project, version);
      if (learned) return learned;
      throw outputWithheld("its secrets could not be checked: they are not those that the run was given");
    },
    async confirm(project, version) {
      let current = confirmations.get(project);
      if (!current || clock.now() - current.askedMs >= CONFIRM_EVERY_MS) {
        current = { askedMs: clock.now(), done: askAgain(project, version) };
        confirmations.set(project, current);
        current.done.catch(() => confirmations.delete(project));
      }
      await current.done;
      const found = lookUp(project, version);
      if (found) return found;
      throw outputWithheld("its secrets could not be checked: they are not those that the run was given");
    },
    hold(project, version) {
      const change = (by: number) => {
        const found = projects.get(project)?.versions.get(version);
        if (found) found.holders += by;
      };
      change(1);
      return () => change(-1);
    },
  };
}

const CANNOT_GIVE: readonly ErrorCode[] = [
  "start_failed",
  "project_invalid",
  "project_not_found",
  "unavailable",
];

/** The service itself answered that it cannot give the values now: then it has given nobody newer ones either. */
function isAnswer(error: unknown): boolean {
  // An error of the transport has a cause, one that the service sent has none.
  return error instanceof AirlockError && error.cause === undefined && CANNOT_GIVE.includes(error.code);
}

function forgetOld(versions: Map<string, Version>, nowMs: number): void {
  const oldestFirst = [...versions].sort(([, a], [, b]) => a.usedMs - b.usedMs);
  const surplus = versions.size - MAX_VERSIONS;
  oldestFirst.forEach(([version, { usedMs, holders }], index) => {
    if (holders > 0) return;
    if (index < surplus || nowMs - usedMs >= KEPT_FOR_MS) versions.delete(version);
  });
}

function compile(versions: ReadonlyMap<string, Version>): Compiled {
  // The latest version first, so that its secrets name the markers.
  const latestFirst = [...versions.values()].reverse();
  const nameOf = new Map<string, string>();
  for (const { secrets } of latestFirst) {
    for (const secret of secrets) {
      if (!nameOf.has(secret.reveal())) nameOf.set(secret.reveal(), secret.name);
    }
  }
  const values = [...nameOf.keys()];
  return { values: new Set(values), needles: compileNeedles(values, [...nameOf.values()], TRIGGERS) };
}
