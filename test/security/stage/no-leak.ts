import { expect } from "vitest";
import { type HostileCase, hostile } from "../cases/cases.ts";
import { leaksOf } from "../cases/leaks.ts";
import { PLANTED } from "../cases/planted.ts";
import type { HostileStage } from "./hostile-stage.ts";

/** How the secret TOKEN looks when it leaves. */
export const TOKEN_MARKER = "[REDACTED...wxyz]";

/** Nothing that was said over REST about an execution, while it ran and afterwards, lets a reader make out a secret. */
export function nothingLeaks({ said }: HostileStage): void {
  const leaks = said.flatMap((text) => leaksOf(text, PLANTED).map((name) => [name, text.slice(0, 2_000)]));
  expect(leaks).toEqual([]);
}

/** A script of a project with secrets that completes, and keeps them all whatever it does with them. */
export function keeps(
  name: string,
  code: string,
  shows: NonNullable<HostileCase["shows"]> = {},
  more: Partial<Pick<HostileCase, "project" | "meanwhile">> = {},
): HostileCase {
  return hostile(name, "completed", code, { project: "secrets", shows, ...more, afterwards: nothingLeaks });
}
