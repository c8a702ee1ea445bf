import type { Figure } from "./figure.ts";

/** Three digits, as many as mean something. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const places = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });
}

/** `12.3 ms`. */
export function amount({ unit, median }: Figure): string {
  return `${digits(median)} ${unit}`;
}

/** The quartiles; nothing for what was measured once. */
export function spread({ low, high, rounds }: Figure): string {
  return rounds > 1 ? `${digits(low)}–${digits(high)}` : "";
}
