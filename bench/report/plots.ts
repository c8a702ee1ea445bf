import type { Result } from "../result.ts";
export function plotsOf(_result: Result): [string, string][] {
  return [];
}
