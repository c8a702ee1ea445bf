/** One hostile script: what it does, and the end it must come to. `value` is compared with its result. */
export type HostileCase = {
  readonly name: string;
  readonly code: string;
  readonly ends: readonly string[];
  readonly value?: unknown;
};

export function hostile(
  name: string,
  ends: string | readonly string[],
  code: string,
  value?: unknown,
): HostileCase {
  return {
    name,
    code,
    ends: typeof ends === "string" ? [ends] : ends,
    ...(value !== undefined && { value }),
  };
}

/** A script that tries things by name; its result lists those that worked. */
export function attempts(name: string, tries: Readonly<Record<string, string>>, setup = ""): HostileCase {
  const body = Object.entries(tries).map(
    ([label, expression]) =>
      `try:\n    ${expression}\n    worked.append(${JSON.stringify(label)})\nexcept (OSError, ValueError): pass\n`,
  );
  return hostile(name, "completed", `${setup}\nworked = []\n${body.join("")}set_result(worked)`, []);
}
