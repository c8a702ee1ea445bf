import type { Execution } from "#sdk/execution.ts";
import type { HostileHarness, ProjectName } from "../harness/hostile-harness.ts";

/** A hostile script, and its expected ending. */
export type HostileCase = {
  readonly name: string;
  readonly code: string;
  /** The allowed end reasons. */
  readonly ends: readonly string[];
  /** The expected result; undefined means that the result is not compared. */
  readonly value?: unknown;
  /** The project; undefined means `demo`, which has no network and no secrets. */
  readonly project?: ProjectName;
  /** Timeout in seconds; undefined means 1 for a script that may end as timeout, and 20 for others. */
  readonly timeout?: number;
  /** Whether the worker is replaced because the script tampered with it; "perhaps" where that depends on the ending. */
  readonly replacesWorker?: true | "perhaps";
  /** Expected fields of the ended execution. */
  readonly shows?: Readonly<Partial<Record<keyof Execution, unknown>>>;
  /** Runs each time the script waits in llm.complete; its result is the answer. */
  readonly meanwhile?: (harness: HostileHarness, execution: Execution) => Promise<string>;
  /** Further checks once the script has ended. */
  readonly afterwards?: (harness: HostileHarness, execution: Execution) => Promise<void> | void;
};

type More = Omit<HostileCase, "name" | "code" | "ends">;

export function hostile(
  name: string,
  ends: string | readonly string[],
  code: string,
  more: More = {},
): HostileCase {
  return { name, code, ends: typeof ends === "string" ? [ends] : ends, ...more };
}

/** A script that must complete with this result. */
export function yields(
  name: string,
  code: string,
  value: unknown,
  more: Omit<More, "value"> = {},
): HostileCase {
  return hostile(name, "completed", code, { value, ...more });
}

/**
 * A script that tries the expressions in `tries`, none of which may work; its result lists the names of those that
 * did.
 */
export function attempts(
  name: string,
  tries: Readonly<Record<string, string>>,
  setup = "",
  more: Omit<More, "value"> = {},
): HostileCase {
  const body = Object.entries(tries).map(
    ([label, expression]) =>
      `try:\n    ${expression}\n    worked.append(${JSON.stringify(label)})\nexcept (OSError, ValueError): pass\n`,
  );
  return yields(name, `${setup}\nworked = []\n${body.join("")}set_result(worked)`, [], more);
}
