import type { Figure } from "./figure.ts";

/** A number with three significant digits, because the figures are not more precise. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const places = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });
}

/** The median with its unit, such as `12.3 ms`. */
export function amount({ unit, median }: Figure): string {
  return `${digits(median)} ${unit}`;
}

/** The quartiles as text; empty when there was only one round. */
export function spread({ low, high, rounds }: Figure): string {
  return rounds > 1 ? `${digits(low)}–${digits(high)}` : "";
}
