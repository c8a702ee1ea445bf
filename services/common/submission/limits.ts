const MIB = 1024 * 1024;

/** Bytes of the largest request body of a client, be it a submission or a response to an llm request. */
export const MAX_BODY_BYTES = 16 * MIB;

/** The largest number of settings of one request. */
export const MAX_SETTINGS = 1_000;

/**
 * The problem with a setting's name; undefined when there is none. `__proto__` is refused, because JavaScript
 * objects lose this key.
 */
export function settingNameProblem(name: string): string | undefined {
  if (name === "__proto__") return "is not an allowed name";
  if (name === "" || name.includes("=")) return 'is not an allowed name: it is empty or contains "="';
  return undefined;
}
