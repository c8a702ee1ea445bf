import { isIP } from "node:net";
import { allows, describeAllowedHost } from "#common/projects/network.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { Verdict } from "../policy/refusal.ts";
import type { Route } from "../routes/routes.ts";
import type { Target } from "./destination.ts";

/**
 * Logs attempts to reach the network. The first MAX_LINES attempts of each run get a line each. Further
 * attempts are summed up in one line at the end of the run, so that no script floods the log.
 */
export type AttemptLog = {
  /**
   * Logs or counts an attempt. `route` is undefined without valid credentials, and `target` when the request
   * names no valid target.
   */
  note(route: Route | undefined, target: Target | undefined, verdict: Verdict, cause?: unknown): void;
  /** Logs how many attempts a closing route had beyond those that have a line. */
  close(route: Route): void;
  /**
   * Logs the number of attempts without valid credentials that have no line yet. Must be the last call,
   * because it stops the timer.
   */
  end(): void;
};

type Tally = { lines: number; readonly further: Map<Verdict, number> };

const MAX_LINES = 20;
// Milliseconds after which attempts without valid credentials are summed up, because these attempts belong to
// no run whose end could be waited for.
const ANONYMOUS_WINDOW_MS = 60_000;
/** The number of labels at the end of a host name that a log line shows. */
const SHOWN_LABELS = 2;
/** The number of characters of each label of a host name that a log line shows. */
const SHOWN_CHARACTERS = 3;
/** The number of 16-bit groups of an IPv6 address that a log line shows. */
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
 * The host as a log line may show it. A script can put a secret into a host name or an IPv6 address, and no
 * log may contain a secret. A host that the project file names is shown, as is an IPv4 address. Otherwise
 * only the shortened end of a name, or the beginning of an IPv6 address, is shown, which is enough to
 * recognise the host.
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
