const MIB = 1024 * 1024;

/** The largest request of a client: what is submitted, or answered, in bytes. */
export const MAX_BODY_BYTES = 16 * MIB;

/** The largest number of settings of one request. */
export const MAX_SETTINGS = 1_000;

/** What is wrong with the name of a setting; undefined: nothing. Objects of JavaScript lose that one name. */
export function settingNameProblem(name: string): string | undefined {
  if (name === "__proto__") return "is not an allowed name";
  if (name === "" || name.includes("=")) return 'is not an allowed name: it is empty or contains "="';
  return undefined;
}
