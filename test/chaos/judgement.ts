import { differs, type Witness } from "./client.ts";
import type { Fault, FaultName } from "./faults.ts";

const FIRST_LINE = /^run [0-9a-f]{8}-[0-9a-f-]{27}\n/;
const ANY_FIRST_LINE = "run 00000000-0000-0000-0000-000000000000\n";
// A fault may explain the end of an execution that was accepted this long after it, because a worker starts again.
const AFTERMATH_MS = 20_000;

/** By end reason, the faults that may end a correct execution so; other faults must not affect any execution. */
export type Causes = Readonly<Record<string, readonly FaultName[]>>;

// The router gives a worker up that has not ended a run ten seconds after the run's timeout.
const CAUSES_OF_LATE_LOSS: Causes = {
  worker_lost: ["freeze supervisor", "freeze zygote", "freeze template"],
};

export const AS_WRITTEN = "as written";

/** AS_WRITTEN when an execution ended as its script says, else its end reason. */
export function endingOf({ script, view }: Witness): string {
  return view.end_reason === script.endReason ? AS_WRITTEN : (view.end_reason ?? "none");
}

/** The problems of an execution's ending; empty when it is right or a fault explains it. */
export function judge(witness: Witness, faults: readonly Fault[], causes: Causes): string[] {
  const { script, view, body } = witness;
  const problems: string[] = [];
  const expected = expectedStdout(witness);
  const reason = endingOf(witness);
  if (reason !== AS_WRITTEN) {
    const itsCauses = [
      ...(causes[reason] ?? []),
      ...(script.timeout === undefined ? [] : (CAUSES_OF_LATE_LOSS[reason] ?? [])),
    ];
    const isExplained = faults.some(
      ({ action, target, atMs, overAtMs = Number.POSITIVE_INFINITY }) =>
        itsCauses.includes(`${action} ${target}`) &&
        overAtMs + AFTERMATH_MS >= witness.acceptedAtMs &&
        atMs <= witness.endedAtMs,
    );
    if (!isExplained) problems.push(`ended as ${reason} (${view.error}), which no fault explains`);
    if (!expected.startsWith(view.stdout)) {
      problems.push(`its output is none of its own: ${differs(expected, view.stdout)}`);
    }
    if (view.result !== null) problems.push("it has a result");
    return problems;
  }
  if (firstLineOf(view.stdout) === "") problems.push("its first line is missing");
  if (view.stdout !== expected) problems.push(`its output is not right: ${differs(expected, view.stdout)}`);
  if (!body.includes(`"result":${script.result},`)) problems.push("its result is not right");
  if (script.error !== undefined && !view.error?.includes(script.error))
    problems.push(`its error is ${view.error}`);
  if (view.truncated.stdout !== (script.truncated ?? 0))
    problems.push(`${view.truncated.stdout} bytes were cut`);
  return problems;
}

/** The first line of a run's output; empty when the line is missing or cut. */
export function firstLineOf(stdout: string): string {
  return FIRST_LINE.exec(stdout)?.[0] ?? "";
}

/**
 * The expected output. The rest of a cut first line is unknown, because the sanitizer held it back as a possible
 * secret.
 */
function expectedStdout({ script, view }: Witness): string {
  const completed = view.stdout + ANY_FIRST_LINE.slice(view.stdout.length);
  const first = firstLineOf(completed) || ANY_FIRST_LINE;
  return `${first}${script.stdout}${script.signs ? first.replace("run", "ran") : ""}`;
}

/** A table with a row per fault: its count, and the endings of the executions that were under way when it came. */
export function tableOf(faults: readonly Fault[], witnesses: readonly Witness[]): string {
  const endings = [...new Set(witnesses.map(endingOf))].sort();
  const rows = new Map<string, Map<string, number>>();
  for (const { action, target, atMs } of faults) {
    const name = `${action} ${target}`;
    const row = rows.get(name) ?? new Map<string, number>();
    rows.set(name, row.set("count", (row.get("count") ?? 0) + 1));
    for (const witness of witnesses) {
      if (witness.acceptedAtMs > atMs || witness.endedAtMs < atMs) continue;
      const ending = endingOf(witness);
      row.set(ending, (row.get(ending) ?? 0) + 1);
    }
  }
  const columns = ["count", ...endings];
  const line = (name: string, cells: readonly string[]) =>
    `${name.padEnd(20)}${cells.map((cell) => cell.padStart(17)).join("")}`;
  const all = endings.map((ending) => witnesses.filter((each) => endingOf(each) === ending).length);
  return [
    line("fault", columns),
    ...[...rows].sort().map(([name, row]) =>
      line(
        name,
        columns.map((column) => String(row.get(column) ?? 0)),
      ),
    ),
    line("all executions", [String(faults.length), ...all.map(String)]),
  ].join("\n");
}
