import type { Clock } from "../common/clock.ts";
import { compileNeedles, type NeedleSet } from "../common/redaction/needle-set.ts";
import type { Secret } from "../common/secret.ts";
import { outputWithheld } from "./output-withheld.ts";

/** A version that nobody asked for in this time is forgotten; streams that are open keep their own needles. */
const KEPT_FOR_MS = 24 * 3_600_000;
const MAX_VERSIONS = 100;

export type ResolvedSecrets = { readonly version: string; readonly secrets: readonly Secret[] };

/** Asks for the values of a project: the current ones first, then earlier ones. */
export type ResolveProject = (project: string, signal: AbortSignal) => Promise<ResolvedSecrets>;

type Version = { readonly secrets: readonly Secret[]; usedMs: number };
type Compiled = { readonly values: ReadonlySet<string>; readonly needles: NeedleSet };
type Known = { readonly versions: Map<string, Version>; compiled: Compiled | undefined };

/** The needles of each project: those of every version of its secrets that was seen lately, in one automaton. */
export type NeedleCache = {
  /** The needles for a run that was given `version`. Rejects with `output_withheld` unless that version is known. */
  needlesFor(project: string, version: string, signal: AbortSignal): Promise<NeedleSet>;
};

export function createNeedleCache(resolve: ResolveProject, clock: Clock): NeedleCache {
  const projects = new Map<string, Known>();

  const learn = (project: string, resolved: ResolvedSecrets) => {
    const known = projects.get(project) ?? { versions: new Map(), compiled: undefined };
    projects.set(project, known);
    known.versions.set(resolved.version, { secrets: resolved.secrets, usedMs: clock.now() });
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

  return {
    async needlesFor(project, version, signal) {
      const cached = lookUp(project, version);
      if (cached) return cached;
      try {
        learn(project, await resolve(project, signal));
      } catch (error) {
        throw outputWithheld("its secrets could not be checked", error);
      }
      const learned = lookUp(project, version);
      if (learned) return learned;
      throw outputWithheld("its secrets could not be checked: they are not those that the run was given");
    },
  };
}

function forgetOld(versions: Map<string, Version>, nowMs: number): void {
  const oldestFirst = [...versions].sort(([, a], [, b]) => a.usedMs - b.usedMs);
  const surplus = versions.size - MAX_VERSIONS;
  oldestFirst.forEach(([version, { usedMs }], index) => {
    if (index < surplus || nowMs - usedMs >= KEPT_FOR_MS) versions.delete(version);
  });
}

function compile(versions: ReadonlyMap<string, Version>): Compiled {
  // The latest version first, so that its secrets name the markers.
  const latestFirst = [...versions.values()].reverse();
  const values = new Set(latestFirst.flatMap(({ secrets }) => secrets.map((secret) => secret.reveal())));
  return { values, needles: compileNeedles([...values]) };
}
