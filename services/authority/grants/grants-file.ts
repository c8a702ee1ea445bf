import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { type KnownFile, lookAtFile, lookUntil } from "#common/projects/watched-file.ts";
import type { Clock } from "#common/resilience/clock.ts";
import { repeat } from "#common/resilience/repeat.ts";
import { ConfigError } from "#common/service/environment.ts";
import type { Log } from "#common/service/log.ts";
import { systemReason } from "#common/system-reason.ts";
import type { Grant } from "../store/grant.ts";
import { otherIssuers, quoted } from "./other-issuers.ts";
import { GRANT_LIMITS, parseGrants } from "./parse-grants.ts";

// Milliseconds between two looks at the file, and for which it must not have changed before it is read: a
// change is obeyed within a second.
const LOOK_EVERY_MS = 200;
const QUIET_MS = 250;
const MAX_TOLD = 5;

type Entry = readonly Grant[] | { readonly problem: string };

export type GrantsFile = {
  /** The grants of the file as it last was without a mistake. */
  grants(): readonly Grant[];
  /** What is wrong with the file as it is now; undefined: nothing. */
  problem(): string | undefined;
  close(): Promise<void>;
};

/** No file: no grants. */
export const NO_GRANTS_FILE: GrantsFile = {
  grants: () => [],
  problem: () => undefined,
  close: async () => undefined,
};

/**
 * Reads the file of grants now, and again whenever it changes; then calls `changed`. A file with a mistake, or
 * one that is gone, changes nothing and is logged; so is a grant for none of the `issuers` whose tokens are
 * accepted. Rejects with a ConfigError for a mistake at the start.
 */
export async function openGrantsFile(
  path: string,
  issuers: readonly string[],
  clock: Clock,
  log: Log,
  changed: () => Promise<void>,
): Promise<GrantsFile> {
  let known: KnownFile<Entry> | undefined;
  let grants: readonly Grant[] = [];
  let problem: string | undefined;
  let isUntold = false;
  const look = async () => {
    const before = known?.entry;
    known = await lookAtFile<Entry>(path, known, () => readGrants(path), clock, QUIET_MS);
    return known.entry !== before;
  };
  const adopt = () => {
    const entry = known?.entry ?? {
      problem: `${basename(path)} does not exist, or its directory may not be read`,
    };
    problem = "problem" in entry ? entry.problem : undefined;
    if ("problem" in entry) return;
    grants = entry;
    const others = otherIssuers(grants, issuers);
    if (others.length === 0) return;
    const accepted = issuers.length === 0 ? "none" : `${quoted(issuers)}, letter by letter`;
    // A file may name hundreds, and the first few show the mistake.
    const told = others.slice(0, MAX_TOLD);
    const detail = `${quoted(told)}; accepted are ${accepted}`;
    log.warn({ detail }, "the file of grants has grants for issuers whose tokens are not accepted");
  };
  try {
    await lookUntil(look, () => known?.changed === undefined, clock);
  } catch (error) {
    throw new ConfigError([`AIRLOCK_GRANTS_FILE cannot be read (${systemReason(error)})`]);
  }
  adopt();
  if (problem !== undefined) throw new ConfigError([`AIRLOCK_GRANTS_FILE has a mistake: ${problem}`]);
  log.info({ grants: grants.length }, "the file of grants was read");

  const stop = repeat(
    LOOK_EVERY_MS,
    async () => {
      try {
        if (await look()) {
          adopt();
          if (problem === undefined) log.info({ grants: grants.length }, "the file of grants was read again");
          else log.error({ problem }, "the file of grants has a mistake; the grants stay as they were");
          isUntold = problem === undefined;
        }
        if (!isUntold) return;
        await changed();
        isUntold = false;
      } catch (error) {
        log.warn(
          { reason: systemReason(error) },
          "a change of grants could not be looked at or told; trying again",
        );
      }
    },
    clock,
  );
  return { grants: () => grants, problem: () => problem, close: stop };
}

async function readGrants(path: string): Promise<Entry> {
  try {
    const content = await readFile(path);
    if (content.length > GRANT_LIMITS.bytes)
      return { problem: `${basename(path)} is larger than ${GRANT_LIMITS.bytes} bytes` };
    return parseGrants(basename(path), content.toString("utf8"));
  } catch (error) {
    return { problem: `${basename(path)} cannot be read (${systemReason(error)})` };
  }
}
