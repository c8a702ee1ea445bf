import type { ExecutionView } from "../../harness/rest.ts";
import type { HostileHarness, ProjectName } from "../harness/hostile-harness.ts";

/** One hostile script: what it does, and the end it must come to. */
export type HostileCase = {
  readonly name: string;
  readonly code: string;
  readonly ends: readonly string[];
  /** Compared with its result. */
  readonly value?: unknown;
  /** demo unless said: no network, no secrets. */
  readonly project?: ProjectName;
  /** Seconds; unless said one for a script that is to be stopped, and more than any machine needs for another. */
  readonly timeout?: number;
  /** The worker is replaced, since the script has tampered with it; "perhaps" where that depends on how it ended. */
  readonly replacesWorker?: true | "perhaps";
  /** More about the ended execution, compared in part. */
  readonly shows?: Readonly<Partial<Record<keyof ExecutionView, unknown>>>;
  /** What happens while the script waits in llm.complete, each time. Its result is the answer. */
  readonly meanwhile?: (harness: HostileHarness, execution: ExecutionView) => Promise<string>;
  /** What else must be true once it has ended. */
  readonly afterwards?: (harness: HostileHarness, execution: ExecutionView) => Promise<void> | void;
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

/** A script that tries things by name; its result lists those that worked. */
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
