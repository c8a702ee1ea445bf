import { differs, type Witness } from "./client.ts";
import { type Fault, FREEZE_MS } from "./faults.ts";

const FIRST_LINE = /^run [0-9a-f]{8}-[0-9a-f-]{27}\n/;
// How long before an execution was accepted a fault may have been that still explains its end: a service comes back, a
// worker starts anew.
const AFTERMATH_MS = 20_000;

/** What may end an execution that did nothing wrong; the rest leaves no trace on any. */
const CAUSES: Readonly<Record<string, readonly `${Fault["deed"]} ${Fault["target"]}`[]>> = {
  // Workers that are processes go with their pool-manager.
  worker_lost: ["kill pool-manager", "kill supervisor", "kill zygote", "kill run child"],
  killed: ["kill run child", "kill zygote"],
  output_withheld: ["freeze secrets"],
  start_failed: ["freeze secrets", "freeze egress", "kill zygote"],
};

// A worker that has not ended a run five seconds after its time is not believed in any more.
const CAUSES_OF_LATE_LOSS: typeof CAUSES = {
  worker_lost: ["freeze supervisor", "freeze zygote"],
};

/** How an execution ended, and what is wrong with that. */
export function judge(witness: Witness, faults: readonly Fault[]): { ending: string; problems: string[] } {
  const { script, view, body } = witness;
  const problems: string[] = [];
  const expected = expectedStdout(witness);
  const reason = view.end_reason ?? "none";
  if (reason !== script.endReason) {
    const causes = [
      ...(CAUSES[reason] ?? []),
      ...(script.timeout === undefined ? [] : (CAUSES_OF_LATE_LOSS[reason] ?? [])),
    ];
    const isExplained = faults.some(
      ({ deed, target, atMs }) =>
        causes.includes(`${deed} ${target}`) &&
        atMs + (deed === "freeze" ? FREEZE_MS : 0) + AFTERMATH_MS >= witness.acceptedAtMs &&
        atMs <= witness.endedAtMs,
    );
    if (!isExplained) problems.push(`ended as ${reason} (${view.error}), which no fault explains`);
    if (!expected.startsWith(view.stdout) && view.stdout !== "") {
      problems.push(`its output is none of its own: ${differs(expected, view.stdout)}`);
    }
    if (view.result !== null) problems.push("it has a result");
    return { ending: reason, problems };
  }
  if (!FIRST_LINE.test(view.stdout)) problems.push("its first line is missing");
  if (view.stdout !== expected) problems.push(`its output is not right: ${differs(expected, view.stdout)}`);
  if (!body.includes(`"result":${script.result},`)) problems.push("its result is not right");
  if (script.error !== undefined && !view.error?.includes(script.error))
    problems.push(`its error is ${view.error}`);
  if (view.truncated.stdout !== (script.truncated ?? 0))
    problems.push(`${view.truncated.stdout} bytes were cut`);
  return { ending: "as written", problems };
}

function expectedStdout({ script, view }: Witness): string {
  return `${FIRST_LINE.exec(view.stdout)?.[0] ?? ""}${script.stdout}`;
}

/** A row for each fault: how often, and how the executions ended that had not when it came. */
export function tableOf(faults: readonly Fault[], witnesses: readonly Witness[]): string {
  const endings = [...new Set(witnesses.map((witness) => judge(witness, faults).ending))].sort();
  const rows = new Map<string, Map<string, number>>();
  for (const { deed, target, atMs } of faults) {
    const name = `${deed} ${target}`;
    const row = rows.get(name) ?? new Map<string, number>();
    rows.set(name, row.set("count", (row.get("count") ?? 0) + 1));
    for (const witness of witnesses) {
      if (witness.acceptedAtMs > atMs || witness.endedAtMs < atMs) continue;
      const { ending } = judge(witness, faults);
      row.set(ending, (row.get(ending) ?? 0) + 1);
    }
  }
  const columns = ["count", ...endings];
  const line = (name: string, cells: readonly string[]) =>
    `${name.padEnd(20)}${cells.map((cell) => cell.padStart(17)).join("")}`;
  const all = endings.map(
    (ending) => witnesses.filter((each) => judge(each, faults).ending === ending).length,
  );
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
