/** The rows of the table in order. Rows that most need a quiet machine come first. */
export const ROW_NAMES = [
  "latency",
  "cpu",
  "identity",
  "burst",
  "throughput",
  "grpc",
  "pause",
  "output",
  "start",
  "stored",
  "sanitizer",
  "memory",
  "paused",
] as const;

export type RowName = (typeof ROW_NAMES)[number];

export function isRowName(name: string): name is RowName {
  return ROW_NAMES.some((each) => each === name);
}
