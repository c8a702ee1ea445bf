import { expect } from "vitest";
import { type HostileCase, hostile } from "../cases/cases.ts";
import { leaksOf } from "../cases/leaks.ts";
import { PLANTED } from "../cases/planted.ts";
import type { HostileHarness } from "./hostile-harness.ts";

/** The marker that replaces the secret TOKEN. */
export const TOKEN_MARKER = "[REDACTED...wxyz]";

/** Fails the test if any REST response about the execution, during the run or after it, reveals a secret. */
export function nothingLeaks({ said }: HostileHarness): void {
  const leaks = said.flatMap((text) => leaksOf(text, PLANTED).map((name) => [name, text.slice(0, 2_000)]));
  expect(leaks).toEqual([]);
}

/** A case whose script handles secrets in some way and completes, and whose responses reveal none of them. */
export function keeps(
  name: string,
  code: string,
  shows: NonNullable<HostileCase["shows"]> = {},
  more: Partial<Pick<HostileCase, "project" | "meanwhile">> = {},
): HostileCase {
  return hostile(name, "completed", code, { project: "secrets", shows, ...more, afterwards: nothingLeaks });
}
