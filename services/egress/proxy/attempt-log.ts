import { isIP } from "node:net";
import { allows, describeAllowedHost } from "#common/projects/network.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { Verdict } from "../policy/refusal.ts";
import type { Route } from "../routes/routes.ts";
import type { Target } from "./destination.ts";

/** Logs attempts: the first of each run line by line, the others as one sum, so that no script floods the log. */
export type AttemptLog = {
  note(route: Route | undefined, target: Target | undefined, verdict: Verdict, cause?: unknown): void;
  /** Says how many attempts of a route that closes had no line of their own. */
  close(route: Route): void;
  /** The same for those that named no route; nothing is noted afterwards. */
  end(): void;
};

type Tally = { lines: number; readonly further: Map<Verdict, number> };

const MAX_LINES = 20;
// Attempts without valid credentials are nobody's, so no end of a run sums them up.
const ANONYMOUS_WINDOW_MS = 60_000;
const SHOWN_LABELS = 2;
const SHOWN_CHARACTERS = 3;
/** Of sixteen bits each. */
const SHOWN_GROUPS = 2;

export function createAttemptLog(log: Log, clock: Clock): AttemptLog {
  const tallies = new WeakMap<Route, Tally>();
  let anonymous: { readonly tally: Tally; readonly cancel: () => void } | undefined;

  const endWindow = () => {
    if (anonymous) sumUp(anonymous.tally, {});
    anonymous = undefined;
  };
  const tallyOf = (route: Route | undefined): Tally => {
    const known = route ? tallies.get(route) : anonymous?.tally;
    if (known) return known;
    const tally: Tally = { lines: 0, further: new Map() };
    if (route) tallies.set(route, tally);
    else anonymous = { tally, cancel: clock.after(ANONYMOUS_WINDOW_MS, endWindow) };
    return tally;
  };
  const sumUp = ({ further }: Tally, whose: { project?: string; executionId?: string }) => {
    if (further.size === 0) return;
    const level = further.size === 1 && further.has("allowed") ? "info" : "warn";
    log[level](
      { ...whose, verdicts: Object.fromEntries(further) },
      `egress attempts after the first ${MAX_LINES}`,
    );
    further.clear();
  };

  return {
    note(route, target, verdict, cause) {
      const tally = tallyOf(route);
      if (tally.lines >= MAX_LINES) {
        tally.further.set(verdict, (tally.further.get(verdict) ?? 0) + 1);
        return;
      }
      tally.lines++;
      const facts = {
        project: route?.project,
        executionId: route?.executionId,
        host: target && loggable(route, target),
        port: target?.port,
        verdict,
        cause: cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.name) : undefined,
      };
      log[verdict === "allowed" ? "info" : "warn"](facts, "egress attempt");
    },
    close(route) {
      const { project, executionId } = route;
      const tally = tallies.get(route);
      if (tally) sumUp(tally, { project, executionId });
    },
    end() {
      anonymous?.cancel();
      endWindow();
    },
  };
}

/**
 * A script may try a host name, or an IPv6 address, that is made of a secret, and no log may hold one. Of what the project file does
 * not say, the log shows the end of a name, cut, and the beginning of an address, which is enough to recognise it.
 */
function loggable(route: Route | undefined, { host, port }: Target): string {
  if (isIP(host) === 4) return host;
  const entries = route?.network.allowlist ?? [];
  if (entries.some((entry) => !entry.wildcard && entry.host === host)) return host;
  const wildcard = entries.find((entry) => entry.wildcard && allows([entry], host, port));
  if (wildcard) return describeAllowedHost(wildcard);
  if (isIP(host) === 6) return `${host.split(":").slice(0, SHOWN_GROUPS).join(":")}:…`;
  const labels = host.split(".");
  const shown = labels.slice(-SHOWN_LABELS).map(cutLabel).join(".");
  return labels.length > SHOWN_LABELS ? `….${shown}` : shown;
}

function cutLabel(label: string): string {
  return label.length <= SHOWN_CHARACTERS ? label : `${label.slice(0, SHOWN_CHARACTERS)}…${label.length}`;
}
